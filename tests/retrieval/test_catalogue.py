"""Snapshots stay as they are, and say exactly which rows may be returned."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrieval.catalogue import Catalogue
from retrieval.projection import DocumentRuns


def runs(*entries: tuple[int, int, int, int]) -> DocumentRuns:
    """(doc_number, collection_id, first_row, n_rows) of each document."""
    columns = np.array(entries, dtype=np.int64).reshape(-1, 4)
    return DocumentRuns(*columns.T, added_change=np.zeros(len(columns), dtype=np.int64))


def rows(allowed):
    return np.flatnonzero(allowed.rows).tolist()


def test_rows_of_readable_collections_are_allowed():
    catalogue = Catalogue()
    catalogue.load(3, runs((1, 1, 1, 2), (2, 2, 3, 1), (5, 1, 10, 2)))
    with catalogue.snapshot() as s:
        assert rows(s.allowed([1])) == [1, 2, 10, 11]
        assert rows(s.allowed([2, 7])) == [3]
        assert rows(s.allowed([])) == []
        assert rows(s.allowed([1, 2], np.array([5, 2, 99]))) == [3, 10, 11]
        assert s.allowed([2, 1]).collection_ids == (1, 2)
        assert s.allowed([1, 2]).count == 5


def test_a_snapshot_sees_neither_later_additions_nor_later_removals():
    catalogue = Catalogue()
    catalogue.load(1, runs((1, 1, 1, 2)))
    with catalogue.snapshot() as before:
        catalogue.apply(2, runs((2, 1, 3, 2)), [(2, 1, 2)])  # document 2 replaces document 1
        with catalogue.snapshot() as after:
            assert rows(before.allowed([1])) == [1, 2]
            assert rows(after.allowed([1])) == [3, 4]
            assert catalogue.oldest_in_use() == 1
        assert rows(before.allowed([1])) == [1, 2]
    assert catalogue.oldest_in_use() == catalogue.change == 2


def test_growing_leaves_held_snapshots_alone():
    catalogue = Catalogue()
    catalogue.load(1, runs((1, 1, 1, 3)))
    with catalogue.snapshot() as before:
        catalogue.apply(2, runs((2, 1, 4, 5000)), [])
        catalogue.apply(3, runs(), [(3, 1, 3)])
        assert rows(before.allowed([1])) == [1, 2, 3]
    assert len(catalogue.newest().alive()) == 5000


def test_what_was_added_and_removed_between_two_moments_is_never_seen():
    catalogue = Catalogue()
    catalogue.load(0, runs())
    catalogue.apply(2, runs((2, 1, 7, 1)), [(2, 1, 6)])  # rows 1 to 6 came with change 1 and went with change 2
    assert catalogue.newest().alive().tolist() == [7]


def test_the_same_filter_is_worked_out_once_per_moment():
    catalogue = Catalogue()
    catalogue.load(1, runs((1, 1, 1, 2)))
    first = catalogue.newest().allowed([1], np.array([1]), cache_key="x")
    assert catalogue.newest().allowed([1], np.array([1]), cache_key="x") is first
    assert catalogue.newest().cached([1], "x") is first and catalogue.newest().cached([1], "y") is None
    catalogue.apply(2, runs((2, 1, 3, 1)), [])
    assert catalogue.newest().cached([1], "x") is None


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4), st.booleans()), max_size=12), st.integers(0, 12))
def test_a_snapshot_is_the_model_of_its_moment(steps, held_at):
    """Each step adds a document to a collection and, sometimes, removes the oldest one."""
    catalogue = Catalogue()
    catalogue.load(0, runs())
    alive: dict[int, tuple[int, range]] = {}
    next_row, held = 1, None
    with catalogue.snapshot() as nothing:
        for number, (collection, n, remove) in enumerate(steps, start=1):
            removed = []
            if remove and alive:
                _, gone = alive.pop(min(alive))
                removed = [(number, gone.start, len(gone))]
            catalogue.apply(number, runs((number, collection, next_row, n)), removed)
            alive[number] = (collection, range(next_row, next_row + n))
            next_row += n
            if number == held_at:
                held = (catalogue.newest(), dict(alive))
        assert rows(nothing.allowed([1, 2, 3])) == []
    for snapshot, model in [(catalogue.newest(), alive), *([held] if held else [])]:
        for wanted in ([1], [2, 3], [1, 2, 3]):
            expected = [row for c, run in model.values() for row in run if c in wanted]
            assert rows(snapshot.allowed(wanted)) == sorted(expected)
