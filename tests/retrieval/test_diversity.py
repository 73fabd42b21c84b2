"""Hits spread over documents and over what they say: MMR by its formula, and so many hits of one document."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from core.types import Principal, Where
from retrieval.diversity import DiverseRetriever, mmr, stored_vectors
from retrieval.search_record import SearchRecord
from tests.support.library import LOCAL, library


def test_mmr_is_its_formula():
    similarity = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.2], [0.1, 0.2, 1.0]], dtype=np.float32)
    chosen = mmr([1.0, 0.8, 0.5], similarity, 0.5, 3)
    assert [i for i, _ in chosen] == [0, 2, 1]
    # 0.5·1.0 - 0;  0.5·0.5 - 0.5·0.1;  0.5·0.8 - 0.5·max(0.9, 0.2)
    assert [value for _, value in chosen] == pytest.approx([0.5, 0.2, -0.05], abs=1e-6)


def test_mmr_of_relevance_alone_keeps_the_order_and_of_novelty_alone_spreads():
    similarity = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=np.float32)
    assert [i for i, _ in mmr([0.9, 0.8, 0.1], similarity, 1.0, 3)] == [0, 1, 2]
    assert [i for i, _ in mmr([0.9, 0.8, 0.1], similarity, 0.0, 2)] == [0, 2]
    assert mmr([], np.zeros((0, 0), dtype=np.float32), 0.5, 3) == []


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    with library(tmp_path_factory.mktemp("diverse")) as lib:
        lib.create("c")
        lib.put("c", "long.txt", " ".join(f"heron pond morning number{i}" for i in range(12)), words_per_chunk=4)
        lib.put("c", "b.txt", "a heron at the harbour")
        lib.put("c", "d.txt", "herons of the delta")
        yield lib


def diverse(lib, lambda_=1.0, most=0, record=None):
    return DiverseRetriever(
        inner=lib.engine.retriever("hybrid", record=record),
        mmr_lambda=lambda_,
        max_per_document=most,
        vectors=stored_vectors(lib.store),
        record=record,
    )


WHERE = Where(principal=LOCAL)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_document_has_more_hits_than_its_share(lib, most):
    hits = diverse(lib, most=most).search("heron pond morning", 5, WHERE)
    counts = Counter(h.title for h in hits)
    assert max(counts.values()) <= most
    assert len(hits) == min(5, most + 2), "what is left out makes room for what comes next"
    assert [h.rank for h in hits] == list(range(1, len(hits) + 1))


def test_mmr_brings_up_what_is_unlike(lib):
    plain = [h.title for h in diverse(lib).search("heron pond morning", 4, WHERE)]
    assert set(plain) == {"long.txt"}
    spread = diverse(lib, lambda_=0.3).search("heron pond morning", 4, WHERE)
    assert len({h.title for h in spread}) > 1
    assert spread[0].title == "long.txt", "the first is the one that fits best"
    assert {h.source for h in spread} == {"mmr"}
    assert [h.parts["mmr"].rank for h in spread] == [1, 2, 3, 4]


def test_what_has_an_identifier_comes_first_and_the_rest_is_still_chosen_by_relevance(tmp_path):
    texts = [
        "part TX9007 is in stock",
        "part TX9007 of the lift",
        "part TX 9008 of the lift",
        "part TX 9010 is in stock",
    ]
    texts += ["a heron at the harbour", "the canteen closes at three", "rain is expected"]
    with library(tmp_path) as lib:
        lib.create("c")
        lib.put_many("c", {f"p{i}.txt": text for i, text in enumerate(texts)})
        for query in ("TX9007", 'which part "TX9007" is in stock'):
            plain = [h.title for h in diverse(lib).search(query, 7, WHERE)]
            assert set(plain[:2]) == {"p0.txt", "p1.txt"}
            spread = [h.title for h in diverse(lib, lambda_=0.9).search(query, 7, WHERE)]
            assert set(spread[:2]) == {"p0.txt", "p1.txt"}
            assert spread[2] == plain[2], (plain, spread)
            assert {h.title for h in diverse(lib, lambda_=0.1).search(query, 2, WHERE)} == {"p0.txt", "p1.txt"}


def test_what_is_left_out_is_noted(lib):
    record = SearchRecord()
    diverse(lib, most=2, record=record).search("heron pond morning", 3, WHERE)
    assert {c.code for c in record.cuts} == {"per-document"}
    record = SearchRecord()
    diverse(lib, lambda_=0.3, record=record).search("heron pond morning", 3, WHERE)
    assert {c.code for c in record.cuts} == {"mmr"}
    assert all(c.value is not None and c.value > 0.5 for c in record.cuts)
    assert "mmr" in [s.name for s in record.stages]


def test_vectors_are_read_only_by_whom_they_concern(lib):
    hits = lib.search("heron", 3)
    vectors, encoders = stored_vectors(lib.store)(LOCAL, hits)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert encoders.tolist() == [0, 0, 0]
    nothing, strange = stored_vectors(lib.store)(Principal(user_id="stranger"), hits)
    assert not nothing.any() and strange.tolist() == [-1, -1, -1]
