"""Which verifier the settings mean, and what people are told of it."""

from __future__ import annotations

import pytest

from agents.verify import JudgeVerifier, ModelVerifier, RuleVerifier, SecondOpinion, TrainedVerifier
from agents.verify.errors import error_rates
from app.ui.marks import said_of
from app.wiring import build_verifier
from core.errors import InvalidRequest
from core.settings import Settings


@pytest.mark.parametrize(
    ("named", "kind"),
    [
        ("trained", TrainedVerifier),
        ("rules", RuleVerifier),
        ("model", ModelVerifier),
        ("cascade", SecondOpinion),
        ("judge", JudgeVerifier),
    ],
)
def test_settings_name_the_verifier_and_nothing_is_loaded_yet(named: str, kind: type) -> None:
    settings = Settings.model_validate({"verifier": named, "verifier_model": "no/such-model"})
    assert isinstance(build_verifier(settings), kind)


@pytest.mark.parametrize("named", ["model", "cascade"])
def test_a_verifier_by_name_without_a_name_says_what_to_set(named: str) -> None:
    with pytest.raises(InvalidRequest, match="needs verifier_model"):
        build_verifier(Settings.model_validate({"verifier": named}))


@pytest.mark.parametrize("named", ["trained", "rules"])
def test_error_rates_are_said_in_words(named: str) -> None:
    rates = error_rates(named)
    assert set(rates) == {"documents", "conversation"}
    said = said_of({"errors": {kind: {f: getattr(of, f) for f in of.__slots__} for kind, of in rates.items()}})
    assert f"{rates['documents'].wrongly_supported:.0%} of the unsupported ones" in said[1]


def test_a_verifier_that_was_not_measured_is_said_to_be_unmeasured() -> None:
    assert error_rates("model") == {}
    assert said_of({"errors": {}}) == ["How often this verifier errs has not been measured here."]


def test_the_language_model_may_be_the_last_stage_and_must_be_there() -> None:
    found = build_verifier(Settings.model_validate({"verifier": "cascade", "verifier_model": "judge"}))
    assert isinstance(found, SecondOpinion)
    with pytest.raises(InvalidRequest, match="lm_runtime is none"):
        build_verifier(Settings.model_validate({"verifier": "judge", "lm_runtime": "none"}))
