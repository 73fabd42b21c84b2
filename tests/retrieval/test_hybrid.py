"""Searching as a person: bounds, odd queries, filters, what others may not see, and what a hit says of itself."""

from __future__ import annotations

import threading

import pytest

from core.errors import InvalidRequest, NotFound
from core.ids import document_id
from core.types import Principal
from retrieval.tables import members
from tests.support.library import LOCAL, library

STRANGER = Principal(user_id="stranger")
RETRIEVERS = ["bm25", "dense", "hybrid"]


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    with library(tmp_path_factory.mktemp("hybrid")) as lib:
        lib.create("animals")
        lib.create("plants")
        lib.create("theirs", "somebody")
        lib.put(
            "animals", "fox.md", "the quick brown fox jumps over the lazy dog", title="Foxes", mime_type="text/markdown"
        )
        lib.put(
            "animals", "cat.txt", "a cat sleeps in the sun and dreams of mice", title="Cats", metadata={"year": 2024}
        )
        lib.put("plants", "oak.txt", "the oak grows slowly near the quick river", title="Oaks", metadata={"year": 1999})
        lib.put("theirs", "fox.md", "the secret fox plan", title="Secret")
        yield lib


def titles(hits):
    return {h.title for h in hits}


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_a_hit_says_where_it_comes_from(lib, retriever):
    (best, *rest) = lib.search("quick brown fox", retriever=retriever)
    assert (best.title, best.collection, best.rank) == ("Foxes", "animals", 1)
    document = lib.store.get_document(LOCAL, best.chunk.doc_id)
    assert document.text[best.chunk.start : best.chunk.end] == best.chunk.text
    assert best.source == ("fused" if retriever == "hybrid" else retriever)
    scores = [h.score for h in (best, *rest)]
    assert scores == sorted(scores, reverse=True)
    assert [h.rank for h in (best, *rest)] == list(range(1, len(scores) + 1))


def test_the_fused_score_is_the_convex_combination_of_the_parts(lib):
    hits = lib.search("quick fox", 100)
    bm25 = {h.chunk.chunk_id: h.parts["bm25"].score for h in hits if "bm25" in h.parts}
    dense = {h.chunk.chunk_id: h.parts["dense"].score for h in hits if "dense" in h.parts}

    def scaled(scores, key):
        low, high = min(scores.values()), max(scores.values())
        return 0.0 if key not in scores else (scores[key] - low) / (high - low)

    for hit in hits:
        key = hit.chunk.chunk_id
        assert hit.score == pytest.approx(0.5 * scaled(bm25, key) + 0.5 * scaled(dense, key), abs=1e-6)
        assert hit.parts["fused"].rank == hit.rank


def test_rrf_can_be_chosen(lib):
    (best, *_) = lib.search("quick brown fox", fusion="rrf")
    ranks = [best.parts[stage].rank for stage in ("bm25", "dense")]
    assert best.score == pytest.approx(sum(1 / (60 + rank) for rank in ranks))


def test_the_title_is_searched_with_the_text(lib):
    assert titles(lib.search("Oaks", retriever="bm25")) == {"Oaks"}


@pytest.mark.parametrize("retriever", RETRIEVERS)
@pytest.mark.parametrize(
    "query",
    [
        "AND (",
        '"',
        "a:b",
        "fox OR",
        "the of and",
        "*",
        "\\",
        "😀",
        "' OR 1=1 --",
        "\x00",
        "x" * 5000,
        "-fox",
        "[1 TO 2]",
    ],
)
def test_no_query_is_syntax(lib, retriever, query):
    lib.search(query, retriever=retriever)


@pytest.mark.parametrize("query", ["", " ", "\n\t ", "\u3000"])
def test_an_empty_query_is_refused(lib, query):
    with pytest.raises(InvalidRequest, match="empty"):
        lib.search(query)


@pytest.mark.parametrize("k", [0, -1, 1001])
def test_k_has_bounds(lib, k):
    with pytest.raises(InvalidRequest, match="1 to 1000"):
        lib.search("fox", k)


def test_k_bounds_the_answer(lib):
    assert len(lib.search("fox", 1)) == 1
    assert len(lib.search("fox", 1000)) == lib.engine.status().rows - 1, "all but the one that is not ours"


def test_an_unknown_retriever_is_answered_with_the_known_ones(lib):
    with pytest.raises(InvalidRequest, match="unknown retriever 'bm52': choose bm25, tfidf, dense, late, hybrid"):
        lib.search("fox", retriever="bm52")


# ---------------------------------------------------------------- which collections


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_only_the_named_collections_are_searched(lib, retriever):
    assert titles(lib.search("quick", retriever=retriever, collections=["plants"])) == {"Oaks"}
    assert titles(lib.search("quick river fox cat", retriever=retriever)) >= {"Oaks", "Foxes"}


@pytest.mark.parametrize("name", ["theirs", "nowhere"])
def test_a_foreign_collection_is_as_unknown_as_one_that_never_was(lib, name):
    with pytest.raises(NotFound, match=f"no collection '{name}': you have animals, plants"):
        lib.search("fox", collections=["animals", name])


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_nobody_finds_what_is_not_theirs(lib, retriever):
    assert "Secret" not in titles(lib.search("secret fox plan", 1000, retriever=retriever))
    assert lib.search("fox", retriever=retriever, principal=STRANGER) == []
    somebody = Principal(user_id="somebody")
    assert titles(lib.search("fox", retriever=retriever, principal=somebody)) == {"Secret"}


# ---------------------------------------------------------------- filters


@pytest.mark.parametrize("retriever", RETRIEVERS)
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"mime_type": ("text/markdown",)}, {"Foxes"}),
        ({"mime_type": ("text/markdown", "text/plain")}, {"Foxes", "Oaks"}),
        ({"doc_id": (document_id("plants", "oak.txt"),)}, {"Oaks"}),
        ({"doc_id": (document_id("theirs", "fox.md"),)}, set()),
        ({"uri": ("fox.md",)}, {"Foxes"}),
        ({"metadata.year": ("1999",)}, {"Oaks"}),
        ({"metadata.year": ("1999",), "mime_type": ("text/markdown",)}, set()),
        ({"mime_type": ()}, set()),
    ],
)
def test_filters_narrow_every_retriever(lib, retriever, filters, expected):
    for _ in range(2):  # worked out, and remembered
        assert titles(lib.search("quick", retriever=retriever, filters=filters)) - {"Cats"} == expected


def test_an_unknown_filter_is_answered_with_the_known_ones(lib):
    with pytest.raises(InvalidRequest, match=r"cannot filter by 'autor': filter by doc_id, .*metadata\.<key>"):
        lib.search("fox", filters={"autor": ("x",)})


def test_a_filter_follows_a_replaced_document(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a")
        lib.put("a", "x", "alpha one")
        only = {"uri": ("x",)}
        assert [h.chunk.text for h in lib.search("alpha", filters=only)] == ["alpha one"]
        lib.put("a", "x", "alpha two")
        assert [h.chunk.text for h in lib.search("alpha", filters=only)] == ["alpha two"]


# ---------------------------------------------------------------- what changes during a search


class Interrupting:
    """An encoder in whose midst something else happens, as it can on a busy server."""

    def __init__(self, encoder, between):
        self._encoder, self._between = encoder, between

    def encode_queries(self, texts):
        self._between()
        return self._encoder.encode_queries(texts)

    def __getattr__(self, name):
        return getattr(self._encoder, name)


def test_a_right_taken_away_during_a_search_counts(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a", "owner")
        reader = Principal(user_id="reader")
        with lib.database.write() as connection:
            connection.execute(members.insert().values(collection_id=1, user_id="reader", role="reader"))
        lib.put("a", "x", "alpha beta")
        assert len(lib.search("alpha", principal=reader)) == 1

        def revoke():
            with lib.database.write() as connection:
                connection.execute(members.delete())

        lib.engine._spaces.encoder = Interrupting(lib.encoder, revoke)
        assert lib.search("alpha", principal=reader) == []


def test_a_document_replaced_during_a_search_is_found_in_its_new_version(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a")
        lib.put("a", "x", "alpha old")
        once = iter([lambda: lib.commit("a", "x", "alpha new")])
        lib.engine._spaces.encoder = Interrupting(lib.encoder, lambda: next(once, lambda: None)())
        assert [h.chunk.text for h in lib.search("alpha")] == ["alpha new"]


def test_a_collection_deleted_during_a_search_leaves_no_trace(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a")
        lib.create("b")
        lib.put("a", "x", "alpha old")
        lib.put("b", "y", "alpha other")
        once = iter([lambda: lib.drop("a")])
        lib.engine._spaces.encoder = Interrupting(lib.encoder, lambda: next(once, lambda: None)())
        assert titles(lib.search("alpha")) == {"y"}


def test_many_people_searching_at_once_never_see_each_others_passages(tmp_path):
    people = [Principal(user_id=f"p{i}") for i in range(4)]
    wrong: list[str] = []
    with library(tmp_path) as lib:
        for p in people:
            lib.create(p.user_id, p.user_id)
            lib.put(p.user_id, "x", f"common words of {p.user_id} " * 5)

        def ask(p):
            for i in range(25):
                hits = lib.search("common words", retriever=RETRIEVERS[i % 3], principal=p)
                wrong.extend(h.chunk.text for h in hits if p.user_id not in h.chunk.text or h.collection != p.user_id)
                if not hits:
                    wrong.append("nothing found")

        threads = [threading.Thread(target=ask, args=(p,)) for p in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
