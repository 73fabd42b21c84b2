"""Eight-bit codes: the bound holds, and answers are those of the vectors themselves, whatever was scanned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.types import Vectors
from retrieval.dense.codes import Scan, encode
from retrieval.dense.exact import BLOCK_ROWS, ExactIndex
from tests.contract.dense_index_suite import allow, brute_force, row_numbers, rows_of, unit_vectors

LITTLE = 16  # dimensions
MANY = 2 * BLOCK_ROWS + 700  # two blocks with codes, and one that is not full


def odd_vectors(seed: int, n: int, dim: int, spread: float) -> Vectors:
    """Vectors of any length whose dimensions differ in size by up to 10 to the ``spread``; one dimension is nought."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, dim)) * 10.0 ** rng.uniform(-spread, spread, size=dim)
    vectors[:, 0] = 0.0
    return vectors.astype(np.float32)


def holding(vectors: Vectors) -> ExactIndex:
    index = ExactIndex(vectors.shape[1])
    index.add(row_numbers(len(vectors)), vectors)
    return index


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 3), st.floats(0, 3))
def test_a_score_is_never_further_off_than_the_bound(seed: int, dim: int, n_blocks: int, spread: float) -> None:
    vectors = odd_vectors(seed, 120, dim, spread)
    query = odd_vectors(seed + 1, 1, dim, 1.0)[0]
    parts = np.array_split(vectors, n_blocks)
    starts = np.cumsum([0, *map(len, parts)])[:-1].tolist()
    scan = Scan([(s, encode(p)) for s, p in zip(starts, parts, strict=True)], query, None)
    scores, positions = scan.nearest(120)
    true = vectors.astype(np.float64) @ query.astype(np.float64)
    assert sorted(positions.tolist()) == list(range(120))
    assert np.abs(scores - true[positions]).max() <= scan.error
    least = float(np.median(true))
    assert set(np.flatnonzero(true >= least + scan.error)) <= set(scan.above(least).tolist())


def test_given_steps_that_are_too_small_show_in_the_residual() -> None:
    vectors = unit_vectors(50, dim=LITTLE)
    steps = np.full(LITTLE, 0.5 / 127, dtype=np.float32)
    codes = encode(vectors, steps)
    lost = vectors - (codes.codes.astype(np.float32) - 128) * steps
    assert codes.residual == pytest.approx(np.linalg.norm(lost, axis=1).max(), rel=1e-4)
    assert codes.residual > encode(vectors).residual


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.05, 0.01, 0.001])
@pytest.mark.parametrize("k", [1, 10, 300])
def test_coded_blocks_are_searched_without_a_miss(share: float, k: int) -> None:
    vectors, queries = unit_vectors(MANY, dim=LITTLE), unit_vectors(5, dim=LITTLE, seed=1)
    chosen = np.random.default_rng(3).choice(row_numbers(MANY), int(MANY * share), replace=False)
    allowed = allow(chosen.tolist(), MANY + 1)
    found = holding(vectors).search(queries, k, allowed)
    wanted = [brute_force(row_numbers(MANY), vectors, query, k, allowed) for query in queries]
    assert [rows_of(hits) for hits in found] == wanted


def test_equal_vectors_in_coded_blocks_tie_by_row_however_many_there_are() -> None:
    vectors = np.repeat(unit_vectors(2, dim=LITTLE), MANY // 2, axis=0)
    hits = holding(vectors).search(vectors[-1:], 5, allow(range(MANY + 1), MANY + 1))[0]
    assert rows_of(hits) == [MANY // 2 + 1 + i for i in range(5)]
    assert len({score for _, score in hits}) == 1


def test_one_vector_unlike_the_others_costs_no_hit() -> None:
    vectors = unit_vectors(MANY, dim=LITTLE)
    vectors[5000] = np.eye(LITTLE, dtype=np.float32)[0]  # widens the steps of its block
    vectors[:, 3] *= 1e-3
    query = unit_vectors(1, dim=LITTLE, seed=4)
    allowed = allow(range(MANY + 1), MANY + 1)
    assert rows_of(holding(vectors).search(query, 20, allowed)[0]) == brute_force(
        row_numbers(MANY), vectors, query[0], 20, allowed
    )


def test_scores_beyond_float32_are_still_ranked() -> None:
    vectors = unit_vectors(MANY, dim=LITTLE)
    vectors[100] *= np.float32(1e30)
    query = unit_vectors(1, dim=LITTLE, seed=4)
    allowed = allow(range(MANY + 1), MANY + 1)
    assert rows_of(holding(vectors).search(query, 7, allowed)[0]) == brute_force(
        row_numbers(MANY), vectors, query[0], 7, allowed
    )


def test_codes_follow_additions_and_removals() -> None:
    vectors, query = unit_vectors(MANY, dim=LITTLE), unit_vectors(1, dim=LITTLE, seed=5)
    index = ExactIndex(LITTLE)
    kept: dict[int, NDArray[np.float32]] = {}
    for start in range(0, MANY, 1700):
        rows = row_numbers(len(vectors[start : start + 1700]), start + 1)
        index.add(rows, vectors[start : start + 1700])
        kept.update(zip(rows.tolist(), vectors[start : start + 1700], strict=True))
        gone = rows[::2].tolist()
        index.remove(gone)
        for row in gone:
            del kept[row]
        left = np.array(sorted(kept), dtype=np.int64)
        allowed = allow(range(MANY + 1), MANY + 1)
        wanted = brute_force(left, np.array([kept[r] for r in left]), query[0], 12, allowed)
        assert rows_of(index.search(query, 12, allowed)[0]) == wanted
    assert len(index) == len(kept)


def test_codes_take_a_quarter_of_the_vectors() -> None:
    plain, coded = holding(unit_vectors(BLOCK_ROWS - 1)), holding(unit_vectors(BLOCK_ROWS))
    more = coded.nbytes - plain.nbytes
    assert more == pytest.approx(BLOCK_ROWS * 32, rel=0.05)  # 32 dimensions, a byte each
