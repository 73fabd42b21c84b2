"""A gate lets through what is shown to be no worse, which is not what is merely not shown to be worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from core.errors import InvalidRequest
from eval.compare import compare_runs
from eval.gate import Gate, gate
from eval.saved import SavedRun


def run(path: str, values: Sequence[float | None], metric: str = "ndcg@10") -> SavedRun:
    per_query: dict[str, dict[str, float | None]] = {f"q{i}": {metric: value} for i, value in enumerate(values)}
    return SavedRun(path=path, label=path, kind="retrieval", data="d", data_sha256="", per_query=per_query)


def gated(
    baseline: Sequence[float | None], new: Sequence[float | None], margin: float = 0.02, metric: str = "ndcg@10"
) -> Gate:
    return gate(compare_runs(run("old", baseline, metric), run("new", new, metric)), margin)


STEADY = [0.2, 0.4, 0.6, 0.8] * 50


def test_the_same_run_passes_and_so_does_one_that_is_better_everywhere() -> None:
    assert gated(STEADY, STEADY, 0.0).passed
    better = gated(STEADY, [v + 0.1 for v in STEADY], 0.0)
    assert better.passed and better.metrics[0].low == pytest.approx(0.1)


def test_a_loss_within_the_margin_passes_and_one_beyond_it_fails() -> None:
    worse = [v - 0.01 for v in STEADY]
    assert gated(STEADY, worse, 0.02).passed
    assert not gated(STEADY, worse, 0.005).passed


def test_too_little_data_fails_rather_than_passes() -> None:
    noise = np.random.default_rng(0)
    few, many = (list(np.clip(noise.normal(0.5, 0.3, n), 0, 1)) for n in (20, 4000))
    jitter = [float(np.clip(v + d, 0, 1)) for v, d in zip(few, noise.normal(0, 0.2, 20), strict=True)]
    assert not gated(few, jitter, 0.02).passed  # not shown to be worse, nor shown not to be
    calm = [float(np.clip(v + d, 0, 1)) for v, d in zip(many, noise.normal(0, 0.2, 4000), strict=True)]
    assert gated(many, calm, 0.02).passed


def test_where_less_is_better_a_rise_is_a_loss() -> None:
    risen = gated(STEADY, [v + 0.1 for v in STEADY], 0.02, metric="wrong")
    assert not risen.passed and risen.metrics[0].gain == pytest.approx(-0.1)
    assert gated(STEADY, [v - 0.1 for v in STEADY], 0.0, metric="wrong").passed


def test_it_is_the_lower_end_of_the_interval_that_decides() -> None:
    noise = np.random.default_rng(1)
    new = [v + d for v, d in zip(STEADY, noise.normal(0, 0.1, len(STEADY)), strict=True)]
    (found,) = gated(STEADY, new).metrics
    compared = compare_runs(run("old", STEADY), run("new", new)).metrics[0]
    assert (found.low, found.high) == (compared.ci_low, compared.ci_high)
    assert gate(compare_runs(run("old", STEADY), run("new", new)), max(0.0, -found.low)).passed


def test_a_margin_per_metric_and_what_is_no_margin() -> None:
    compared = compare_runs(run("old", STEADY), run("new", [v - 0.01 for v in STEADY]))
    assert gate(compared, [("ndcg@10", 0.02)]).passed and not gate(compared, [("ndcg@10", 0.001)]).passed
    for margin in (-0.1, float("nan"), float("inf")):
        with pytest.raises(InvalidRequest, match="margin"):
            gate(compared, margin)
    with pytest.raises(InvalidRequest, match="two or more"):
        gated([0.5], [0.5])


def test_what_is_not_compared_is_no_pass() -> None:
    none = [None] * 200
    compared = compare_runs(run("old", STEADY), run("new", none))
    for margins in (0.0, [("ndcg@10", 0.0)]):
        with pytest.raises(InvalidRequest, match=r"ndcg@10 \(200 values in old, 0 in new\)") as refused:
            gate(compared, margins)
        assert refused.value.code == "not-compared"
    both = run("old", STEADY)
    more = replace(both, per_query={q: {**values, "mrr@10": 1.0} for q, values in both.per_query.items()})
    with pytest.raises(InvalidRequest, match=r"mrr@10 \(200 values in old, 0 in new\)"):
        gate(compare_runs(more, run("new", STEADY)), 0.0)  # a run that no longer measures it
    assert gate(compare_runs(more, run("new", STEADY), metrics=("ndcg@10",)), [("ndcg@10", 0.0)]).passed
    with pytest.raises(InvalidRequest, match="of any metric"):
        gate(compare_runs(run("old", none), run("new", none)), 0.0)


def test_a_metric_that_neither_run_has_values_of_is_left_out_unless_it_is_named() -> None:
    def with_spare(path: str) -> SavedRun:
        made = run(path, STEADY)
        return replace(made, per_query={q: {**values, "spare": None} for q, values in made.per_query.items()})

    compared = compare_runs(with_spare("old"), with_spare("new"))
    judged = gate(compared, 0.0)
    assert judged.passed and any("spare" in note for note in judged.comparison.notes)
    with pytest.raises(InvalidRequest, match="spare"):
        gate(compared, [("ndcg@10", 0.0), ("spare", 0.0)])


def test_questions_that_lost_their_value_are_counted_and_more_than_a_twentieth_fail() -> None:
    (few,) = gated(STEADY, [None] * 10 + STEADY[10:], 0.0).metrics  # 10 / 200 = 5 %
    assert few.passed and (few.n, few.excluded, few.lost) == (190, 10, 10)
    assert "over 190 questions; 10 have no value in both" in few.text()
    (many,) = gated(STEADY, [None] * 11 + STEADY[11:], 0.0).metrics
    assert (
        not many.passed and "11 of the 200 questions with a value in the baseline have none in the run" in many.text()
    )
    (won,) = gated([None] * 50 + STEADY[50:], STEADY, 0.0).metrics  # what the baseline lacked is no loss
    assert won.passed and (won.n, won.excluded, won.lost) == (150, 50, 0)


def test_two_questions_show_nothing_however_much_better_they_are() -> None:
    (two,) = gated([0.5] * 2 + [None] * 198, [1.0] * 2 + [None] * 198, 0.0).metrics
    assert not two.passed and "2 questions are too few, it takes 20" in two.text()
    assert gated([0.5] * 20, [0.5] * 20, 0.0).passed


def test_questions_that_the_run_left_out_are_lost_and_those_it_added_are_not_judged() -> None:
    def shared(old: Sequence[float], new: Sequence[float]) -> Gate:
        return gate(compare_runs(run("old", old), run("new", new), intersect=True), 0.0)

    assert shared(STEADY, [*STEADY, 0.0]).passed
    fewer = shared(STEADY, STEADY[:180])  # 20 of 200 are more than 5 %
    assert not fewer.passed and "20 of the 200 questions with a value in the baseline" in fewer.metrics[0].why
