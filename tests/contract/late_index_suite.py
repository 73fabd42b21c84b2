"""What every LateIndex must do. A subclass gives ``index`` (empty, for token vectors of DIM dimensions)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import InvalidRequest
from core.types import Allowed, Vectors

DIM = 32
N = 400

_WORDS = np.random.default_rng(7).normal(size=(60, DIM))
_WORDS /= np.linalg.norm(_WORDS, axis=1, keepdims=True)


class SizedLateIndex(Protocol):
    def __len__(self) -> int: ...
    def add(self, rows: NDArray[np.int64], tokens: Sequence[Vectors]) -> None: ...
    def remove(self, rows: Sequence[int]) -> None: ...
    def search(self, query: Vectors, k: int, allowed: Allowed) -> list[tuple[int, float]]: ...


def token_vectors(n: int, seed: int, spread: float = 0.12) -> Vectors:
    """Tokens around 60 words, as word pieces in changing contexts lie."""
    rng = np.random.default_rng(seed)
    vectors = _WORDS[rng.integers(0, 60, n)] + spread * rng.normal(size=(n, DIM))
    unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def passages(n: int, first_seed: int = 1000) -> list[Vectors]:
    """Passages of 3 to 22 tokens."""
    return [token_vectors(3 + (7 * i) % 20, first_seed + i) for i in range(n)]


def row_numbers(n: int, first: int = 1) -> NDArray[np.int64]:
    return np.arange(first, first + n, dtype=np.int64)


def allow(rows: Iterable[int], size: int = 2 * N) -> Allowed:
    bits = np.zeros(size, dtype=np.bool_)
    bits[list(rows)] = True
    return Allowed(rows=bits, count=int(bits.sum()), collection_ids=(1,))


def everything() -> Allowed:
    return allow(range(2 * N))


def rows_of(hits: Sequence[tuple[int, float]]) -> list[int]:
    return [row for row, _ in hits]


def brute_force(tokens: Sequence[Vectors], query: Vectors, k: int, rows: Iterable[int]) -> list[tuple[int, float]]:
    """The definition, in float64: Σ_i max_j q_i · d_j / n_query_tokens. Row r is ``tokens[r - 1]``."""
    chosen = list(rows)
    some = [tokens[row - 1] for row in chosen]
    similar = np.concatenate(some).astype(np.float64) @ query.astype(np.float64).T
    ends = np.cumsum([len(t) for t in some])
    scores = np.maximum.reduceat(similar, np.concatenate([[0], ends[:-1]]), axis=0).mean(axis=1)
    return sorted(zip(chosen, scores.tolist(), strict=True), key=lambda hit: (-hit[1], hit[0]))[:k]


class LateIndexSuite:
    tolerance = 1e-6  # of a score against the definition; a compressed index says how far it may be off

    def test_an_empty_index_finds_nothing(self, index: SizedLateIndex) -> None:
        assert index.search(token_vectors(4, 0), 5, everything()) == []

    def test_scores_are_mean_max_sims_best_first(self, index: SizedLateIndex) -> None:
        tokens, query = passages(60), token_vectors(6, 1)
        index.add(row_numbers(60), tokens)
        hits = index.search(query, 60, everything())
        wanted = dict(brute_force(tokens, query, 60, range(1, 61)))
        assert [s for _, s in hits] == sorted((s for _, s in hits), reverse=True)
        assert sorted(rows_of(hits)) == sorted(wanted)
        worst = max(abs(score - wanted[row]) for row, score in hits)
        assert worst <= self.tolerance, f"largest difference from the definition: {worst:.2e}"

    def test_a_passage_is_found_by_its_own_tokens(self, index: SizedLateIndex) -> None:
        tokens = passages(100)
        index.add(row_numbers(100), tokens)
        for row in (12, 40, 99):  # of 12, 14 and 9 tokens
            assert index.search(tokens[row - 1], 1, everything())[0][0] == row

    def test_only_what_is_allowed_is_found_and_all_of_it(self, index: SizedLateIndex) -> None:
        tokens = passages(N)
        index.add(row_numbers(N), tokens)
        for share in (1.0, 0.1, 0.01):
            rows = list(range(1, N + 1, round(1 / share)))
            hits = index.search(token_vectors(5, 3), N, allow(rows))
            assert sorted(rows_of(hits)) == rows

    def test_rows_beyond_the_filter_are_not_allowed(self, index: SizedLateIndex) -> None:
        index.add(np.array([3, 5000], dtype=np.int64), passages(2))
        assert rows_of(index.search(token_vectors(5, 3), 10, everything())) == [3]

    def test_removed_rows_are_gone_at_once_and_unknown_ones_ignored(self, index: SizedLateIndex) -> None:
        index.add(row_numbers(20), passages(20))
        index.remove([4, 5, 99_999])
        assert len(index) == 18
        assert sorted(rows_of(index.search(token_vectors(5, 3), 50, everything()))) == [1, 2, 3, *range(6, 21)]
        index.remove([4])
        assert len(index) == 18

    def test_a_row_that_is_added_again_is_replaced(self, index: SizedLateIndex) -> None:
        tokens, other = passages(20), token_vectors(9, 77)
        index.add(row_numbers(20), tokens)
        index.add(np.array([7], dtype=np.int64), [other])
        assert len(index) == 20
        hits = index.search(other, 20, everything())
        assert hits[0][0] == 7 and len(hits) == 20

    def test_a_row_comes_back_after_it_was_removed(self, index: SizedLateIndex) -> None:
        tokens = passages(20)
        index.add(row_numbers(20), tokens)
        index.remove([7])
        index.add(np.array([7], dtype=np.int64), [tokens[6]])
        assert len(index) == 20
        assert sorted(rows_of(index.search(token_vectors(5, 3), 50, everything()))) == list(range(1, 21))

    def test_many_small_additions_are_one_large_one(self, index: SizedLateIndex) -> None:
        tokens, query = passages(90), token_vectors(6, 5)
        for start in range(0, 90, 7):
            index.add(row_numbers(len(tokens[start : start + 7]), 1 + start), tokens[start : start + 7])
            index.remove([start + 1])
        left = [row for row in range(1, 91) if (row - 1) % 7]
        wanted = brute_force(tokens, query, 90, left)
        hits = dict(index.search(query, 90, everything()))
        assert sorted(hits) == left
        assert max(abs(hits[row] - score) for row, score in wanted) <= self.tolerance

    def test_equal_passages_are_ordered_by_row(self, index: SizedLateIndex) -> None:
        one = token_vectors(8, 9)
        rows = np.array([41, 7, 23, 90, 2, 55], dtype=np.int64)
        index.add(rows, [one] * 6)
        assert rows_of(index.search(one, 6, everything())) == [2, 7, 23, 41, 55, 90]

    def test_wrong_shapes_are_refused_and_change_nothing(self, index: SizedLateIndex) -> None:
        good = token_vectors(3, 1)
        for rows, tokens in (
            (row_numbers(2), [good]),
            (np.array([1, 1]), [good, good]),
            (row_numbers(1), [good[:, 1:]]),
            (row_numbers(1), [good[:0]]),
            (row_numbers(1), [np.full((2, DIM), np.nan, dtype=np.float32)]),
        ):
            with pytest.raises(InvalidRequest):
                index.add(rows, tokens)
        for query, k in ((good, 0), (good[:, 1:], 3), (good[:0], 3)):
            with pytest.raises(InvalidRequest):
                index.search(query, k, everything())
        assert len(index) == 0
