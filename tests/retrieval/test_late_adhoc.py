"""A passing corpus is searched token by token, and what was read is kept for the next run."""

from __future__ import annotations

import logging

from core.settings import Settings
from core.types import Principal, Where
from retrieval.adhoc import build_adhoc
from tests.support.hash_encoder import HashEncoder

CORPUS = [
    ("d1", "Foxes", "the quick brown fox jumps"),
    ("d2", "Cats", "a cat sleeps in the sun"),
    ("d3", "", "oaks grow near the river"),
]
MANY = [(f"n{i}", "", f"number {i} stands beside number {i + 1}") for i in range(80)]
ANYBODY = Where(principal=Principal(user_id="local"))


def build(tmp_path, corpus=CORPUS, encoder=None):
    return build_adhoc(Settings(), corpus, encoder or HashEncoder(), tmp_path / "cache", retriever="late")


def found(retriever, query, k=3, where=ANYBODY):
    return [(h.chunk.doc_id, h.score) for h in retriever.search(query, k, where)]


def test_a_passage_is_found_under_its_own_id_with_the_part_of_the_stage(tmp_path):
    best, *_ = build(tmp_path).search("the quick brown fox", 2, ANYBODY)
    assert best.chunk.doc_id == "d1" and best.source == "late"
    assert best.parts["late"].rank == 1 and best.parts["late"].score == best.score


def test_a_filter_is_kept_to(tmp_path):
    only = Where(principal=ANYBODY.principal, filters={"doc_id": ("d2", "d3")})
    assert sorted(doc_id for doc_id, _ in found(build(tmp_path), "fox", 3, only)) == ["d2", "d3"]


def test_an_empty_corpus_has_nothing_to_find(tmp_path):
    assert build(tmp_path, []).search("fox", 3, ANYBODY) == []


def test_a_corpus_is_read_once(tmp_path):
    first = found(build(tmp_path, MANY), "number 7")
    encoder = HashEncoder()
    again = build(tmp_path, MANY, encoder)
    assert encoder.encoded == 0
    assert found(again, "number 7") == first


def test_a_damaged_cache_is_made_anew(tmp_path, caplog):
    first = found(build(tmp_path, MANY), "number 7")
    (kept,) = (tmp_path / "cache").glob("*.late.safetensors")
    kept.write_bytes(kept.read_bytes()[:-9])
    with caplog.at_level(logging.WARNING):
        assert found(build(tmp_path, MANY), "number 7") == first
    assert "made anew" in caplog.text
