"""A figure that stands somewhere in a passage bears out no claim on something else."""

from __future__ import annotations

import pytest

from agents.verify import ModelVerifier, RuleVerifier, TrainedVerifier
from agents.verify.numbers import quantities
from core.protocols import Encoder
from models.grounding import Grounding

RETURNS = (
    "Frequently asked questions\n\nYou may return unused goods within 30 days of receipt. Please keep the original "
    "packaging. Custom-made furniture cannot be returned."
)
TICKET = "Onboarding\n\nJob ticket: €30 a month, from the first month on."


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("The moon has 30 days.", RETURNS),
        ("Sick leave can be taken for 30 days.", RETURNS),
        ("The probation period lasts 30 days.", RETURNS),
        ("The gym costs 30 euros.", TICKET),
        ("The tower is 30 metres high and was built by Romans.", "Ladders\n\nA ladder of 30 metres weighs 90 kg."),
        ("On 4 May 2019 the museum was closed.", "Minutes\n\nThe board met on 4 May 2019 and chose a treasurer."),
    ],
)
def test_a_figure_beside_other_words_supports_nothing(encoder: Encoder, claim: str, evidence: str) -> None:
    for verifier in (RuleVerifier(), TrainedVerifier(encoder)):
        verdict = verifier.check(claim, [evidence])
        assert verdict.label != "supported", verdict
        assert "but speaks of something else" in verdict.reason


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("Goods can be returned within 30 days.", RETURNS),
        ("The job ticket is 30 euros a month.", TICKET),
        ("30 days.", RETURNS),  # nothing beside its figure
        ("On 4 May 2019 the board chose a treasurer.", "Minutes\n\nThe board met on 4 May 2019 and chose a treasurer."),
    ],
)
def test_a_figure_of_which_the_passage_speaks_is_not_apart(claim: str, evidence: str) -> None:
    assert "something else" not in RuleVerifier().check(claim, [evidence]).reason


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("He died in 1998.", "Miller passed away in 1998."),
        ("They won in 1998.", "France beat Brazil in the 1998 final. It was their first title."),
        ("It cost $5.", "The ticket was sold for $5 at the door."),
    ],
)
def test_a_claim_that_names_no_subject_may_speak_of_the_passages(encoder: Encoder, claim: str, evidence: str) -> None:
    assert TrainedVerifier(encoder).check(claim, [evidence]).label == "supported"
    assert "something else" not in RuleVerifier().check(claim, [evidence]).reason
    named = f"The moon was bought and {claim[0].lower()}{claim[1:]}"
    assert TrainedVerifier(encoder).check(named, [evidence]).label != "supported"


class Believing:
    """A model that reads German, say."""

    name = "believing"

    def judge(self, claim: str, text: str) -> Grounding:
        return Grounding(supported=0.9, contradicted=0.0)


def test_a_model_that_reads_is_not_overruled_by_words() -> None:
    claim, evidence = "Admission is 5 euros.", "Aushang\n\nDer Eintritt kostet 5 Euro."
    assert RuleVerifier().check(claim, [evidence]).label != "supported"
    assert ModelVerifier(Believing()).check(claim, [evidence]).label == "supported"


@pytest.mark.parametrize("text", ["30 days", "30 euros", "€30", "5 million", "5 km/h", "five weeks", "5-year"])
def test_a_quantity_ends_behind_its_unit(text: str) -> None:
    (quantity,) = quantities(text + " is said")
    assert quantity.end == len(text)
