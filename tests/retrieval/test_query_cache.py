"""What is kept of searches: the same answer sooner, and never one that is stale or somebody else's."""

from __future__ import annotations

import threading

import pytest

from app.searching import SearchChoices, Searching
from core.settings import Settings
from core.types import Principal, Where
from retrieval.query_cache import QueryCache, SearchState
from retrieval.tables import members
from tests.support.library import LOCAL, library

SOMEBODY = Principal(user_id="somebody")


@pytest.fixture
def lib(tmp_path):
    with library(tmp_path) as lib:
        lib.create("mine")
        lib.create("theirs", "somebody")
        lib.put("mine", "a.txt", "the heron stands in the pond")
        lib.put("theirs", "b.txt", "the heron of somebody else")
        yield lib


@pytest.fixture
def searching():
    return Searching(Settings())


def ask(lib, searching, query="heron", principal=LOCAL, collections=(), k=5, filters=None, **choices):
    where = Where(principal=principal, collections=tuple(collections), filters=filters or {})
    found, cached = searching.search(lib.engine, query, k, where, SearchChoices(**choices))
    return [h.title for h in found.hits], cached


def test_the_same_search_again_is_known(lib, searching):
    assert ask(lib, searching) == (["a.txt"], False)
    encoded = lib.encoder.encoded
    assert ask(lib, searching) == (["a.txt"], True)
    assert lib.encoder.encoded == encoded, "nothing was encoded again"
    counts = searching.counts()
    assert (counts.hits, counts.misses, counts.entries, counts.passages) == (1, 1, 1, 1)


def test_whatever_matters_makes_another_search(lib, searching):
    ask(lib, searching)
    for other in (
        {"query": "herons"},
        {"k": 4},
        {"collections": ["mine"]},
        {"filters": {"type": ("txt",)}},
        {"retriever": "bm25"},
        {"fusion": "rrf"},
        {"collapse_duplicates": True},
        {"mmr_lambda": 0.5},
        {"max_per_document": 1},
        {"highlight": "off"},
        {"explain": True},
    ):
        assert ask(lib, searching, **other)[1] is False, other


def test_what_was_added_is_found_and_what_was_deleted_is_not(lib, searching):
    ask(lib, searching)
    lib.put("mine", "c.txt", "another heron")
    assert ask(lib, searching) == (["c.txt", "a.txt"], False) or set(ask(lib, searching)[0]) == {"a.txt", "c.txt"}
    ask(lib, searching)
    lib.delete("mine", "a.txt")
    assert ask(lib, searching) == (["c.txt"], False)
    assert searching.counts().entries == 1, "nothing of before is held"


def test_a_deletion_that_is_committed_but_not_yet_published_counts(lib, searching):
    from core.ids import document_id

    ask(lib, searching)
    with lib.database.write() as connection:
        change = lib.store.delete_document(connection, LOCAL, document_id("mine", "a.txt"))
    assert ask(lib, searching) == ([], False)
    lib.engine.publish(change)
    assert ask(lib, searching) == ([], False), "what was found in between was not kept"
    assert ask(lib, searching) == ([], True)


def test_another_person_gets_an_answer_of_their_own(lib, searching):
    assert ask(lib, searching)[0] == ["a.txt"]
    assert ask(lib, searching, principal=SOMEBODY) == (["b.txt"], False)
    assert ask(lib, searching, principal=Principal(user_id="nobody")) == ([], False)
    assert set(ask(lib, searching, principal=Principal(user_id="local", is_admin=True))[0]) == {"a.txt", "b.txt"}


def test_a_right_that_was_given_or_taken_away_counts_at_once(lib, searching):
    assert ask(lib, searching, principal=SOMEBODY)[0] == ["b.txt"]
    mine = lib.store.readable_collections(LOCAL)["mine"]
    with lib.database.write() as connection:
        connection.execute(members.insert().values(collection_id=mine, user_id="somebody", role="reader"))
    assert set(ask(lib, searching, principal=SOMEBODY)[0]) == {"a.txt", "b.txt"}
    assert ask(lib, searching, principal=SOMEBODY)[1] is True
    with lib.database.write() as connection:
        connection.execute(members.delete())
    assert ask(lib, searching, principal=SOMEBODY)[0] == ["b.txt"]


def test_a_deleted_collection_is_not_remembered(lib, searching):
    ask(lib, searching)
    lib.drop("mine")
    assert ask(lib, searching) == ([], False)


def test_it_can_be_switched_off_and_emptied(lib, searching):
    off = Searching(Settings(query_cache_passages=0))
    assert [ask(lib, off)[1] for _ in range(3)] == [False] * 3
    ask(lib, searching)
    searching.forget()
    assert ask(lib, searching)[1] is False


def test_the_least_recently_used_goes_first():
    cache = QueryCache[list[int]](10)
    now = SearchState(1, ())

    def find(key, n):
        return cache.find(key, lambda: now, lambda: [0] * n, len)[1]

    assert [find("a", 4), find("b", 4), find("a", 4), find("c", 4)] == [False, False, True, False]
    assert [find("a", 4), find("b", 4)] == [True, False], "b had waited longest"
    assert find("large", 11) is False and find("large", 11) is False, "what is too large is not kept"
    assert cache.counts().passages <= 10


def test_what_changed_while_it_was_searched_for_is_not_kept():
    cache = QueryCache[int](10)
    states = iter([SearchState(1, ()), SearchState(2, ()), SearchState(1, "other"), SearchState(1, "other")])
    assert cache.find("a", lambda: next(states), lambda: 1, lambda _: 1) == (1, False)
    assert cache.counts().entries == 0
    assert cache.find("a", lambda: None, lambda: 2, lambda _: 1) == (2, False)
    assert cache.counts().entries == 0, "while nothing may be kept, nothing is"


def test_many_threads_may_ask_at_once():
    cache = QueryCache[int](50)
    wrong: list[int] = []

    def work(seed):
        for i in range(500):
            key = (seed * i) % 80
            value, _ = cache.find(key, lambda i=i: SearchState(i // 100, ()), lambda key=key: key, lambda _: 1)
            if value != key:
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 9)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    counts = cache.counts()
    assert wrong == [] and counts.passages == counts.entries <= 50
