"""A gate lets through what is shown to be no worse, which is not what is merely not shown to be worse."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import InvalidRequest
from eval.compare import compare_runs
from eval.gate import Gate, gate
from eval.saved import SavedRun


def run(path: str, values: list[float], metric: str = "ndcg@10") -> SavedRun:
    per_query: dict[str, dict[str, float | None]] = {f"q{i}": {metric: value} for i, value in enumerate(values)}
    return SavedRun(path=path, label=path, kind="retrieval", data="d", data_sha256="", per_query=per_query)


def gated(baseline: list[float], new: list[float], margin: float = 0.02, metric: str = "ndcg@10") -> Gate:
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
