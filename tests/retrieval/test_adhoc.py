"""A passing corpus is searched as a stored one is, and its vectors are kept for the next run."""

from __future__ import annotations

import pytest

from core.errors import InvalidRequest
from core.settings import Settings
from core.types import Principal, Where
from retrieval.adhoc import build_adhoc
from tests.support.hash_encoder import HashEncoder, SpellingEncoder

CORPUS = [
    ("d1", "Foxes", "the quick brown fox jumps"),
    ("d2", "Cats", "a cat sleeps in the sun"),
    ("d3", "", "oaks grow near the river"),
]
ANYBODY = Where(principal=Principal(user_id="local"))


def ids(hits):
    return [h.chunk.doc_id for h in hits]


def build(tmp_path, corpus=CORPUS, encoder=None, **choices):
    return build_adhoc(Settings(), corpus, encoder or HashEncoder(), tmp_path / "cache", **choices)


@pytest.mark.parametrize("retriever", ["bm25", "dense", "hybrid"])
@pytest.mark.parametrize("dense", ["exact", "hnsw", "auto"])
def test_a_passage_is_found_under_its_own_id(tmp_path, retriever, dense):
    found = build(tmp_path, retriever=retriever, dense=dense).search("quick brown fox", 2, ANYBODY)
    assert ids(found)[0] == "d1"
    assert found[0].title == "Foxes" and found[0].chunk.text == "Foxes\nthe quick brown fox jumps"
    assert found[0].source == ("fused" if retriever == "hybrid" else retriever)


@pytest.mark.parametrize(("retriever", "sparse"), [("tfidf", None), ("bm25", "rank-bm25")])
def test_the_reference_engines_serve_too(tmp_path, retriever, sparse):
    found = build(tmp_path, retriever=retriever, sparse=sparse).search("river", 5, ANYBODY)
    assert ids(found) == ["d3"]


def test_the_title_is_searched(tmp_path):
    assert ids(build(tmp_path, retriever="bm25").search("Cats", 5, ANYBODY)) == ["d2"]


def test_bm25_needs_no_encoder(tmp_path):
    assert ids(build(tmp_path, encoder=object(), retriever="bm25").search("sun", 5, ANYBODY)) == ["d2"]


def test_an_empty_corpus_answers_nothing(tmp_path):
    for retriever in ("bm25", "dense", "hybrid"):
        assert build(tmp_path, [], retriever=retriever).search("sun", 5, ANYBODY) == []


def test_vectors_are_encoded_once(tmp_path):
    corpus = [(f"d{i}", "", f"text number {i}") for i in range(100)]
    first, second, other = HashEncoder(), HashEncoder(), HashEncoder(revision="hash-2")
    a = build(tmp_path, corpus, first, retriever="dense").search("number 7", 10, ANYBODY)
    b = build(tmp_path, corpus, second, retriever="dense").search("number 7", 10, ANYBODY)
    assert a == b
    assert (first.encoded, second.encoded) == (100 + 1, 0 + 1), "the second run encodes its query alone"
    build(tmp_path, corpus, other, retriever="dense")
    assert other.encoded == 100, "another encoder's vectors are not these"
    changed = HashEncoder()
    build(tmp_path, [*corpus[:-1], ("d99", "", "changed")], changed, retriever="dense")
    assert changed.encoded == 100


@pytest.mark.parametrize("at", [0, 10, 40, 2000, -1])
def test_a_damaged_cache_is_encoded_anew(tmp_path, at, caplog):
    corpus = [(f"d{i}", "", f"text number {i}") for i in range(100)]
    a = build(tmp_path, corpus, retriever="dense").search("number 7", 10, ANYBODY)
    (path,) = (tmp_path / "cache").iterdir()
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    again = HashEncoder()
    assert build(tmp_path, corpus, again, retriever="dense").search("number 7", 10, ANYBODY) == a
    assert again.encoded == 101 and "encoded anew" in caplog.text


def test_progress_is_reported(tmp_path):
    seen = []
    build(tmp_path, retriever="dense", report=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3, 3)


def test_ids_must_differ_and_filters_are_by_id(tmp_path):
    with pytest.raises(InvalidRequest, match="'d1' twice"):
        build(tmp_path, [CORPUS[0], CORPUS[0]])
    retriever = build(tmp_path)
    one = Where(principal=ANYBODY.principal, filters={"doc_id": ("d2",)})
    assert ids(retriever.search("fox", 5, one)) == ["d2"]
    with pytest.raises(InvalidRequest, match="filter by doc_id"):
        retriever.search("fox", 5, Where(principal=ANYBODY.principal, filters={"mime_type": ("x",)}))
    with pytest.raises(InvalidRequest, match="empty"):
        retriever.search(" ", 5, ANYBODY)


@pytest.mark.parametrize("fusion", ["convex", "rrf"])
def test_vectors_count_little_for_a_query_that_the_encoder_only_spells(tmp_path, fusion):
    corpus = [("d1", "", "мост"), ("d2", "", "мост через реку и ещё много слов"), ("d3", "", "bridge")]
    known, spelt = (
        build(tmp_path / str(i), corpus, encoder, retriever="hybrid", fusion=fusion)
        for i, encoder in enumerate((HashEncoder(), SpellingEncoder()))
    )
    top = spelt.search("мост", 3, ANYBODY)
    assert top[0].chunk.doc_id == "d1"
    assert [round(h.score, 6) for h in top if "bm25" not in h.parts] == [0.0], "found by vectors alone, it comes last"
    assert top[0].score == pytest.approx(1.0)
    english = [(h.chunk.doc_id, h.score) for h in spelt.search("bridge", 3, ANYBODY)]
    assert english == [(h.chunk.doc_id, h.score) for h in known.search("bridge", 3, ANYBODY)]
