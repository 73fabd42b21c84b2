"""Questions with passages become a BEIR folder that evaluation reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.as_beir import export, files_of, passage_id
from core.errors import InvalidRequest
from core.types import Sample
from eval.datasets import QaDataset, load_beir

PASSAGES = [("Rivers", "The Rhine is long."), ("Rivers", "The Elbe is wide."), ("", "The Rhine is long.")]
sample_shapes = st.lists(
    st.tuples(st.booleans(), st.lists(st.integers(0, len(PASSAGES) - 1), min_size=1, max_size=3)),
    min_size=1,
    max_size=6,
)


def qa(prefix: str, shapes: list[tuple[bool, list[int]]]) -> QaDataset:
    samples = tuple(
        Sample(
            id=f"{prefix}{n}",
            question=f"Question {n}?",
            answers=("x",) if answerable else (),
            answerable=answerable,
            contexts=tuple(PASSAGES[i] for i in which),
        )
        for n, (answerable, which) in enumerate(shapes)
    )
    return QaDataset(name=prefix, samples=samples, sha256="")


@given(train=sample_shapes, dev=sample_shapes)
def test_ids_are_unique_and_judgements_point_at_documents(
    tmp_path_factory: pytest.TempPathFactory, train: list[tuple[bool, list[int]]], dev: list[tuple[bool, list[int]]]
) -> None:
    folder = tmp_path_factory.mktemp("beir")
    splits = {"train": qa("t", [(True, [0]), *train]), "dev": qa("d", [(True, [1]), *dev])}
    export(splits, folder)
    for split, data in splits.items():
        loaded = load_beir(folder, split)  # refuses an id that stands twice
        assert loaded.judged_not_in_corpus == 0
        assert loaded.queries == {s.id: s.question for s in data.samples if s.answerable}
        for s in data.samples:
            if s.answerable:
                assert set(loaded.qrels[s.id]) == {passage_id(*c) for c in s.contexts}
    used = {c for data in splits.values() for s in data.samples for c in s.contexts}
    assert {(d.title, d.text) for d in load_beir(folder, "dev").corpus} == used


def test_a_question_that_stands_in_two_splits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="'q0' stands in dev"):
        export({"train": qa("q", [(True, [0])]), "dev": qa("q", [(True, [1])])}, tmp_path)


def test_an_unknown_set_is_named_with_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "clapnq").mkdir()
    (tmp_path / "clapnq" / "dev.jsonl").write_text("{}\n")
    (tmp_path / "xquad").mkdir()
    (tmp_path / "xquad" / "de-dev.jsonl").write_text("{}\n")
    with pytest.raises(InvalidRequest, match="there are clapnq, xquad-de"):
        files_of(["clapqn"], tmp_path)
    assert files_of(["xquad-de"], tmp_path) == {"dev": tmp_path / "xquad" / "de-dev.jsonl"}
