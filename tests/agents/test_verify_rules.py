"""The rules, one by one, and what they say together."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.abstain import is_abstention, is_claim, says_unknown
from agents.verify import RuleVerifier
from agents.verify.dates import dates
from agents.verify.names import names
from agents.verify.numbers import agrees, quantities
from core.protocols import Verifier
from tests.contract.verifier_suite import EVIDENCE, VerifierSuite


class TestRuleVerifier(VerifierSuite):
    @pytest.fixture
    def verifier(self) -> Verifier:
        return RuleVerifier()


REPORT = (
    "Acme Holdings (in millions): Net sales were 90,146 in 2022 and 82,959 in 2021, an increase of 8.7 percent. "
    "Jane Doe did not join the board. The board of Acme Holdings met on March 3, 2022 in Oslo. "
    "He called it “a very good year for us”."
)


@pytest.mark.parametrize(
    ("claim", "label"),
    [
        ("Net sales of Acme Holdings were $90.1 billion in 2022.", "supported"),  # 90,146 million rounded
        ("Net sales of Acme Holdings were 90,146 million in 2022.", "supported"),
        ("Net sales were 90,146 in 2022, an increase of 8.7%.", "supported"),
        ("Net sales were 90,146 in 2022, an increase of 9%.", "supported"),  # 8.7 rounds to 9
        ("Net sales were 90,146 in 2022, an increase of 8.9 percent.", "contradicted"),
        ("Net sales were 90,146 in 2022, a decrease of 8.7 percent.", "contradicted"),
        ("Jane Doe did join the board.", "contradicted"),
        ("Jane Doe did not join the board of Acme Holdings.", "supported"),
        ("The board of Acme Holdings met on March 3, 2022 in Oslo.", "supported"),
        ("The board of Acme Holdings met in March 2022 in Oslo.", "supported"),
        ("The board of Acme Holdings met on March 4, 2022 in Oslo.", "contradicted"),
        ("I don't know.", "not_a_claim"),
        ("Based on the passages:", "not_a_claim"),
    ],
)
def test_verdicts(claim: str, label: str) -> None:
    verdict = RuleVerifier().check(claim, [REPORT])
    assert verdict.label == label, verdict


def test_a_number_or_a_quotation_that_is_not_there_is_never_supported() -> None:
    verifier = RuleVerifier()
    for claim in (
        "The orchard was planted by Maria Keller and cost 55,000 euros.",
        "Maria Keller said the orchard was “the finest of them all” in 1987.",
    ):
        assert verifier.check(claim, [EVIDENCE]).label in ("partial", "unsupported", "contradicted")


def test_the_reason_names_what_is_wrong() -> None:
    verdict = RuleVerifier().check("The orchard was planted in 1992 by Maria Keller.", [EVIDENCE])
    assert (verdict.label, verdict.reason) == ("contradicted", "the passage says 1987, not 1992")


@pytest.mark.parametrize(
    ("claimed", "given_", "expected"),
    [
        ("1.2 billion", "1,234 million", True),  # |1.2e9 − 1.234e9| = 0.034e9 ≤ 0.05e9, half of the last digit
        ("1.3 billion", "1,234 million", False),  # 0.066e9 > 0.05e9
        ("1,234", "1234", True),
        ("1.234", "1,234", True),  # a German thousand
        ("3,5", "3.5", True),
        ("5%", "5 percent", True),
        ("5%", "5", False),
        ("$5", "€5", False),
        ("$5 million", "5,000,000 dollars", True),
        ("twenty-five", "25", True),
        ("5 hundred", "500", True),
        ("412.4", "412", False),  # more exact than what is known
        ("412", "412.4", True),
        ("$15 million", "$15^1 million", True),  # the mark of a footnote
        ("1 million", "$15^1 million", False),
        ("151", "15^1", False),
        ("12 percent", "12^a %", True),
        ("1 million", "10^6", True),
        ("106", "10^6", False),
        ("0.3", "10^-6", False),
    ],
)
def test_numbers(claimed: str, given_: str, expected: bool) -> None:
    (a,), (b,) = quantities(claimed), quantities(given_)
    assert agrees(a, b) is expected


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(0, 10**12))
def test_a_number_agrees_with_itself_however_it_is_grouped(n: int) -> None:
    (plain,), (grouped,) = quantities(f"{n}"), quantities(f"{n:,}")
    assert agrees(plain, grouped)
    assert agrees(grouped, plain)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on March 3, 2022", [(2022, 3, 3)]),
        ("on 3 March 2022", [(2022, 3, 3)]),
        ("2022-03-03", [(2022, 3, 3)]),
        ("in March 2022", [(2022, 3, None)]),
        ("in 2022", [(2022, None, None)]),
        ("1,500 people", []),
        ("1987 and 1990s", [(1987, None, None), (1990, None, None)]),
        ("in May", []),
    ],
)
def test_dates(text: str, expected: list[tuple[int, int | None, int | None]]) -> None:
    assert [(d.year, d.month, d.day) for d in dates(text)] == expected


def test_a_year_of_the_decade_supports_the_decade_and_not_the_other_way_round() -> None:
    (decade,), (year,) = dates("the 1990s"), dates("1994")
    assert decade.follows_from(year)
    assert not year.follows_from(decade)


def test_names_are_runs_of_capitals_without_the_first_word_of_a_sentence() -> None:
    assert names("The orchard of Maria Keller lies near Lindau. Nobody knows NATO.") == [
        "Maria Keller",
        "Lindau",
        "NATO",
    ]


@pytest.mark.parametrize(
    "said",
    [
        "I don't know.",
        "The passages do not mention it.",
        "There is no information on this.",
        "The number of geese isn't mentioned.",
        "This information is not available.",
        "The price is not included in the documents.",
        "There is no information about the price in the documents.",
        "The passages provided do not state the price, the date or the seller.",
        "Passages 1 and 2 do not mention the price.",
        "None of the passages mention the price.",
        "While the passages mention the orchard, they do not say who planted it.",
        "There is no evidence in the passages that it was sold.",
        "There is not enough information to answer the question.",
        "Based on the passages, there is no information about geese.",
        "According to the passages, the price is not specified.",
        "The documents provide no evidence that it was sold.",
        "I'm sorry, but I don't know.",
        "Ich weiß es nicht.",
        "No information available.",
        "There's no information about that.",
        "It is not stated who wrote the report.",
        "The founding date, however, is not stated.",
        "The year, unfortunately, is not mentioned.",
        "We could not find any information about this.",
        "The passage does not state this; it only gives the revenue for 2021.",
    ],
)
def test_ways_to_say_that_one_does_not_know(said: str) -> None:
    assert says_unknown(said)
    assert is_abstention(said)


@pytest.mark.parametrize(
    "said",
    [
        "The drug is not available in Canada.",
        "Tax is not included.",
        "The keeper was not found.",
        "The trial found no evidence of an effect of vitamin D on mortality.",
        "There was no evidence that the treatment reduced deaths.",
        "No evidence of fraud was found by the auditors.",
        "Ten patients had no information on smoking.",
        "The price was not specified and 12 people died.",
        "We could not find any difference between the groups.",
        "It is not stated policy to do so.",
        "The annex is not contained in the final document.",
        "According to the passages, the trial found no evidence of an effect.",
        "According to the documents, the drug is not available in Canada.",
        "The passages say that the keeper was not found.",
        "The documents show no evidence of fraud.",
        "The passages mention the orchard, and it includes 412 trees and was not sold.",
        "The passages do not say who planted it, but it was planted in 1987.",
    ],
)
def test_what_is_not_so_in_the_world_is_a_claim(said: str) -> None:
    assert not says_unknown(said)
    assert is_claim(said)
    assert not is_abstention(f"{said} [1]")


def test_an_answer_that_doubts_only_later_is_no_abstention() -> None:
    assert not is_abstention("It was planted in 1987. Who paid is not mentioned.")


def test_an_abstention_states_nothing_apart_from_it() -> None:
    unknown = "The passages do not say who planted it."
    assert is_abstention(f"{unknown} The documents speak of cider alone.")
    assert is_abstention(f"{unknown} [1][2]")  # a marker behind it says where nothing was found
    for more in ("It was planted in 1987 [1].", "It was planted in 1987.", "The passages speak of 1987 [1]."):
        assert not is_abstention(f"{unknown} {more}")
