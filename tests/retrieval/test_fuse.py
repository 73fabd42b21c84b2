"""Fusion: the arithmetic, and what must hold for any lists."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidRequest
from retrieval.fuse import convex, minmax, rrf

SCORES = st.floats(-100, 100, allow_nan=False, width=32)
RANKED = st.dictionaries(st.integers(0, 30), SCORES, max_size=15).map(
    lambda d: sorted(d.items(), key=lambda hit: (-hit[1], hit[0]))
)
ALPHA = st.floats(0, 1)


def test_rrf_adds_reciprocal_ranks() -> None:
    fused = dict(rrf({"bm25": [(7, 9.0), (8, 5.0), (9, 1.0)], "dense": [(9, 0.8), (7, 0.7)]}))
    assert fused[7] == pytest.approx(1 / (60 + 1) + 1 / (60 + 2))
    assert fused[9] == pytest.approx(1 / (60 + 3) + 1 / (60 + 1))
    assert fused[8] == pytest.approx(1 / (60 + 2))


def test_rrf_looks_no_deeper_than_depth() -> None:
    assert rrf({"one": [(1, 3.0), (2, 2.0), (3, 1.0)]}, k=0, depth=2) == [(1, 1 / 1), (2, 1 / 2)]


def test_rrf_breaks_ties_by_the_smaller_row() -> None:
    assert [row for row, _ in rrf({"a": [(5, 1.0)], "b": [(3, 1.0)]})] == [3, 5]


def test_convex_weighs_the_scaled_scores() -> None:
    sparse = [(1, 12.0), (2, 6.0), (3, 4.0)]  # (s - 4) / (12 - 4): 1, 0.25, 0
    dense = [(2, 0.9), (4, 0.5), (1, 0.4)]  # (s - 0.4) / (0.9 - 0.4): 1, 0.2, 0
    fused = dict(convex(sparse, dense, alpha=0.75))
    assert fused[1] == pytest.approx(0.25 * 1 + 0.75 * 0)
    assert fused[2] == pytest.approx(0.25 * 0.25 + 0.75 * 1)
    assert fused[3] == pytest.approx(0.25 * 0)
    assert fused[4] == pytest.approx(0.75 * 0.2)


def test_a_list_of_equal_scores_says_only_that_they_match() -> None:
    assert minmax([(4, 2.5), (6, 2.5)]) == [(4, 1.0), (6, 1.0)]
    assert convex([(4, 2.5)], [(9, 0.3), (4, 0.1)], alpha=0.5) == [(4, 0.5 * 1 + 0.5 * 0), (9, 0.5 * 1)]


def test_nothing_fuses_to_nothing() -> None:
    assert rrf({}) == rrf({"a": []}) == convex([], []) == minmax([]) == []


@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan])
def test_a_weight_outside_of_0_to_1_is_refused(alpha: float) -> None:
    with pytest.raises(InvalidRequest, match="alpha"):
        convex([], [], alpha=alpha)


def test_impossible_depths_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        convex([], [], depth=0)
    with pytest.raises(InvalidRequest):
        rrf({}, depth=0)
    with pytest.raises(InvalidRequest):
        rrf({}, k=-1)


@given(RANKED, RANKED, RANKED)
def test_rrf_does_not_care_which_list_comes_first(
    a: list[tuple[int, float]], b: list[tuple[int, float]], c: list[tuple[int, float]]
) -> None:
    one, other = dict(rrf({"a": a, "b": b, "c": c})), dict(rrf({"c": c, "a": a, "b": b}))
    assert one == pytest.approx(other)


@given(RANKED, RANKED)
def test_fusing_loses_no_row_and_invents_none(a: list[tuple[int, float]], b: list[tuple[int, float]]) -> None:
    rows = {row for row, _ in a} | {row for row, _ in b}
    for fused in (rrf({"a": a, "b": b}), convex(a, b)):
        assert {row for row, _ in fused} == rows
        assert len(fused) == len(rows)
        assert fused == sorted(fused, key=lambda hit: (-hit[1], hit[0]))


@given(RANKED, RANKED, ALPHA)
def test_convex_lies_between_0_and_1_and_turns_around(
    a: list[tuple[int, float]], b: list[tuple[int, float]], alpha: float
) -> None:
    fused = dict(convex(a, b, alpha))
    assert all(-1e-9 <= score <= 1 + 1e-9 for score in fused.values())
    assert dict(convex(b, a, 1 - alpha)) == pytest.approx(fused, abs=1e-9)


@given(RANKED, RANKED, st.floats(0.125, 8), st.floats(-50, 50))
def test_convex_does_not_care_about_scale_and_zero_of_a_list(
    a: list[tuple[int, float]], b: list[tuple[int, float]], scale: float, zero: float
) -> None:
    values = [score for _, score in a]
    if values and 0 < max(values) - min(values) < 1e-3:
        return  # too close together to be told apart once moved
    moved = [(row, score * scale + zero) for row, score in a]
    assert dict(convex(moved, b)) == pytest.approx(dict(convex(a, b)), abs=1e-6)


@given(RANKED, RANKED, st.data())
def test_what_gets_better_in_one_list_does_not_get_worse(
    a: list[tuple[int, float]], b: list[tuple[int, float]], data: st.DataObject
) -> None:
    if len(a) < 2:
        return
    place = data.draw(st.integers(1, len(a) - 1))
    row = a[place][0]
    # It changes places with the one before it.
    better = [*a[: place - 1], (row, a[place - 1][1]), (a[place - 1][0], a[place][1]), *a[place + 1 :]]
    assert dict(rrf({"a": better, "b": b}))[row] >= dict(rrf({"a": a, "b": b}))[row]
    assert dict(convex(better, b))[row] >= dict(convex(a, b))[row] - 1e-12


@given(RANKED, RANKED)
def test_at_its_ends_convex_is_one_of_the_lists(a: list[tuple[int, float]], b: list[tuple[int, float]]) -> None:
    assert {row: s for row, s in convex(a, b, alpha=0.0) if s > 0} == {row: s for row, s in minmax(a) if s > 0}
    assert {row: s for row, s in convex(a, b, alpha=1.0) if s > 0} == {row: s for row, s in minmax(b) if s > 0}
