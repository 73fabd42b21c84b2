"""The sets that groups are mined from, in one shape: passages, questions to train on, questions to measure with.

Labelled sets keep their own splits. Not known here: retrieval.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.text import words
from eval.datasets import load_beir, load_qa
from models.train.pairs import Passage


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """``positives`` are ids of passages; ``never`` are ids that must not be negatives though nobody judged them.

    ``whole`` is every passage of the section that a heading names; its first is the one to train on.
    ``altered`` is the positive as it is trained on where that is not the passage itself (the query's own sentence taken out).
    """

    id: str
    query: str
    positives: tuple[str, ...]
    whole: tuple[str, ...] = ()
    never: frozenset[str] = frozenset()
    with_heading: bool = True
    altered: Passage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A question of a dev split; ``relevant`` is passage id → grade."""

    id: str
    query: str
    relevant: Mapping[str, int]
    with_heading: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One corpus that is searched as a whole."""

    name: str
    licence: str
    passages: Mapping[str, Passage]
    train: Sequence[Question] = ()
    dev: Mapping[str, Sequence[Judged]] = field(default_factory=dict)  # dev field → questions


def scifact(folder: Path) -> Field:
    """Claims and abstracts; the positives are the cited abstracts of the train split."""
    train, dev = load_beir(folder, "train"), load_beir(folder, "dev")
    passages = {f"scifact/{d.doc_id}": _passage(f"scifact/{d.doc_id}", d.title, d.text) for d in train.corpus}

    def known(qrels: Mapping[str, int]) -> dict[str, int]:
        found = {f"scifact/{i}": grade for i, grade in qrels.items() if grade > 0}
        return {i: grade for i, grade in found.items() if i in passages}

    return Field(
        name="scifact",
        licence="claims CC BY 4.0, abstracts ODC-By 1.0",
        passages=passages,
        train=[
            Question(id=f"scifact/{q}", query=text, positives=tuple(known(train.qrels[q])))
            for q, text in train.queries.items()
            if known(train.qrels[q])
        ],
        dev={
            "scifact": [Judged(id=q, query=text, relevant=known(dev.qrels[q])) for q, text in dev.queries.items()],
        },
    )


def qa_field(name: str, licence: str, train: Path, dev: Path, *, measured: bool) -> Field:
    """Questions with their paragraph; the corpus is the paragraphs of both splits, as many as there are.

    Args:
        name: of the field, and of its dev field.
        measured: whether the dev split becomes a dev field.
    """
    passages: dict[str, Passage] = {}
    ids: dict[tuple[str, str], str] = {}
    samples = [(path, s) for path in (train, dev) for s in load_qa(path).samples]
    for _, sample in samples:
        for title, text in sample.contexts:
            if (title, text) not in ids:
                digest = hashlib.sha256(f"{title}\0{text}".encode()).hexdigest()
                key = ids[title, text] = f"{name}/{digest[:12]}"
                passages[key] = _passage(key, title.replace("_", " "), text)
    questions, judged = [], []
    for path, sample in samples:
        if not sample.answerable or not sample.contexts:
            continue  # its paragraph does not answer it, and nobody looked at the others
        gold = tuple(ids[c] for c in sample.contexts)
        if path == train:
            questions.append(Question(id=f"{name}/{sample.id}", query=sample.question, positives=gold))
        else:
            judged.append(Judged(id=sample.id, query=sample.question, relevant=dict.fromkeys(gold, 1)))
    return Field(name=name, licence=licence, passages=passages, train=questions, dev={name: judged} if measured else {})


def normal(text: str) -> str:
    """Words alone, without case: what two texts are compared by."""
    return " ".join(words(text.casefold()))


def _passage(key: str, title: str, text: str) -> Passage:
    return Passage(id=key, title=title, heading="", text=text)
