"""Paired statistics: against scipy, against cases worked by hand, and by simulation of what they promise."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from eval.statistics import (
    bootstrap_means,
    detectable_difference,
    holm,
    percentile_interval,
    questions_needed,
    randomization_test,
    wilson_interval,
)

differences = st.lists(st.sampled_from([-1.0, -0.5, -0.1, 0.0, 0.1, 0.3, 0.5]), min_size=1, max_size=12)


def test_three_wins_of_one_size_happen_by_chance_in_a_quarter_of_sign_assignments() -> None:
    # Of 2³ = 8 assignments, +++ and −−− have |sum| ≥ 3.
    result = randomization_test([1.0, 1.0, 1.0])
    assert (result.p, result.n_flips, result.exact) == (2 / 8, 8, True)


def test_unequal_differences_are_weighed_not_counted() -> None:
    # |3 − 1 + 0.5| = 2.5. Sums of ±3 ±1 ±0.5: 4.5, 3.5, 2.5, 1.5 and their negatives: six of eight are ≥ 2.5.
    assert randomization_test([3.0, -1.0, 0.5]).p == 6 / 8


def test_questions_without_a_difference_change_nothing() -> None:
    assert randomization_test([1.0, 0.0, 1.0, 0.0, 1.0]).p == 2 / 8
    assert randomization_test([0.0, 0.0]).p == 1


@settings(max_examples=100, deadline=None)
@given(differences)
def test_the_exact_p_equals_scipys(d: list[float]) -> None:
    # It wants two numbers or more; a 0 changes nothing.
    theirs = stats.permutation_test(
        (np.array([*d, 0.0]),), np.mean, permutation_type="samples", n_resamples=2**13, alternative="two-sided"
    )
    assert randomization_test(d).p == pytest.approx(float(theirs.pvalue), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(differences)
def test_p_does_not_depend_on_which_run_is_called_a(d: list[float]) -> None:
    assert randomization_test(d).p == randomization_test([-x for x in d]).p


def test_random_flips_come_near_the_exact_p_and_repeat_with_the_seed() -> None:
    d = np.random.default_rng(3).normal(0.3, 1, size=16).tolist()
    exact = randomization_test(d, n_flips=2**16)
    sampled = randomization_test(d, n_flips=2**16 - 1, seed=1)
    assert (exact.exact, sampled.exact) == (True, False)
    standard_error = math.sqrt(exact.p * (1 - exact.p) / 2**16)
    assert abs(sampled.p - exact.p) < 4 * standard_error
    assert sampled == randomization_test(d, n_flips=2**16 - 1, seed=1)


def test_a_sampled_p_is_never_zero() -> None:
    result = randomization_test([1.0] * 200, n_flips=10_000)
    assert result.p == (1 + 0) / (1 + 10_000)


def test_many_questions_are_resampled_within_64_megabytes() -> None:
    d = np.random.default_rng(0).normal(size=20_000)
    tracemalloc.start()
    randomization_test(d.tolist(), n_flips=10_000)
    bootstrap_means(d, n_resamples=2_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 2**20


def test_the_plain_percentile_interval_equals_scipys_up_to_resampling_noise() -> None:
    d = np.random.default_rng(5).exponential(size=60)
    ours = percentile_interval(bootstrap_means(d, n_resamples=100_000), 60, small_sample=False)
    theirs = stats.bootstrap((d,), np.mean, method="percentile", n_resamples=100_000, rng=1, batch=10_000)
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.005)


def test_the_small_sample_interval_of_normal_means_is_students() -> None:
    # If the bootstrap means were exactly normal, the ends would be mean ± t_{n−1} s / √n.
    n, mean, s = 12, 0.3, 0.5  # s with the divisor n − 1
    quantiles = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    means = mean + quantiles * s * math.sqrt((n - 1) / n) / math.sqrt(n)
    half = stats.t.ppf(0.975, n - 1) * s / math.sqrt(n)
    assert percentile_interval(means, n) == pytest.approx((mean - half, mean + half), abs=1e-3)


def test_holm_multiplies_the_smallest_by_the_number_of_tests_and_never_steps_down() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([3 * 0.01, max(1 * 0.04, 0.06), 2 * 0.03, 4 * 0.005])
    assert holm([0.5, 0.9]) == [1.0, 1.0]  # 2 × 0.5, and never less than the one before it
    assert holm([]) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[float]) -> None:
    order, m, rejected = sorted(range(len(p_values)), key=lambda i: p_values[i]), len(p_values), set()
    for i, index in enumerate(order):
        if (m - i) * p_values[index] >= 0.05:
            break
        rejected.add(index)
    assert {i for i, p in enumerate(holm(p_values)) if p < 0.05} == rejected


def test_the_questions_needed_follow_from_spread_and_difference() -> None:
    # (1.95996 + 0.84162)² × 0.3² / 0.05² = 7.8489 × 36 = 282.6
    assert questions_needed(0.3, 0.05) == questions_needed(0.3, -0.05) == 283
    assert questions_needed(0.3, 0.0) is None
    assert detectable_difference(0.3, 283) == pytest.approx(0.05, abs=1e-4)


def test_with_that_many_questions_the_difference_is_found_four_times_in_five() -> None:
    n = questions_needed(0.3, 0.1)
    assert n == 71
    rng = np.random.default_rng(11)
    found = sum(
        randomization_test(rng.normal(0.1, 0.3, size=n).tolist(), n_flips=2_000, seed=i).p < 0.05 for i in range(500)
    )
    assert abs(found / 500 - 0.8) < 4 * math.sqrt(0.8 * 0.2 / 500)


def ndcg_like(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Differences as two retrievers have them: most questions alike, the rest on a few values."""
    return np.where(
        rng.random(n) < 0.6,
        0.0,
        rng.choice(VALUES, n, p=SHARES),
    )


VALUES = np.array([-1, -0.63, -0.5, -0.37, -0.13, 0.13, 0.37, 0.5, 0.63, 1])
SHARES = np.array([0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.15, 0.1, 0.08, 0.07])
TRUE_MEAN = 0.4 * float(VALUES @ SHARES)


def test_two_runs_of_the_same_quality_differ_in_about_5_percent_of_1000_pairs() -> None:
    rng = np.random.default_rng(2026)
    found = 0
    for i in range(1000):
        # A and B draw from one distribution, question by question.
        a, b = rng.beta(0.5, 0.5, size=(2, 50)).round(1)
        found += randomization_test((b - a).tolist(), n_flips=2_000, seed=i).p < 0.05
    # 50 ± 3 standard errors of √(1000 × 0.05 × 0.95) = 6.9
    assert 50 - 21 <= found <= 50 + 21


@pytest.mark.slow
@pytest.mark.parametrize(("n", "at_least", "at_most"), [(20, 0.91, 0.97), (50, 0.93, 0.97), (200, 0.935, 0.965)])
def test_the_interval_holds_the_true_difference_as_often_as_it_says(n: int, at_least: float, at_most: float) -> None:
    rng = np.random.default_rng(n)
    held = 0
    for i in range(2000):
        low, high = percentile_interval(bootstrap_means(ndcg_like(rng, n), n_resamples=2_000, seed=i), n)
        held += low - 1e-12 <= TRUE_MEAN <= high + 1e-12
    assert at_least <= held / 2000 <= at_most


@pytest.mark.slow
def test_sparse_differences_find_nothing_either_where_nothing_is() -> None:
    rng = np.random.default_rng(7)
    found = 0
    for i in range(1000):
        d = ndcg_like(rng, 200) * rng.choice([-1, 1], size=200)
        found += randomization_test(d.tolist(), n_flips=10_000, seed=i).p < 0.05
    assert 50 - 21 <= found <= 50 + 21


@pytest.mark.parametrize(("k", "n"), [(0, 4), (3, 10), (50, 50), (7, 200)])
def test_wilson_as_scipy_has_it(k: int, n: int) -> None:
    theirs = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert wilson_interval(k / n, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
