"""A word in the place of one that it excludes is contradicted, however well the encoder thinks of both."""

from __future__ import annotations

import pytest

from agents.verify import RuleVerifier, TrainedVerifier
from agents.verify.exclusive import exclude, other_ordinal
from core.protocols import Encoder

EXCHANGED = [
    ("The Board meets once a month.", "The Board meets twice a month."),
    ("Sales doubled in 2022.", "Sales tripled in 2022."),
    ("About two thirds of the members voted yes.", "About one third of the members voted yes."),
    ("Smoking is prohibited in the building.", "Smoking is permitted in the building."),
    ("The valve is normally closed.", "The valve is normally open."),
    ("Turn the knob clockwise to close the valve.", "Turn the knob counterclockwise to close the valve."),
    ("Switch on the pump before you open the tap.", "Switch off the pump before you open the tap."),
    ("The shop is open from 9 a.m. to 5 p.m.", "The shop is open from 9 p.m. to 5 a.m."),
    ("Schalten Sie das Gerät vor der Reinigung aus.", "Schalten Sie das Gerät vor der Reinigung ein."),
    ("Die Temperatur darf höchstens 40 Grad betragen.", "Die Temperatur darf mindestens 40 Grad betragen."),
    ("Das Gerät darf in keinem Fall in Wasser getaucht werden.", "Das Gerät darf in Wasser getaucht werden."),
    ("Der Umsatz stieg im Jahr 2022 um 5 Prozent.", "Der Umsatz sank im Jahr 2022 um 5 Prozent."),
]


@pytest.mark.parametrize(("passage", "claim"), EXCHANGED)
def test_an_exchanged_word_is_contradicted(passage: str, claim: str) -> None:
    verdict = RuleVerifier().check(claim, ["Manual\n\n" + passage])
    assert verdict.label == "contradicted", verdict


def test_the_trained_verifier_is_overruled(encoder: Encoder) -> None:
    verifier = TrainedVerifier(encoder)
    said = [verifier.check(claim, ["Manual\n\n" + passage]).label for passage, claim in EXCHANGED]
    assert said == ["contradicted"] * len(EXCHANGED)


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        (
            "Turn the knob clockwise to close it and counterclockwise to open it.",
            "Turn the knob counterclockwise to open it.",
        ),
        ("Both the first and the second edition were printed in Berlin.", "The second edition was printed in Berlin."),
        ("Smoking is prohibited in the building.", "Smoking is forbidden in the building."),
        ("The shop is open from 9 a.m. to 5 p.m.", "The shop is open from 9am to 5pm."),
        ("The tap of the old house is not open.", "The tap of the old house is now closed."),
    ],
)
def test_what_excludes_nothing_is_not_contradicted(passage: str, claim: str) -> None:
    assert RuleVerifier().check(claim, ["Manual\n\n" + passage]).label != "contradicted"


@pytest.mark.parametrize("evidence", ["first", "third"])
def test_what_is_said_of_another_quarter_is_neither_support_nor_contradiction(evidence: str) -> None:
    passage = f"Report\n\nNet sales in the {evidence} quarter were $5 million."
    verdict = RuleVerifier().check("Net sales in the second quarter were $5 million.", [passage])
    assert verdict.label == "partial", verdict
    assert verdict.reason == f"the claim has “second” where the passage has “{evidence}”"


def test_alternatives_exclude_one_another_and_synonyms_do_not() -> None:
    assert other_ordinal("first", "third")
    assert exclude("third", "quarter")
    assert not exclude("forbidden", "prohibited")
    assert not exclude("first", "third")
    assert not exclude("half", "once")
    assert not exclude("valve", "open")
