"""An amount that the passage gives for another time is not said of this one."""

from __future__ import annotations

import pytest

from agents.verify import RuleVerifier
from agents.verify.paired import pairs

SALES = "Net sales were $12.4 million in 2022 and $10.1 million in 2021."


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        (SALES, [("$12.4 million", 2022), ("$10.1 million", 2021)]),
        (
            "In 2022, net sales were $12.4 million, compared with $10.1 million in 2021.",
            [("$12.4 million", 2022), ("$10.1 million", 2021)],
        ),
        (
            "Net sales rose 5% to $117.2 billion and $123.9 billion for the three months ended December 31, 2022 and "
            "December 25, 2021, respectively.",
            [("$117.2 billion", 2022), ("$123.9 billion", 2021)],
        ),
        ("The orchard had 412 trees in 2019 and 380 trees in 2021.", [("412", 2019), ("380", 2021)]),
        (
            "Net sales were $10.1 million in both 2021 and 2022.",
            [("$10.1 million", 2021)],
        ),  # one too few tells nothing wrong
        ("Net sales were $10.1 million.", []),
        ("Der Umsatz betrug 12,4 % im Jahr 2022 gegenüber 10,1 % im Jahr 2021.", [("12,4 %", 2022), ("10,1 %", 2021)]),
    ],
)
def test_an_amount_and_a_date_of_one_clause_are_a_pair(sentence: str, expected: list[tuple[str, int]]) -> None:
    assert [(p.amount.text, p.date.year) for p in pairs(sentence)] == expected


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        (SALES, "Net sales were $10.1 million in 2022."),
        (SALES, "Net sales were $10.1 million in 2022 and $12.4 million in 2021."),
        (
            "Net sales were $117.2 billion and $123.9 billion in 2022 and 2021, respectively.",
            "Net sales were $123.9 billion in 2022.",
        ),
        (
            "In 2022, net sales were $12.4 million, compared with $10.1 million in 2021.",
            "In 2022, net sales were $10.1 million.",
        ),
        ("Net sales rose from $10.1 million to $12.4 million.", "Net sales rose from $12.4 million to $10.1 million."),
        ("Der Umsatz stieg von 10,1 % auf 12,4 %.", "Der Umsatz stieg von 12,4 % auf 10,1 %."),
    ],
)
def test_amounts_exchanged_between_dates_are_contradicted(passage: str, claim: str) -> None:
    verdict = RuleVerifier().check(claim, ["Annual report\n\n" + passage])
    assert verdict.label == "contradicted", verdict


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        (SALES, "Net sales were $10.1 million in 2021."),
        (SALES, "In 2021 net sales were $10.1 million and in 2022 $12.4 million."),
        (SALES, "Net sales rose from $10.1 million in 2021 to $12.4 million in 2022."),
        ("Net sales were $10.1 million in both 2021 and 2022.", "Net sales were $10.1 million in 2022."),
        (SALES + " Cash was $10.1 million in 2022.", "Cash was $10.1 million in 2022."),
        ("Net sales rose from $10.1 million to $12.4 million.", "Net sales rose from $10.1 million to $12.4 million."),
    ],
)
def test_amounts_with_their_own_dates_are_supported(passage: str, claim: str) -> None:
    verdict = RuleVerifier().check(claim, ["Annual report\n\n" + passage])
    assert verdict.label == "supported", verdict


def test_the_reason_says_which_date_the_amount_has() -> None:
    verdict = RuleVerifier().check("Net sales were $10.1 million in 2022.", [SALES])
    assert verdict.reason == "the passage gives $10.1 million for 2021, not for 2022"
