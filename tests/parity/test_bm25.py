"""Our BM25 against others: the reference ≡ rank-bm25 ≡ bm25s, and the fast engine ≈ the reference."""

from __future__ import annotations

import json
import random
from pathlib import Path

import bm25s
import numpy as np
import pytest
from rank_bm25 import BM25Okapi

from core.types import Chunk
from retrieval.sparse.analyse import Analyser
from retrieval.sparse.bm25_reference import Bm25Reference
from retrieval.sparse.rank_bm25 import RankBm25Index
from retrieval.sparse.tantivy import TantivyIndex
from retrieval.sparse.tfidf import TfidfIndex
from tests.contract.sparse_index_suite import WORDS, everything, fill, invented, passage, rows_of

TEXTS = invented(400, seed=7)
ANALYSER = Analyser()
TERMS = [ANALYSER.terms(text) for text in TEXTS.values()]


def queries(n: int = 40) -> list[str]:
    generator = random.Random(1)
    return [" ".join(generator.choices(WORDS, k=generator.randint(1, 6))) for _ in range(n)]


def test_the_formula_by_hand() -> None:
    index = Bm25Reference(k1=1.2, b=0.75)
    fill(index, {1: "ab ab cd", 2: "cd ef gh ij kl", 3: "mn"})
    # N = 3, avgdl = (3 + 5 + 1) / 3 = 3; "ab" is in one passage, twice:
    # ln(1 + (3 - 1 + 0.5) / (1 + 0.5)) · 2 / (2 + 1.2 · (1 - 0.75 + 0.75 · 3/3)) = ln(2.6667) · 2 / 3.2
    assert index.search("ab", 5, everything())[0][1] == pytest.approx(np.log(1 + 2.5 / 1.5) * 2 / 3.2)


@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (1.2, 0.75), (0.9, 0.4), (2.0, 0.0), (0.5, 1.0)])
def test_in_rank_bm25s_variant_the_reference_equals_it(k1: float, b: float) -> None:
    index = Bm25Reference(k1=k1, b=b, variant="okapi")
    fill(index, TEXTS)
    outside = BM25Okapi(TERMS, k1=k1, b=b)
    largest = 0.0
    for query in queries():
        scores = outside.get_scores(ANALYSER.terms(query))
        for row, score in index.search(query, 1000, everything()):
            largest = max(largest, abs(score - scores[row - 1]))
    print(f"largest difference to rank-bm25: {largest:.1e}")  # noqa: T201
    assert largest < 1e-6


def test_rank_bm25_behind_our_contract_ranks_as_the_reference_does() -> None:
    ours, theirs = Bm25Reference(k1=1.5, b=0.75, variant="okapi"), RankBm25Index()
    fill(ours, TEXTS)
    fill(theirs, TEXTS)
    for query in queries(10):
        a, b = ours.search(query, 50, everything()), theirs.search(query, 50, everything())
        assert rows_of(a) == rows_of(b)
        np.testing.assert_allclose([s for _, s in a], [s for _, s in b], atol=1e-9)


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.9, 0.4)])
def test_the_lucene_variant_equals_that_of_bm25s(k1: float, b: float) -> None:
    index = Bm25Reference(k1=k1, b=b)
    fill(index, TEXTS)
    outside = bm25s.BM25(method="lucene", k1=k1, b=b)
    outside.index(TERMS, show_progress=False)
    largest = 0.0
    for query in queries():
        terms = [t for t in ANALYSER.terms(query) if t in outside.vocab_dict]
        scores = outside.get_scores(terms) if terms else np.zeros(len(TEXTS))
        for row, score in index.search(query, 1000, everything()):
            largest = max(largest, abs(score - float(scores[row - 1])))
    print(f"largest difference to bm25s: {largest:.1e}")  # noqa: T201
    assert largest < 1e-4  # bm25s keeps float32


def test_tantivy_agrees_with_the_reference_but_for_its_rounded_lengths() -> None:
    reference, fast = Bm25Reference(), TantivyIndex(None)
    fill(reference, TEXTS)
    fill(fast, TEXTS)
    overlaps, largest = [], 0.0
    for query in queries():
        slow = dict(reference.search(query, 1000, everything()))
        quick = fast.search(query, 1000, everything())
        assert {row for row, _ in quick} == set(slow)
        # tantivy's score has the factor k1 + 1 = 2.2; lengths up to 40 terms are kept exactly, beyond within 1/8.
        largest = max(largest, *(abs(score / 2.2 - slow[row]) / slow[row] for row, score in quick))
        top = sorted(slow, key=lambda row: (-slow[row], row))[:10]
        overlaps.append(len(set(top) & set(rows_of(quick)[:10])) / len(top))
    fast.close()
    print(f"largest relative difference to tantivy: {largest:.1e}, overlap of the first ten {np.mean(overlaps):.3f}")  # noqa: T201
    assert largest < 0.05
    assert np.mean(overlaps) > 0.95


def test_tfidf_by_hand() -> None:
    index = TfidfIndex()
    fill(index, {1: "ab ab cd", 2: "cd", 3: "ef"})
    # ln(3/1) = 1.0986 for "ab" and "ef", ln(3/2) = 0.4055 for "cd"
    ab, cd = (1 + np.log(2)) * np.log(3), np.log(1.5)
    assert index.search("ab", 5, everything()) == [(1, pytest.approx(ab / np.hypot(ab, cd)))]
    assert dict(index.search("cd", 5, everything()))[2] == pytest.approx(1.0)


@pytest.mark.data
@pytest.mark.slow
def test_on_scifact_the_engines_differ_by_less_than_the_stated_tolerance(shared_data: Path) -> None:
    folder = shared_data / "scifact"
    corpus = [json.loads(line) for line in (folder / "corpus.jsonl").read_text("utf-8").splitlines()]
    claims = {q["_id"]: q["text"] for q in map(json.loads, (folder / "queries.jsonl").read_text("utf-8").splitlines())}
    relevant: dict[str, set[str]] = {}
    for line in (folder / "qrels" / "dev.tsv").read_text("utf-8").splitlines()[1:]:
        query, document, _ = line.split("\t")
        relevant.setdefault(query, set()).add(document)
    chunks: list[Chunk] = [passage(d["text"]) for d in corpus]
    titles = [d["title"] for d in corpus]

    def ndcg(index: Bm25Reference | TantivyIndex) -> float:
        index.add(range(len(corpus)), chunks, titles, [1] * len(corpus))
        index.commit()
        values = []
        for query, wanted in relevant.items():
            found = [corpus[row]["_id"] for row in rows_of(index.search(claims[query], 10, everything()))]
            gain = sum(1 / np.log2(i + 2) for i, document in enumerate(found) if document in wanted)
            values.append(gain / sum(1 / np.log2(i + 2) for i in range(min(10, len(wanted)))))
        return float(np.mean(values))

    reference, fast = ndcg(Bm25Reference()), ndcg(TantivyIndex(None))
    print(f"nDCG@10 on SciFact dev: reference {reference:.4f}, tantivy {fast:.4f}")  # noqa: T201
    assert fast >= 0.72
    assert abs(reference - fast) <= 0.004
