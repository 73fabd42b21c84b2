"""A data directory goes from one processor to another: vectors of the other precision serve, and what does not serve is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.searching import SearchChoices, Searching
from core.settings import Settings
from core.types import Where
from retrieval.precisions import alike
from tests.support.hash_encoder import HashEncoder
from tests.support.library import LOCAL, Library, library

FP32, BF16 = "m-mean-fp32", "m-mean-bf16"


def notes(lib: Library, retriever: str, *collections: str) -> tuple[str, ...]:
    where = Where(principal=LOCAL, collections=collections, filters={})
    return Searching(Settings()).search(lib.engine, "alpha", 5, where, SearchChoices(retriever=retriever))[0].notes


@pytest.mark.parametrize(
    ("revision", "others"),
    [
        ("abc-mean-fp32", ["abc-mean-bf16"]),
        ("abc-512-bf16-passage", ["abc-512-fp32-passage"]),  # the name of a document's prompt comes last
        ("tuned-bf16-512-fp32", ["tuned-bf16-512-bf16"]),  # a model may be named after a precision
        ("hash-1", []),
        ("bf16", []),
    ],
)
def test_revisions_are_alike_that_differ_in_precision_alone(revision: str, others: list[str]) -> None:
    assert list(alike(revision)) == [revision, *others]


@pytest.mark.parametrize(("made", "opened"), [(BF16, FP32), (FP32, BF16)])
@pytest.mark.parametrize("dense", ["auto", "hnsw"])
def test_vectors_of_the_other_precision_are_searched(tmp_path: Path, made: str, opened: str, dense: str) -> None:
    with library(tmp_path, HashEncoder(revision=made), dense=dense) as lib:
        lib.create("c")
        lib.put("c", "a.md", "alpha beta gamma")
        assert lib.engine.settle(30)
    with library(tmp_path, HashEncoder(revision=opened), dense=dense) as lib:
        lib.put("c", "b.md", "alpha delta epsilon")
        assert lib.engine.settle(30)
        assert {hit.title for hit in lib.search("alpha", retriever="dense")} == {"a.md", "b.md"}
        (best, *_) = lib.search("alpha beta gamma", retriever="hybrid")
        assert best.title == "a.md" and "dense" in best.parts
        status = lib.engine.status()
        assert (status.stale_rows, status.problems, lib.engine.audit(), notes(lib, "hybrid")) == (0, (), [], ())


def test_an_encoder_of_another_precision_is_no_second_space(tmp_path: Path) -> None:
    """Or its rows would be found twice, once by each."""
    with library(tmp_path, HashEncoder(revision=BF16)) as lib:
        lib.create("c")
        lib.put("c", "a.md", "alpha beta gamma")
        lib.engine.add_encoder(HashEncoder(revision=FP32))
        assert [hit.title for hit in lib.search("alpha", retriever="dense")] == ["a.md"]


def test_what_another_encoder_made_is_never_left_out_silently(tmp_path: Path) -> None:
    with library(tmp_path, HashEncoder(revision="one-fp32")) as lib:
        lib.create("old")
        lib.put("old", "a.md", "alpha beta gamma")
    with library(tmp_path, HashEncoder(revision="two-fp32")) as lib:
        lib.create("new")
        lib.put("new", "b.md", "alpha delta")
        (problem,) = lib.engine.status().problems
        assert problem.startswith("1 of 2 passages have vectors of another encoder than two-fp32")
        assert notes(lib, "hybrid")[0].startswith("1 passage was searched by its words alone")
        assert notes(lib, "dense", "old")[0].startswith("1 passage was not searched")
        assert notes(lib, "bm25") == notes(lib, "hybrid", "new") == ()
        lib.put("old", "a.md", "alpha beta gamma")  # ingested again
        assert lib.engine.settle(30)
        assert (lib.engine.status().problems, notes(lib, "hybrid")) == ((), ())
