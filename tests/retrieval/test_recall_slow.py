"""Recall at the size at which a graph serves: against brute force, under filters, with copies among the passages."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.types import Vectors
from retrieval.dense.auto import AutoIndex
from retrieval.dense.hnsw import HnswIndex
from tests.contract.dense_index_suite import allow, brute_force, row_numbers, rows_of, unit_vectors

DIMENSIONS = 96
ROWS = 30_000
COPIES = 3_000  # every tenth passage stands in another document as well, as in real collections


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    distinct = unit_vectors(ROWS - COPIES, dim=DIMENSIONS)
    return np.concatenate([distinct, distinct[np.random.default_rng(1).integers(0, 500, COPIES)]])


@pytest.fixture(scope="module")
def auto(vectors: Vectors) -> AutoIndex:
    graph = HnswIndex(DIMENSIONS, threads=1)
    graph.build([(row_numbers(ROWS - 1000), vectors[:-1000])])
    index = AutoIndex(DIMENSIONS, graph)
    index.add(row_numbers(1000, ROWS - 999), vectors[-1000:])
    return index


def mean_recall(index: AutoIndex, vectors: Vectors, chosen: NDArray[np.int64]) -> float:
    queries, allowed = unit_vectors(60, dim=DIMENSIONS, seed=9), allow(chosen.tolist(), ROWS + 1)
    found = index.search(queries, 10, allowed)
    wanted = [brute_force(row_numbers(ROWS), vectors, query, 10, allowed) for query in queries]
    return float(np.mean([len(set(rows_of(f)) & set(w)) / len(w) for f, w in zip(found, wanted, strict=True)]))


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.01, 0.001])
def test_nothing_is_missed_under_a_filter(auto: AutoIndex, vectors: Vectors, share: float) -> None:
    chosen = np.random.default_rng(2).choice(row_numbers(ROWS), int(ROWS * share), replace=False)
    assert mean_recall(auto, vectors, chosen) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.01])
def test_nothing_is_missed_where_all_that_is_new_is_allowed(vectors: Vectors, auto: AutoIndex, share: float) -> None:
    """As after an upload: the delta is open to everybody, of what was there before a filter lets little through."""
    few = np.random.default_rng(2).choice(row_numbers(ROWS - 1000), int(ROWS * share), replace=False)
    assert mean_recall(auto, vectors, np.concatenate([few, row_numbers(1000, ROWS - 999)])) == 1.0


@pytest.mark.slow
def test_the_graph_misses_at_most_one_in_a_hundred(auto: AutoIndex, vectors: Vectors) -> None:
    assert mean_recall(auto, vectors, row_numbers(ROWS)) >= 0.99


@pytest.mark.slow
def test_nothing_is_missed_without_a_graph(vectors: Vectors) -> None:
    index = AutoIndex(DIMENSIONS)
    index.add(row_numbers(ROWS), vectors)
    for share in (1.0, 0.1, 0.01, 0.001):
        chosen = np.random.default_rng(2).choice(row_numbers(ROWS), int(ROWS * share), replace=False)
        assert mean_recall(index, vectors, chosen) == 1.0
