"""A grid over a benchmark: each question once, kept, gone on with after a break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InvalidRequest
from core.protocols import Retriever
from core.settings import Settings
from core.types import Hit, Where
from eval.datasets import Corpus, RetrievalDataset
from eval.grid import Entry, run_grid
from eval.kept_rows import KeptRows
from tests.support.word_overlap import hit

QUERIES = {f"q{i}": f"question {i}" for i in range(6)}


class Broken(Exception):
    pass


class Always:
    """Finds the documents named, in this order, and breaks at the question ``until``."""

    def __init__(self, found: Sequence[str], until: str = "") -> None:
        self.found, self.until, self.asked = found, until, 0

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        if query == self.until:
            raise Broken
        self.asked += 1
        return [hit(d, "text", 1.0 / rank, rank) for rank, d in enumerate(self.found, start=1)]


def data(split: str) -> RetrievalDataset:
    class Nothing:
        def __iter__(self):  # type: ignore[no-untyped-def]
            return iter(())

    return RetrievalDataset(
        name="made",
        split=split,
        corpus=Nothing(),
        n_documents=2,
        queries=QUERIES,
        qrels={q: {"good": 1} for q in QUERIES},
        judged_not_in_corpus=0,
        sha256=f"sha of {split}",
    )


def entry(label: str, retriever: Retriever) -> Entry:
    def build(settings: Settings, corpus: Corpus) -> Retriever:
        return retriever

    return Entry(label=label, options={"of": label}, settings=Settings(), build=build)


def test_nothing_is_measured_twice_and_a_break_loses_nothing(tmp_path: Path) -> None:
    breaks = Always(["good", "bad"], until="question 4")
    with pytest.raises(Broken):
        run_grid([data("train"), data("dev")], [entry("a", breaks)], tmp_path)
    whole = Always(["good", "bad"])
    second = Always(["bad", "good"])
    result = run_grid([data("train"), data("dev")], [entry("a", whole), entry("b", second)], tmp_path)
    assert (result.measured, result.reused) == (12 - 4 + 12, 4)
    assert [p.label for p in result.places("mrr@10")] == ["a", "b"]
    assert result.metrics("b")["mrr@10"] == 0.5 and result.metrics("a", "dev")["ndcg@10"] == 1.0
    again = run_grid([data("train"), data("dev")], [entry("a", Always([])), entry("b", Always([]))], tmp_path)
    assert (again.measured, again.reused) == (0, 24) and again.per_query == result.per_query


def test_other_data_are_other_rows(tmp_path: Path) -> None:
    run_grid([data("dev")], [entry("a", Always(["good"]))], tmp_path, n=3)
    assert run_grid([data("train")], [entry("a", Always(["good"]))], tmp_path, n=3).measured == 3
    with pytest.raises(InvalidRequest, match="once"):
        run_grid([data("dev")], [entry("a", Always([])), entry("a", Always([]))], tmp_path)


def test_a_line_that_was_cut_off_is_measured_again(tmp_path: Path) -> None:
    kept = KeptRows(tmp_path, {"of": 1})
    kept.add("one", {"x": 1})
    kept.add("two", {"x": 2})
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    read = KeptRows(tmp_path, {"of": 1}).load()
    assert read.rows == {"one": {"x": 1}}
    read.add("two", {"x": 3})
    assert KeptRows(tmp_path, {"of": 1}).load().rows == {"one": {"x": 1}, "two": {"x": 3}}
    path.write_bytes(b"{}\nnonsense\n" + path.read_bytes())
    with pytest.raises(InvalidRequest, match="measured again"):
        KeptRows(tmp_path, {"of": 1}).load()


def test_each_question_is_asked_of_all_before_the_next_and_timed_as_new(tmp_path: Path) -> None:
    told: list[str] = []

    class Telling(Always):
        def __init__(self, name: str) -> None:
            super().__init__(["good"])
            self.name = name

        def search(self, query: str, k: int, where: Where) -> list[Hit]:
            told.append(f"{self.name} {query} {k}")
            return super().search(query, k, where)

    def forget() -> None:
        told.append("forget")

    entries = [replace(entry(name, Telling(name)), forget=forget) for name in ("a", "b")]
    run_grid([data("dev")], entries, tmp_path, n=2)
    asked = [
        line for q in (0, 3) for e in "ab" for line in ("forget", f"{e} question {q} 10", f"{e} question {q} 1000")
    ]
    assert told == asked
