"""Where a term score comes from: the parts of all terms add up to what the search gave."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.types import Allowed, Chunk
from retrieval.sparse.bm25_reference import Bm25Reference
from retrieval.sparse.rank_bm25 import RankBm25Index
from retrieval.sparse.tantivy import TantivyIndex
from retrieval.sparse.tfidf import TfidfIndex
from retrieval.sparse.weights import WeighsTerms

TEXTS = [
    "the quick brown fox met another fox near the river",
    "a quick cat sleeps",
    "rivers run slowly, and a fox drinks from CVE-2026-27628",
    "nothing of that kind is said here",
    'a "quoted" back\\slash and 狐は速い',
    "foxes dream of long winters in the north",
]
QUERY = "fox fox quick river cve-2026-27628 狐は quoted"
EVERYTHING = Allowed(rows=np.ones(len(TEXTS), dtype=np.bool_), count=len(TEXTS), collection_ids=(1,))


@pytest.fixture(params=[TantivyIndex, Bm25Reference, RankBm25Index, TfidfIndex])
def index(request):
    made = TantivyIndex(None) if request.param is TantivyIndex else request.param()
    chunks = [
        Chunk(chunk_id=str(i), doc_id=str(i), text=t, start=0, end=len(t), n_tokens=0) for i, t in enumerate(TEXTS)
    ]
    made.add(range(len(TEXTS)), chunks, [""] * len(TEXTS), [1] * len(TEXTS))
    made.commit()
    return made


def test_the_parts_add_up_to_the_score(index):
    hits = index.search(QUERY, 10, EVERYTHING)
    assert len(hits) == 5
    found = index.explain(QUERY, [row for row, _ in hits], EVERYTHING)
    for row, score in hits:
        assert sum(w.contribution for w in found[row]) == pytest.approx(score, abs=1e-3)


@pytest.mark.parametrize(
    ("query", "whole"),
    [
        ("c3535", {'"c3535"'}),
        ("CVE-2026-27628", {'"cve 2026 27628"', '"cve-2026-27628"'}),
        ("§ 4.2 C++", {'"4 2"', '"4.2"', '"c++"'}),
        ('the river of the "quick brown fox"', {'"quick brown fox"'}),
        ('a "cat sleeps" near the "Vitamin D" river', {'"cat sleeps"', '"vitamin d"'}),
        ('"to be or not to be"', {'"to be or not to be"'}),
        ('"to be" "not to"', {'"to be"', '"not to"'}),
        ('"quick brown"', set()),  # what all have who are found makes no difference between them
        ("R&D", {'"r d"'}),
    ],
)
def test_what_a_phrase_or_an_identifier_gives_is_an_entry_of_its_own(index, query, whole):
    more = [
        "the c3535 works, the c3536 not; 3535 c",
        "section 4.2 about C++ and vitamin D, and R&D",
        "4 2 be r d river",
        "to be or not to be, river",
    ]
    chunks = [
        Chunk(chunk_id=str(i), doc_id=str(i), text=t, start=0, end=len(t), n_tokens=0) for i, t in enumerate(more)
    ]
    index.add(range(6, 10), chunks, [""] * 4, [1] * 4)
    index.commit()
    everything = Allowed(rows=np.ones(10, dtype=np.bool_), count=10, collection_ids=(1,))
    hits = index.search(query, 10, everything)
    found = index.explain(query, [row for row, _ in hits], everything)
    for row, score in hits:
        assert sum(w.contribution for w in found[row]) == pytest.approx(score, abs=1e-3)
    named = {w.term for weights in found.values() for w in weights}
    assert {name for name in named if name.startswith('"')} == whole
    assert {w.idf for weights in found.values() for w in weights if w.term in whole} <= {0.0}
    had = index.having(query, [row for row, _ in hits], everything)
    for row, tier in had.tiers.items():
        given = sum(w.contribution for w in found[row] if w.term in whole)
        assert given == pytest.approx(tier * had.worth, rel=1e-5)


def test_a_query_is_read_in_the_languages_of_the_collections_that_were_searched(index):
    """The term that a passage would have in another collection's language gave nothing to its score."""
    text = "informaciones sobre los rios"
    chunk = Chunk(chunk_id="6", doc_id="6", text=text, start=0, end=len(text), n_tokens=0)
    english = "informaciones and inform"
    other = Chunk(chunk_id="7", doc_id="7", text=english, start=0, end=len(english), n_tokens=0)
    index.add([6, 7], [chunk, other], ["", ""], [2, 1], ["es", "en"])
    index.commit()
    rows = np.zeros(8, dtype=np.bool_)
    rows[7] = True
    allowed = Allowed(rows=rows, count=1, collection_ids=(1,))
    ((row, score),) = index.search("informaciones", 10, allowed)
    assert sum(w.contribution for w in index.explain("informaciones", [row], allowed)[row]) == pytest.approx(
        score, abs=1e-3
    )


def test_terms_are_named_counted_and_in_order(index):
    weights = index.explain(QUERY, [0], EVERYTHING)[0]
    assert {w.term: w.tf for w in weights} == {"fox": 2, "quick": 1, "river": 1}
    contributions = [w.contribution for w in weights]
    assert contributions == sorted(contributions, reverse=True)
    by_term = {w.term: w.idf for w in index.explain(QUERY, [2], EVERYTHING)[2]}
    assert by_term["cve-2026-27628"] > by_term["fox"], "an identifier in one passage is rarer than a word in three"


def test_what_has_no_term_of_the_query_is_left_out(index):
    assert index.explain(QUERY, [3, 99], EVERYTHING) == {}
    assert index.explain("the of", [0], EVERYTHING) == {}
    assert isinstance(index, WeighsTerms)


def test_the_idf_is_lucenes():
    index = TantivyIndex(None)
    index.add([0, 1], [Chunk(chunk_id="0", doc_id="0", text=t, start=0, end=9, n_tokens=0) for t in ("fox", "cat")],
              ["", ""], [1, 1])  # fmt: skip
    index.commit()
    assert index.explain("fox", [0], EVERYTHING)[0][0].idf == pytest.approx(math.log(1 + (2 - 1 + 0.5) / (1 + 0.5)))
