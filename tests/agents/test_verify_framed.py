"""A clause that its own sentence takes back is not said, however exactly its words stand there."""

from __future__ import annotations

import pytest

from agents.verify import RuleVerifier
from agents.verify.framed import taken_back
from agents.verify.quotes import is_quotation
from core.text import sentence_spans

HEAD = "Annual report — Risk factors\n\n"


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("There can be no assurance that we will be profitable.", "We will be profitable."),
        ("There can be no assurance, however, that we will be profitable.", "We will be profitable."),
        ("It is not true that the pump is waterproof.", "The pump is waterproof."),
        ("We do not expect that the merger will close in 2023.", "The merger will close in 2023."),
        ("Plaintiffs allege that the company misled its investors.", "The company misled its investors."),
        ("The company denied that the board knew of the fraud.", "The board knew of the fraud."),
        ("The study found no evidence that vitamin C prevents colds.", "Vitamin C prevents colds."),
        ("The court did not decide whether the patent is valid.", "The patent is valid."),
        ("Neither Alice Brown nor Bob Stone signed the contract.", "Bob Stone signed the contract."),
        ("All employees except managers receive the bonus.", "Managers receive the bonus."),
        ("All employees except managers receive the bonus.", "All employees receive the bonus."),
        ("The device may be used outdoors only in dry weather.", "The device may be used outdoors."),
        ("The fee is refunded unless the seal is broken.", "The fee is refunded."),
    ],
)
def test_a_clause_that_is_denied_doubted_or_limited_is_not_supported(passage: str, claim: str) -> None:
    verdict = RuleVerifier().check(claim, [HEAD + passage])
    assert verdict.label in ("partial", "contradicted"), verdict


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("The tests show that the pump is waterproof.", "The pump is waterproof."),
        ("There is no doubt that the pump is waterproof.", "The pump is waterproof."),
        ("There is little doubt that human activity has warmed the climate.", "Human activity has warmed the climate."),
        ("There is no reason to doubt that the pump is waterproof.", "The pump is waterproof."),
        ("It cannot be denied that human activity has warmed the climate.", "Human activity has warmed the climate."),
        ("Nobody doubts that human activity has warmed the climate.", "Human activity has warmed the climate."),
        ("No one denies that human activity has warmed the climate.", "Human activity has warmed the climate."),
        (
            "The study not only found that coffee reduces the risk of diabetes but also why.",
            "Coffee reduces the risk of diabetes.",
        ),
        ("We not only show that the new method is faster but explain why.", "The new method is faster."),
        ("Our data confirm the hypothesis that sleep improves memory in adults.", "Sleep improves memory in adults."),
        (
            "All amounts are stated in millions of dollars, except per share data.",
            "All amounts are stated in millions of dollars.",
        ),
        ("The board was not aware that the pump is waterproof.", "The pump is waterproof."),
        ("The roof was not repaired, and the library holds 84,000 volumes.", "The library holds 84,000 volumes."),
        ("We did not sell it, and we believe that our sites are adequate.", "Our sites are adequate."),
        ("The wrong seal was fitted, so that the pump leaks.", "The pump leaks."),
        ("We repaid the loan without penalty in 2020.", "We repaid the loan."),
        ("If the fuse blows, the motor stops at once.", "The motor stops at once."),
        ("It is not true that the pump is loud. The pump is loud under water.", "The pump is loud."),
        ("It is not true that the pump is loud.", "It is not true that the pump is loud."),
    ],
)
def test_a_clause_that_stands_is_supported_word_for_word(passage: str, claim: str) -> None:
    verdict = RuleVerifier().check(claim, [HEAD + passage])
    assert (verdict.label, verdict.score) == ("supported", 1.0), verdict


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("Revenue was €12.4 million in 2022.", "Revenue was $12.4 million in 2022."),
        ("The fee is 5% of the order.", "The fee is $5 of the order."),
        ("The pump works at -20 degrees.", "The pump works at 20 degrees."),
        ("The difference was small (p > 0.05).", "The difference was small (p < 0.05)."),
    ],
)
def test_another_sign_is_no_quotation(passage: str, claim: str) -> None:
    assert not is_quotation(claim, HEAD + passage)
    assert is_quotation(passage, HEAD + passage)


def test_another_currency_is_never_supported() -> None:
    verdict = RuleVerifier().check("Revenue was $12.4 million in 2022.", [HEAD + "Revenue was €12.4 million in 2022."])
    assert verdict.label != "supported", verdict


def test_every_whole_sentence_of_a_text_stands_in_it() -> None:
    text = (
        "There can be no assurance that we will be profitable. Is that so? We doubt it — “never say never”. "
        "Net sales fell 3% to $(1.2) million.\n\nManagers only: see ﷺ the note."
    )
    for a, b in sentence_spans(text):
        assert is_quotation(text[a:b], text) or len(text[a:b].split()) < 2


def test_what_takes_a_clause_back_is_named() -> None:
    assert taken_back("There can be no assurance that ", ".") == "no assurance that"
    assert taken_back("The board met and ", " in 2020.") == ""
    assert taken_back("", ", unless the seal is broken.") == "unless"
