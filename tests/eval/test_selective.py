"""Thresholds that hold: bounds against known values, and the promise itself over simulated collections."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import InvalidRequest
from eval.selective import Judged, answers_needed, aurc, clopper_pearson_upper, fit_threshold


def test_the_bound_is_clopper_and_pearsons() -> None:
    assert clopper_pearson_upper(0, 59) == pytest.approx(1 - 0.05 ** (1 / 59))  # none wrong: 1 − α^(1/n)
    assert clopper_pearson_upper(0, 629) < 0.005  # what 629 attacks without a success show
    assert clopper_pearson_upper(5, 5) == 1.0


def test_how_many_answers_a_bound_takes() -> None:
    # 0.95^58 = 0.0510, 0.95^59 = 0.0485
    assert answers_needed(0, 0.05) == 59
    assert [answers_needed(k, 0.05) for k in (1, 2)] == [93, 124]


def test_the_area_is_the_mean_risk() -> None:
    assert aurc([False, False, True, True]) == pytest.approx((0 + 0 + 1 / 3 + 2 / 4) / 4)


def questions(n: int, risk_of: float, seed: int = 0) -> list[Judged]:
    """Answers whose chance of being wrong falls from twice ``risk_of`` to nothing as confidence rises."""
    rng = np.random.default_rng(seed)
    confidence = rng.random(n)
    wrong = rng.random(n) < 2 * risk_of * (1 - confidence)
    return [
        Judged(confidence=float(c), answerable=not w, wrong=bool(w)) for c, w in zip(confidence, wrong, strict=True)
    ]


def test_with_enough_questions_a_threshold_is_chosen_and_its_coverage_said() -> None:
    found = fit_threshold(questions(1000, 0.2), 0.1)
    assert found.chosen is not None and not found.refused
    assert found.chosen.upper <= 0.1
    assert 0.2 < found.chosen.coverage < 0.8
    assert found.aurc_best <= found.aurc


def test_too_few_questions_are_refused_and_it_is_said_how_many_more() -> None:
    found = fit_threshold(questions(40, 0.0), 0.05)
    assert found.chosen is None
    assert found.more_questions == 59 - 40
    assert "at least 19 more questions" in found.refused


def test_answers_too_wrong_for_the_error_are_refused() -> None:
    found = fit_threshold(
        [Judged(confidence=i / 200, answerable=i % 2 == 0, wrong=i % 2 == 1) for i in range(200)], 0.05
    )
    assert found.chosen is None and found.more_questions is None
    assert "more questions like these would not show it" in found.refused


def test_equal_confidences_are_answered_together_or_not_at_all() -> None:
    same = [Judged(confidence=0.9, answerable=True, wrong=i < 30) for i in range(100)]
    assert fit_threshold(same, 0.05).chosen is None
    assert {p.answered for p in fit_threshold(same, 0.05).curve} == {100}


def test_what_is_promised_holds_in_at_least_95_of_100_collections() -> None:
    """The true risk above the chosen threshold, known here by construction, exceeds the error in at most 5 %."""
    broken = made = 0
    for seed in range(200):
        chosen = fit_threshold(questions(300, 0.2, seed), 0.1).chosen
        if chosen is not None:
            made += 1
            broken += 2 * 0.2 * (1 - (1 + chosen.threshold) / 2) > 0.1  # mean of 0.4 (1 − c) for c above it
    assert made > 60
    assert broken / 200 <= 0.05


@pytest.mark.parametrize("error", [0.0, 1.0, -1.0])
def test_an_error_outside_0_to_1_is_refused(error: float) -> None:
    with pytest.raises(InvalidRequest):
        fit_threshold(questions(10, 0.1), error)
