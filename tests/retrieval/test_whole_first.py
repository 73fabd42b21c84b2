"""What has a quoted phrase, or an identifier whole, stands first in every kind of search that knows words."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.types import Hit, Where
from retrieval.explain import explain
from retrieval.rerank.late import LateInteractionReranker
from retrieval.rerank.mixing import MixingReranker
from retrieval.rerank.retriever import RerankingRetriever
from retrieval.search_record import SearchRecord
from tests.support.library import LOCAL, library

LONG = (
    "Meeting of Tuesday. The supplier was asked about prices. Delivery takes six weeks, said Ms Adler, who spoke of the "
    "new hall, of the lift and of the parking lot. Part {} is out of stock. The canteen closes at three."
)
HAVE = ["The {} controller works.", LONG, "Replaced {} by hand.", "Error log: pump off, pump on, {} timeout, pump off."]
ALIKE = [
    "The {} controller was delivered and works.",
    "Controller {} timeout.",
    "Part {} is out, order {} again.",
    "{} {} {}",
]
# identifier → what is like it and is not it
IDENTIFIERS = {
    "c3535": ["c3536", "c353", "c35350", "3535", "controller c"],
    "TX9007": ["TX9008", "TX 9007 of old", "tx90070"],
    "A380": ["A320", "A 380", "a3800"],
    "§ 4.2": ["4.2.1", "4 and 2", "2.4", "section 4"],
    "CVE-2026-27628": ["CVE-2026-27629", "27628 of 2026 CVE", "CVE"],
}
SEARCHES = [
    (retriever, fusion, reranked, sparse)
    for retriever, fusion in (("bm25", None), ("hybrid", "convex"), ("hybrid", "rrf"))
    for reranked in (False, True)
    for sparse in ("tantivy", "reference")
]


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    with library(tmp_path_factory.mktemp("whole")) as lib:
        lib.create("c")
        texts = []
        for name, alike in IDENTIFIERS.items():
            texts += [text.format(name.removeprefix("§ ")) for text in HAVE]
            for i in range(12):
                other = alike[i % len(alike)]
                texts.append(f"{ALIKE[i % len(ALIKE)].format(other, other, other)} Lot {i}.")
        lib.put_many(
            "c",
            {f"note-{'abcdefghij'[i // 10]}{'abcdefghij'[i % 10]}": text for i, text in enumerate(texts)},
            words_per_chunk=60,
        )
        yield lib


def search(
    lib, query: str, k: int, retriever: str, fusion: str | None, reranked: bool, sparse: str, **choices
) -> list[Hit]:
    base = lib.engine.retriever(retriever, fusion=fusion, sparse=sparse, **choices)
    reranker = MixingReranker([LateInteractionReranker(lib.encoder)])
    retriever_ = RerankingRetriever(base, reranker, 20) if reranked else base
    return retriever_.search(query, k, Where(principal=LOCAL))


def order(hits: list[Hit], has) -> str:
    return "".join("X" if has(h.chunk.text) else "." for h in hits)


def first(marks: str) -> bool:
    return "X" in marks and ".X" not in marks


@pytest.mark.parametrize(("retriever", "fusion", "reranked", "sparse"), SEARCHES)
@pytest.mark.parametrize("query", IDENTIFIERS)
def test_an_identifier_is_found_whole_first(lib, query, retriever, fusion, reranked, sparse):
    words = f" {query.removeprefix('§ ')} "
    for k in (5, 40):
        hits = search(lib, query, k, retriever, fusion, reranked, sparse)
        found = order(hits, lambda text: words in f" {text.replace('. ', ' ').rstrip('.')} ")
        assert first(found) and found.count("X") == len(HAVE), found
        assert [h.rank for h in hits] == list(range(1, len(hits) + 1))
        scores = [h.score for h in hits]
        assert scores == sorted(scores, reverse=True)
        assert all(h.parts[h.source].score == h.score for h in hits[:20])  # below, they were not reranked


@pytest.mark.parametrize(("retriever", "fusion", "reranked", "sparse"), SEARCHES)
@pytest.mark.parametrize(
    ("query", "phrase"),
    [
        ('the controller "pump on c3535" timeout', "pump on, c3535"),
        ('how to order the part "is out of stock" now', "is out of stock"),
        ('controller timeout order "by hand"', "by hand"),
    ],
)
def test_what_has_the_phrase_of_a_longer_query_comes_first(lib, query, phrase, retriever, fusion, reranked, sparse):
    found = order(search(lib, query, 40, retriever, fusion, reranked, sparse), lambda text: phrase in text)
    assert first(found) and "." in found, found


WORDS = ["alder", "birch", "cedar", "x9", "y7", "elm", "the"]


@pytest.fixture(scope="module")
def woods(tmp_path_factory):
    with library(tmp_path_factory.mktemp("woods"), fusion_depth=15) as lib:
        lib.create("c")
        every = itertools.product(WORDS, repeat=3)
        lib.put_many("c", {f"d{i}": " ".join(words) for i, words in enumerate(every) if i % 4 == 0})
        yield lib


@given(
    phrase=st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(" ".join),
    beside=st.lists(st.sampled_from([w for w in WORDS if w != "the"]), max_size=3).map(" ".join),
    how=st.sampled_from(SEARCHES),
    k=st.integers(1, 60),
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_quoted_those_that_have_it_are_a_prefix(woods, phrase, beside, how, k):
    hits = search(woods, f'{beside} "{phrase}"', k, *how)
    found = order(hits, lambda text: f" {phrase} " in f" {text} ")
    assert ".X" not in found
    longer = search(woods, f'{beside} "{phrase}"', k + 7, *how)
    assert [h.chunk.chunk_id for h in longer][: len(hits)] == [h.chunk.chunk_id for h in hits]


@pytest.mark.parametrize("query", ["what did net sales do in Q3 2023?", "controller c3535 timeout", "order the part"])
@pytest.mark.parametrize("fusion", ["convex", "rrf"])
def test_other_questions_are_left_as_they_are(lib, query, fusion):
    hits = search(lib, query, 40, "hybrid", fusion, False, "tantivy")
    assert all(set(h.parts) <= {"bm25", "dense", "fused"} for h in hits)
    assert all(h.score <= 1 for h in hits)


@pytest.mark.parametrize("fusion", ["convex", "rrf"])
@pytest.mark.parametrize("query", ["c3535", "CVE-2026-27628", 'the controller "pump on c3535" timeout'])
def test_what_puts_it_first_is_a_part_of_the_sum(lib, query, fusion):
    record = SearchRecord()
    base = lib.engine.retriever("hybrid", fusion=fusion, record=record)
    where = Where(principal=LOCAL)
    began = time.perf_counter()
    hits = base.search(query, 8, where)
    explained = explain(query, hits, where, base, record, lib.encoder, time.perf_counter() - began)
    for hit, why in zip(hits, explained.explanations, strict=True):
        assert {p.stage for p in why.fused} == {"bm25", "dense", "whole"}
        assert why.fused_score == sum(p.contribution for p in why.fused)
        assert abs(why.fused_score - hit.score) < 1e-9
        (whole,) = (p for p in why.fused if p.stage == "whole")
        assert whole.contribution == (hit.parts["whole"].score if "whole" in hit.parts else 0.0)
        assert whole.rank == (hit.parts["whole"].rank if "whole" in hit.parts else None)
    assert [s.name for s in explained.stages] == ["bm25", "dense", "fused"]
