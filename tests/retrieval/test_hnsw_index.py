"""What is HNSW's own, and the index that chooses: files, damage, stopping, generations."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from core.errors import IndexDamaged, InvalidRequest, RunCancelled, StorageFailed
from retrieval.dense.auto import AutoIndex
from retrieval.dense.exact import BLOCK_ROWS, ExactIndex
from retrieval.dense.hnsw import HnswIndex
from tests.contract.dense_index_suite import DIM, N, allow, brute_force, everything, row_numbers, rows_of, unit_vectors


def built(n: int = 500) -> HnswIndex:
    index = HnswIndex(DIM, threads=1)
    index.add(row_numbers(n), unit_vectors(n))
    return index


def test_a_saved_index_answers_as_before(tmp_path: Path) -> None:
    index = built()
    index.remove([3, 4])
    queries = unit_vectors(20, seed=1)
    index.save(tmp_path / "graph")
    again = HnswIndex.load(tmp_path / "graph")
    assert again.search(queries, 10, everything()) == index.search(queries, 10, everything())
    assert len(again) == 498
    again.add(row_numbers(10, 501), unit_vectors(10, seed=9))
    assert len(again) == 508
    assert [p.name for p in tmp_path.iterdir()] == ["graph"]


def test_an_empty_index_can_be_saved(tmp_path: Path) -> None:
    HnswIndex(DIM).save(tmp_path / "graph")
    assert HnswIndex.load(tmp_path / "graph").search(unit_vectors(1), 5, everything()) == [[]]


def test_a_file_cut_short_or_of_something_else_does_not_load(tmp_path: Path) -> None:
    whole, file = tmp_path / "whole", tmp_path / "graph"
    built(100).save(whole)
    data = whole.read_bytes()
    generator = random.Random(0)
    for size in [0, 3, 8, 12, 40, len(data) - 1, *(generator.randrange(len(data)) for _ in range(20))]:
        file.write_bytes(data[:size])
        with pytest.raises(IndexDamaged):
            HnswIndex.load(file)
    file.write_bytes(data + b"x")
    with pytest.raises(IndexDamaged):
        HnswIndex.load(file)
    with pytest.raises(IndexDamaged):
        HnswIndex.load(tmp_path / "absent")


def test_it_cannot_be_saved_where_there_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        built(10).save(tmp_path / "absent" / "graph")


def test_building_stops_between_steps() -> None:
    index = HnswIndex(DIM, threads=1)
    asked = []

    def cancelled() -> bool:
        asked.append(len(index))
        return len(asked) == 3

    with pytest.raises(RunCancelled, match="stopped at 4096"):
        index.build([(row_numbers(9000), unit_vectors(9000))], cancelled)
    assert asked == [0, 2048, 4096]


def test_a_narrow_filter_is_searched_exactly_over_the_graph() -> None:
    vectors, queries = unit_vectors(N), unit_vectors(20, seed=1)
    auto = AutoIndex(DIM, built(N))
    auto.add(row_numbers(50, N + 1), unit_vectors(50, seed=8))
    both = np.concatenate([vectors, unit_vectors(50, seed=8)])
    for share in (0.1, 0.01, 0.001):
        chosen = np.random.default_rng(3).choice(row_numbers(N + 50), int(N * share), replace=False)
        allowed = allow(chosen.tolist())
        wanted = [brute_force(row_numbers(N + 50), both, q, 10, allowed) for q in queries]
        assert [rows_of(hits) for hits in auto.search(queries, 10, allowed)] == wanted


@pytest.mark.parametrize("k", [10, 100])
def test_what_is_allowed_beside_the_graph_does_not_widen_a_narrow_filter(k: int) -> None:
    """Rows of the delta, and rows that another encoder made, are allowed too: the graph's share stays 1 %."""
    vectors, newer, queries = unit_vectors(N), unit_vectors(600, seed=8), unit_vectors(20, seed=1)
    auto = AutoIndex(DIM, built(N))
    auto.add(row_numbers(600, N + 1), newer)
    few = np.random.default_rng(3).choice(row_numbers(N), N // 100, replace=False)
    allowed = allow([*few.tolist(), *range(N + 1, 2 * N)])  # of the last 2,399 no index here has any
    rows, both = row_numbers(N + 600), np.concatenate([vectors, newer])
    assert [rows_of(hits) for hits in auto.search(queries, k, allowed)] == [
        brute_force(rows, both, query, k, allowed) for query in queries
    ]


def test_many_copies_of_one_text_do_not_widen_a_narrow_filter() -> None:
    """Copies are one node of the graph: a third of the rows may be a hundredth of what is walked."""
    vectors, queries = unit_vectors(N), unit_vectors(20, seed=1)
    graph = built(N)
    graph.add(row_numbers(N // 2, N + 1), np.repeat(vectors[:1], N // 2, axis=0))
    allowed = allow([*range(100, 130), *range(N + 1, N + N // 2 + 1)])
    rows, both = row_numbers(N + N // 2), np.concatenate([vectors, np.repeat(vectors[:1], N // 2, axis=0)])
    assert [rows_of(hits) for hits in graph.search(queries, 50, allowed)] == [
        brute_force(rows, both, query, 50, allowed) for query in queries
    ]


def test_a_generation_is_adopted_while_rows_come_and_go() -> None:
    vectors = unit_vectors(900)
    auto = AutoIndex(DIM)
    auto.add(row_numbers(600), vectors[:600])
    assert auto.kind == "exact"
    graph = HnswIndex(DIM, threads=1)
    graph.build(auto.parts())
    # While it was built: more rows, fewer rows, another vector for one.
    auto.add(row_numbers(300, 601), vectors[600:])
    auto.remove([5, 610])
    auto.add(np.array([9], dtype=np.int64), -vectors[8:9])
    wanted = auto.search(vectors[:30], 8, everything())
    auto.adopt(graph)
    assert auto.kind == "hnsw"
    assert (len(auto), auto.delta_rows) == (898, 300)  # 299 newer ones and the replaced one
    assert auto.search(vectors[:30], 8, everything()) == wanted
    assert auto.search_exact(vectors[:30], 8, everything()) == wanted
    assert sorted(row for rows, _ in auto.parts() for row in rows.tolist()) == sorted(set(range(1, 901)) - {5, 610})


def test_a_generation_of_another_dimension_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="dimensions"):
        AutoIndex(DIM + 1, built(10))
    with pytest.raises(InvalidRequest, match="dimensions"):
        AutoIndex(DIM + 1).adopt(built(10))


def test_a_deep_search_of_a_small_graph_is_exact() -> None:
    vectors, query = unit_vectors(500), unit_vectors(1, seed=4)
    auto = AutoIndex(DIM, built(500))
    assert rows_of(auto.search(query, 400, everything())[0]) == brute_force(
        row_numbers(500), vectors, query[0], 400, everything()
    )


def test_the_room_of_removed_vectors_is_used_again() -> None:
    n = 3 * BLOCK_ROWS
    vectors = unit_vectors(n, dim=8)
    index = ExactIndex(8)
    index.add(row_numbers(n), vectors)
    full = index.nbytes
    before = index.search(vectors[-5:], 3, allow(range(2 * BLOCK_ROWS + 1, n + 1), n + 1))
    index.remove(range(1, 2 * BLOCK_ROWS + 1))
    assert index.nbytes < full / 2
    assert len(index) == BLOCK_ROWS
    after = index.search(vectors[-5:], 3, allow(range(2 * BLOCK_ROWS + 1, n + 1), n + 1))
    assert after == before
    index.add(row_numbers(10, n + 1), vectors[:10])
    assert len(index) == BLOCK_ROWS + 10


def copied(n: int, copies: int) -> np.ndarray:
    """``n`` vectors, each ``copies`` times, as passages that stand in many documents."""
    return np.tile(unit_vectors(n), (copies, 1))


def test_copies_of_one_vector_are_one_node_and_all_are_found(tmp_path: Path) -> None:
    vectors = copied(300, 5)
    index = HnswIndex(DIM, threads=1)
    index.build([(row_numbers(1500), vectors)])
    alone = HnswIndex(DIM, threads=1)
    alone.build([(row_numbers(300), vectors[:300])])
    assert len(index) == 1500
    assert index.nbytes < 1.2 * alone.nbytes + 1500 * 20
    index.save(tmp_path / "graph")
    for one in (index, HnswIndex.load(tmp_path / "graph")):
        for allowed in (everything(), allow(range(1, 1501, 2))):
            for query in unit_vectors(10, seed=1):
                wanted = brute_force(row_numbers(1500), vectors, query, 12, allowed)
                assert rows_of(one.search(query[None], 12, allowed)[0]) == wanted
                assert rows_of(one.search_exact(query[None], 12, allowed)[0]) == wanted


def test_a_copy_that_is_removed_leaves_the_others() -> None:
    vectors = copied(100, 3)
    index = HnswIndex(DIM, threads=1)
    index.build([(row_numbers(300), vectors)])
    index.remove([7])
    assert rows_of(index.search(vectors[6:7], 2, everything())[0]) == [107, 207]
    assert rows_of(index.search_exact(vectors[6:7], 2, everything())[0]) == [107, 207]
    assert index.holds(row_numbers(300), vectors).tolist() == [row != 7 for row in range(1, 301)]
    assert {row for rows, _ in index.parts() for row in rows.tolist()} == set(range(1, 301)) - {7}
    index.add(np.array([301, 302]), np.concatenate([vectors[6:7], unit_vectors(1, seed=77)]))
    assert rows_of(index.search(vectors[6:7], 3, everything())[0]) == [107, 207, 301]


def test_many_copies_of_a_few_texts_do_not_cut_the_graph_apart() -> None:
    rng = np.random.default_rng(0)
    distinct = unit_vectors(2500)
    vectors = distinct[np.concatenate([np.arange(2500), rng.integers(0, 20, 1500)])]
    index = HnswIndex(DIM, threads=1)
    index.build([(row_numbers(4000), vectors)])
    allowed = everything(8000)
    found = index.search(queries := unit_vectors(60, seed=3), 10, allowed)
    wanted = [brute_force(row_numbers(4000), vectors, query, 10, allowed) for query in queries]
    assert np.mean([len(set(rows_of(f)) & set(w)) / 10 for f, w in zip(found, wanted, strict=True)]) >= 0.99
