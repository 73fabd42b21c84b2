"""What every DenseIndex must do. A subclass gives ``index`` (empty, of DIM dimensions) and says whether it is exact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import InvalidRequest
from core.types import Allowed, Vectors

DIM = 32
N = 3000


class SizedDenseIndex(Protocol):
    def __len__(self) -> int: ...
    def add(self, rows: NDArray[np.int64], vectors: Vectors) -> None: ...
    def remove(self, rows: Sequence[int]) -> None: ...
    def search(self, queries: Vectors, k: int, allowed: Allowed) -> list[list[tuple[int, float]]]: ...


def unit_vectors(n: int, dim: int = DIM, seed: int = 0) -> Vectors:
    """Vectors around 40 centres, as texts on 40 topics would lie."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(40, dim))
    vectors = centres[rng.integers(0, 40, n)] + 0.8 * rng.normal(size=(n, dim))
    unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def row_numbers(n: int, first: int = 1) -> NDArray[np.int64]:
    return np.arange(first, first + n, dtype=np.int64)


def allow(rows: Iterable[int], size: int = 2 * N) -> Allowed:
    bits = np.zeros(size, dtype=np.bool_)
    bits[list(rows)] = True
    return Allowed(rows=bits, count=int(bits.sum()), collection_ids=(1,))


def everything(size: int = 2 * N) -> Allowed:
    return allow(range(size), size)


def rows_of(hits: Sequence[tuple[int, float]]) -> list[int]:
    return [row for row, _ in hits]


def brute_force(
    rows: NDArray[np.int64], vectors: Vectors, query: NDArray[np.float32], k: int, allowed: Allowed
) -> list[int]:
    """The definition: all inner products in float64, sorted."""
    scores = (vectors.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
    pairs = [(-s, r) for s, r in zip(scores.tolist(), rows.tolist(), strict=True) if allowed.rows[r]]
    return [row for _, row in sorted(pairs)[:k]]


def recall(found: Sequence[int], wanted: Sequence[int]) -> float:
    return len(set(found) & set(wanted)) / len(wanted)


class DenseIndexSuite:
    exact = True  # an approximate index says False and is held to a recall of 0.95 on average

    # -- finding

    def test_an_empty_index_finds_nothing(self, index: SizedDenseIndex) -> None:
        assert index.search(unit_vectors(2), 5, everything()) == [[], []]

    def test_no_queries_give_no_lists(self, index: SizedDenseIndex) -> None:
        index.add(row_numbers(10), unit_vectors(10))
        assert index.search(unit_vectors(0), 5, everything()) == []

    def test_a_vector_finds_itself_with_a_cosine_of_one(self, index: SizedDenseIndex) -> None:
        vectors = unit_vectors(200)
        index.add(row_numbers(200), vectors)
        for row, hits in zip(row_numbers(200).tolist(), index.search(vectors, 1, everything()), strict=True):
            assert rows_of(hits) == [row]
            assert hits[0][1] == pytest.approx(1.0, abs=1e-6)

    def test_scores_are_cosines_best_first(self, index: SizedDenseIndex) -> None:
        vectors, queries = unit_vectors(300), unit_vectors(5, seed=1)
        index.add(row_numbers(300), vectors)
        for query, hits in zip(queries, index.search(queries, 20, everything()), strict=True):
            assert [s for _, s in hits] == sorted((s for _, s in hits), reverse=True)
            for row, score in hits:
                assert score == pytest.approx(float(vectors[row - 1] @ query), abs=1e-6)

    def test_equal_vectors_are_ordered_by_row(self, index: SizedDenseIndex) -> None:
        one = unit_vectors(1)
        rows = np.array([41, 7, 23, 90, 2, 55], dtype=np.int64)
        index.add(rows, np.repeat(one, len(rows), axis=0))
        hits = index.search(one, 6, everything())[0]
        assert rows_of(hits) == [2, 7, 23, 41, 55, 90]
        assert len({score for _, score in hits}) == 1

    def test_k_larger_than_the_index_gives_everything(self, index: SizedDenseIndex) -> None:
        index.add(row_numbers(7), unit_vectors(7))
        assert sorted(rows_of(index.search(unit_vectors(1, seed=5), 100, everything())[0])) == list(range(1, 8))

    def test_k_of_nothing_is_refused(self, index: SizedDenseIndex) -> None:
        with pytest.raises(InvalidRequest):
            index.search(unit_vectors(1), 0, everything())

    def test_wrong_shapes_are_refused_and_change_nothing(self, index: SizedDenseIndex) -> None:
        with pytest.raises(InvalidRequest):
            index.add(row_numbers(3), unit_vectors(3, dim=DIM + 1))
        with pytest.raises(InvalidRequest):
            index.add(row_numbers(2), unit_vectors(3))
        with pytest.raises(InvalidRequest):
            index.add(np.array([1, 1], dtype=np.int64), unit_vectors(2))
        with pytest.raises(InvalidRequest):
            index.add(row_numbers(1), np.full((1, DIM), np.nan, dtype=np.float32))
        with pytest.raises(InvalidRequest):
            index.search(unit_vectors(1, dim=DIM - 1), 3, everything())
        assert len(index) == 0

    # -- changing

    def test_a_removed_row_is_gone_and_an_unknown_one_is_ignored(self, index: SizedDenseIndex) -> None:
        vectors = unit_vectors(50)
        index.add(row_numbers(50), vectors)
        index.remove([10, 11, 4000, 123_456])
        assert len(index) == 48
        assert not {10, 11} & set(rows_of(index.search(vectors[9:10], 50, everything())[0]))
        index.remove([10])
        assert len(index) == 48

    def test_adding_a_row_again_replaces_its_vector(self, index: SizedDenseIndex) -> None:
        vectors = unit_vectors(20)
        index.add(row_numbers(20), vectors)
        index.add(np.array([5], dtype=np.int64), -vectors[4:5])
        assert len(index) == 20
        hits = dict(index.search(vectors[4:5], 20, everything())[0])
        assert len(hits) == 20
        assert hits[5] == pytest.approx(-1.0, abs=1e-6)

    def test_adding_the_same_twice_changes_nothing(self, index: SizedDenseIndex) -> None:
        vectors, query = unit_vectors(100), unit_vectors(1, seed=2)
        index.add(row_numbers(100), vectors)
        before = index.search(query, 10, everything())
        index.add(row_numbers(100), vectors)
        assert len(index) == 100
        assert index.search(query, 10, everything()) == before

    def test_a_removed_row_can_come_back(self, index: SizedDenseIndex) -> None:
        vectors = unit_vectors(10)
        index.add(row_numbers(10), vectors)
        index.remove([3])
        index.add(np.array([3], dtype=np.int64), vectors[2:3])
        assert rows_of(index.search(vectors[2:3], 1, everything())[0]) == [3]
        assert len(index) == 10

    def test_many_additions_and_removals_leave_what_a_dictionary_would(self, index: SizedDenseIndex) -> None:
        rng = np.random.default_rng(4)
        kept: dict[int, NDArray[np.float32]] = {}
        vectors = unit_vectors(1200)
        for start in range(0, 1200, 150):
            rows = row_numbers(150, start + 1)
            index.add(rows, vectors[start : start + 150])
            kept.update(zip(rows.tolist(), vectors[start : start + 150], strict=True))
            gone = rng.choice(list(kept), 90, replace=False).tolist()
            index.remove(gone)
            for row in gone:
                del kept[row]
        assert len(index) == len(kept)
        rows, left = np.array(sorted(kept), dtype=np.int64), np.array([kept[r] for r in sorted(kept)])
        for query, hits in zip(
            queries := unit_vectors(10, seed=6), index.search(queries, 10, everything()), strict=True
        ):
            assert set(rows_of(hits)) <= set(kept)
            wanted = brute_force(rows, left, query, 10, everything())
            assert rows_of(hits) == wanted if self.exact else recall(rows_of(hits), wanted) >= 0.8

    # -- filters

    @pytest.mark.parametrize("share", [1.0, 0.1, 0.01, 0.001])
    def test_recall_under_a_filter(self, index: SizedDenseIndex, share: float) -> None:
        vectors, queries = unit_vectors(N), unit_vectors(30, seed=1)
        index.add(row_numbers(N), vectors)
        chosen = np.random.default_rng(2).choice(row_numbers(N), int(N * share), replace=False)
        allowed = allow(chosen.tolist())
        found = [rows_of(hits) for hits in index.search(queries, 10, allowed)]
        wanted = [brute_force(row_numbers(N), vectors, query, 10, allowed) for query in queries]
        assert all(set(rows) <= set(chosen.tolist()) for rows in found)
        if self.exact:
            assert found == wanted
        elif share >= 0.1:
            assert np.mean([recall(f, w) for f, w in zip(found, wanted, strict=True)]) >= 0.95

    def test_rows_beyond_the_bitmap_are_not_found(self, index: SizedDenseIndex) -> None:
        index.add(row_numbers(100), unit_vectors(100))
        assert set(rows_of(index.search(unit_vectors(1), 100, allow(range(20), size=20))[0])) <= set(range(20))

    def test_nothing_allowed_finds_nothing(self, index: SizedDenseIndex) -> None:
        index.add(row_numbers(100), unit_vectors(100))
        assert index.search(unit_vectors(1), 5, allow([])) == [[]]

    # -- several at once

    def test_one_query_or_many_give_the_same_answer(self, index: SizedDenseIndex) -> None:
        queries = unit_vectors(40, seed=3)
        index.add(row_numbers(N), unit_vectors(N))
        together = index.search(queries, 15, everything())
        assert [index.search(query[None], 15, everything())[0] for query in queries] == together
        assert index.search(queries, 15, everything()) == together

    def test_readers_are_right_while_a_writer_works(self, index: SizedDenseIndex) -> None:
        vectors = unit_vectors(600)
        index.add(row_numbers(200), vectors[:200])
        stays = allow(range(1, 201))
        wanted = index.search(vectors[:20], 5, stays)

        def write() -> None:
            for start in range(200, 600, 20):
                rows = row_numbers(20, start + 1)
                index.add(rows, vectors[start : start + 20])
                index.remove(rows.tolist())

        def read() -> bool:
            return all(
                recall(rows_of(hits), rows_of(want)) >= (1.0 if self.exact else 0.6)
                for _ in range(30)
                for hits, want in zip(index.search(vectors[:20], 5, stays), wanted, strict=True)
            )

        with ThreadPoolExecutor(4) as pool:
            writer = pool.submit(write)
            readers = [pool.submit(read) for _ in range(3)]
            writer.result()
            assert all(r.result() for r in readers)
        assert len(index) == 200
