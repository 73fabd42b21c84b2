"""Why a search found what it found: sums that add up, near misses with their reasons, nothing of what others own."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest

from core.ids import chunk_id
from core.types import Hit, Principal, StagePart, Where
from retrieval.explain import explain
from retrieval.rerank.late import LateInteractionReranker
from retrieval.rerank.mixing import MixingReranker
from retrieval.rerank.retriever import RerankingRetriever
from retrieval.search_record import SearchRecord, found_id
from tests.support.library import CHUNKER, LOCAL, library, make_document

STRANGER = Principal(user_id="stranger")
WORDS = ["alder", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel", "ivy", "juniper"]


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    with library(tmp_path_factory.mktemp("explain")) as lib:
        lib.create("trees")
        lib.create("theirs", "somebody")
        for i, word in enumerate(WORDS):
            metadata = {"language": "en" if i % 2 else "de"}
            lib.put("trees", f"{word}.txt", f"the {word} grows beside the river {'stone ' * i}", metadata=metadata)
        lib.put("theirs", "secret.txt", "the alder grows beside the secret river of somebody")
        yield lib


def search(lib, query="alder river", k=3, principal=LOCAL, filters=None, retriever="hybrid", **choices):
    record = SearchRecord()
    base = lib.engine.retriever(retriever, record=record, **choices)
    where = Where(principal=principal, filters=filters or {})
    began = time.perf_counter()
    hits = base.search(query, k, where)
    explained = explain(query, hits, where, base, record, lib.encoder, time.perf_counter() - began)
    return hits, explained


def test_noting_down_changes_no_hit(lib):
    assert search(lib)[0] == lib.search("alder river", 3)


@pytest.fixture(scope="module", params=["no parents", "a parent"])
def wide(request, tmp_path_factory):
    """More passages than are fused; with a parent, one small document in it has children that are read as one."""
    with library(tmp_path_factory.mktemp("wide"), fusion_depth=30) as lib:
        lib.create("c")
        draw = np.random.default_rng(0)
        words = [f"w{i}" for i in range(40)]
        lib.put_many("c", {f"d{i}": " ".join(draw.choice(words, 40)) for i in range(40)})
        if request.param == "a parent":
            put_parent_and_children(lib)
        yield lib


def put_parent_and_children(lib):
    document, chunks = make_document("c", "p", "alpha beta gamma delta epsilon zeta eta theta iota kappa")
    whole = chunk_id(document.doc_id, document.sha256, "parent", 0, len(document.text), CHUNKER)
    parent = replace(chunks[0], chunk_id=whole, start=0, end=len(document.text), text=document.text)
    children = [replace(c, parent_id=whole) for c in chunks]
    vectors = lib.encoder.encode_documents([c.text for c in children])
    with lib.database.write() as connection:
        change = lib.store.put_document(
            connection, document, children, vectors, lib.encoder.revision, CHUNKER, parents_=[parent]
        )
    lib.engine.publish(change)


@pytest.mark.parametrize("fusion", ["convex", "rrf"])
def test_the_first_hits_are_the_same_however_many_are_asked_for_and_whoever_looks_on(wide, fusion):
    """A list that is read deeper ends with another score and is scaled by it, so what lies deeper is not fused."""
    query = "w1 w2 w3 w4 w5 w6 w7"
    found = {k: wide.search(query, k, fusion=fusion) for k in (1, 10, 29, 30, 31, 100, 300)}
    for fewer, more in itertools.pairwise(found.values()):
        assert more[: len(fewer)] == fewer
    scores = [h.score for h in found[300]]
    assert len(scores) > 100 and scores == sorted(scores, reverse=True)
    for k in (10, 25, 100):  # noting down looks at some more than are asked for
        assert search(wide, query, k, fusion=fusion)[0] == wide.search(query, k, fusion=fusion)
    assert wide.search(query, 60, fusion=fusion, collapse=True) == found[100][:60]  # looks four times as deep


@pytest.mark.parametrize("fusion", ["convex", "rrf"])
def test_the_parts_of_the_fused_score_add_up(lib, fusion):
    hits, explained = search(lib, fusion=fusion)
    for hit, why in zip(hits, explained.explanations, strict=True):
        assert why.fused_score == pytest.approx(hit.score)
        assert {p.stage for p in why.fused} == {"bm25", "dense"}
        for part in why.fused:
            assert part.contribution == part.weight * part.normalised
            assert part.rank == (hit.parts[part.stage].rank if part.stage in hit.parts else None)


def test_the_terms_add_up_to_the_score_of_the_words(lib):
    hits, explained = search(lib)
    for hit, why in zip(hits, explained.explanations, strict=True):
        assert sum(t.contribution for t in why.terms) == pytest.approx(hit.parts["bm25"].score, abs=1e-3)
    # The passage is said to be German, so its words have German stems.
    assert [t.term for t in explained.explanations[0].terms] == ["ald", "riv"]


@pytest.mark.parametrize("sparse", ["tantivy", "reference", "rank-bm25"])
@pytest.mark.parametrize(
    "query", ['what is "beside the river" stone', "w3535", "river-side", '"the elm grows"', '"the"']
)
def test_they_add_up_where_a_phrase_or_an_identifier_decided(lib, query, sparse):
    hits, explained = search(lib, query, sparse=sparse)
    assert hits or query == "w3535"
    for hit, why in zip(hits, explained.explanations, strict=True):
        by_words = hit.parts["bm25"].score if "bm25" in hit.parts else 0.0
        assert sum(t.contribution for t in why.terms) == pytest.approx(by_words, abs=1e-3)


def test_each_token_of_the_query_has_its_best_match_where_it_stands(lib):
    hits, explained = search(lib)
    text = lib.store.get_document(LOCAL, hits[0].chunk.doc_id).text
    matches = explained.explanations[0].tokens
    assert [m.token for m in matches] == ["alder", "river"]
    for match in matches:
        assert text[match.start : match.end] == match.match == match.token
        assert match.cosine == pytest.approx(1.0, abs=1e-5)


def test_near_misses_say_by_how_much(lib):
    hits, explained = search(lib)
    deeper = lib.search("alder river", 8)
    missed = [m for m in explained.near_misses if m.code == "rank"]
    assert [m.hit for m in missed[:5]] == deeper[3:8]
    for miss in missed[:5]:
        assert miss.gap == pytest.approx(hits[-1].score - miss.hit.score)
    shown = {found_id(h) for h in hits}
    assert shown.isdisjoint(found_id(m.hit) for m in explained.near_misses)


def test_the_best_of_one_stage_that_was_not_shown_is_told(lib):
    hits, explained = search(lib, "river stone stone stone", k=1)
    by_words = lib.search("river stone stone stone", 3, retriever="bm25")
    known = {found_id(h) for h in hits} | {found_id(m.hit) for m in explained.near_misses}
    assert {found_id(h) for h in by_words} <= known


def test_stages_are_counted_and_timed(lib):
    _, explained = search(lib)
    assert [s.name for s in explained.stages] == ["bm25", "dense", "fused"]
    passages = len(lib.search("alder river", 100, retriever="dense"))
    assert [s.candidates for s in explained.stages] == [len(WORDS), passages, passages]
    assert all(s.seconds >= 0 for s in explained.stages)


def test_what_a_filter_keeps_out_is_told_with_the_filter(lib):
    hits, explained = search(lib, filters={"language": ("en",)})
    assert all("alder" not in h.chunk.text for h in hits)
    (first, *_) = [m for m in explained.near_misses if m.code == "filter"]
    assert "alder" in first.hit.chunk.text
    assert first.fields == ("language",)
    assert "does not pass the filter on language" in first.message


@pytest.mark.parametrize("filters", [None, {"language": ("en",)}])
def test_nothing_of_what_one_may_not_read_is_mentioned(lib, filters):
    for principal, theirs in ((LOCAL, "theirs"), (Principal(user_id="somebody"), "trees")):
        hits, explained = search(lib, "alder secret somebody", k=2, principal=principal, filters=filters)
        told = [*hits, *(m.hit for m in explained.near_misses)]
        assert told
        assert all(h.collection != theirs for h in told)
    hits, explained = search(lib, principal=STRANGER, filters=filters)
    assert (hits, explained.near_misses) == ([], ())


def test_a_near_duplicate_is_told_with_the_hit_that_says_it(tmp_path):
    text = "on this day the keeper of the light wrote that the lamp had burned well all through the night"
    with library(tmp_path) as lib:
        lib.create("logs")
        lib.put("logs", "a.txt", text, words_per_chunk=50)
        lib.put("logs", "b.txt", text + " again", words_per_chunk=50)
        lib.put("logs", "c.txt", "something else about a lamp", words_per_chunk=50)
        hits, explained = search(lib, "keeper lamp night", k=2, collapse=True)
        assert len(hits) == 2
        (miss,) = [m for m in explained.near_misses if m.code == "duplicate"]
        assert miss.by_rank == 1
        assert "number 1 says the same" in miss.message
        assert "collapsed" in [s.name for s in explained.stages]


def test_one_retriever_alone_is_explained_too(lib):
    hits, explained = search(lib, retriever="dense")
    assert explained.explanations[0].fused == () and explained.explanations[0].terms == ()
    assert [s.name for s in explained.stages] == ["dense"]
    hits, explained = search(lib, retriever="tfidf")
    for hit, why in zip(hits, explained.explanations, strict=True):
        assert sum(t.contribution for t in why.terms) == pytest.approx(hit.score)


def test_a_reranker_around_it_is_told_as_a_stage_and_a_reason(lib):
    record = SearchRecord()
    base = lib.engine.retriever("hybrid", record=record)
    where = Where(principal=LOCAL)
    found = base.search("alder river", 6, where)
    turned = [
        Hit(
            chunk=h.chunk, title=h.title, collection=h.collection, score=float(-h.rank), rank=i, source="rerank",
            parts={**h.parts, "rerank": StagePart(rank=i, score=float(-h.rank))},
        )
        for i, h in enumerate(reversed(found), start=1)
    ]  # fmt: skip
    explained = explain("alder river", turned[:3], where, base, record, lib.encoder, record.seconds + 0.5)
    assert explained.stages[-1].name == "rerank" and explained.stages[-1].seconds == pytest.approx(0.5)
    lost = [m for m in explained.near_misses if m.code == "rerank"]
    assert found[0] in [m.hit for m in lost]
    assert "number 1 before reranking" in lost[0].message
    assert explained.explanations[0].fused, "what was fused before is still told"


def reranked(lib, query, k, depth=20, **choices):
    record = SearchRecord()
    base = lib.engine.retriever("hybrid", record=record, **choices)
    where = Where(principal=LOCAL)
    began = time.perf_counter()
    reranker = MixingReranker([LateInteractionReranker(lib.encoder)], 0.9)
    hits = RerankingRetriever(base, reranker, depth, record=record).search(query, k, where)
    return hits, explain(query, hits, where, base, record, lib.encoder, time.perf_counter() - began), record


@pytest.mark.parametrize("query", ["w1 w2 w3", "w4 w9 w30 w31", 'w2 "w3" w5'])
@pytest.mark.parametrize("k", [3, 7, 15])
def test_near_misses_of_a_reranked_search_are_what_comes_next_after_reranking(wide, query, k):
    hits, explained, record = reranked(wide, query, k)
    more = reranked(wide, query, 20)[0]
    assert more[:k] == hits
    told = [m for m in explained.near_misses if m.code in ("rank", "rerank")]
    assert [m.hit for m in told[:5]] == more[k : k + 5]
    before = {found_id(h): h.rank for h in record.found}
    for miss in told[:5]:
        place = before[found_id(miss.hit)]
        assert miss.gap == pytest.approx(hits[-1].score - miss.hit.score)
        assert miss.code == ("rerank" if place <= k else "rank"), "reranking put below what stood above"
        assert f"number {place} before reranking" in miss.message
        assert f"number {miss.hit.rank} after it" in miss.message
    for miss in told[5:]:  # the best of single lists
        assert miss.code == "rank" or before[found_id(miss.hit)] <= k


def test_what_the_reranker_did_not_read_is_not_said_to_be_put_below_by_it(wide):
    _, explained, record = reranked(wide, "w1 w2 w3", 30, depth=10)
    told = [m for m in explained.near_misses if m.code in ("rank", "rerank")]
    assert [found_id(m.hit) for m in told[:5]] == [found_id(h) for h in record.beyond]
    assert {m.code for m in told} == {"rank"}
    assert all("reranking reads the first 10" in m.message for m in told)
