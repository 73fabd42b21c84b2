"""Data sets as they lie on disk: BEIR folders, questions with answers, claims with evidence.

Reading is strict: whatever could not be scored honestly is an error here, before anything has been computed. What a
data set is named by (``sha256``) follows from its content, so that two results can be told to be of the same data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from core.errors import NotFound
from core.types import Sample
from eval.jsonl import Line, bad_data, read_jsonl
from eval.public_sets import is_published_form, published_rows
from eval.trec import read_qrels

_NEAR_ANSWERS = ("answer", "gold_answers", "gold_answer", "gold", "reference", "expected")
BEIR_SHAPE = "a BEIR folder has corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusDocument:
    """One retrievable unit of a benchmark. ``title`` may be empty, and so may ``text``."""

    doc_id: str
    title: str
    text: str


Corpus: TypeAlias = Iterable[CorpusDocument]


class BeirCorpus:
    """A corpus.jsonl, read anew at each iteration: nothing of it stays in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[CorpusDocument]:
        return (document for _, document in self.lines())

    def lines(self) -> Iterator[tuple[Line, CorpusDocument]]:
        """Each document with its place in the file."""
        for line in read_jsonl(self.path):
            document = CorpusDocument(
                doc_id=line.identifier("_id"),
                title=line.text("title", default="", empty=True),
                text=line.text("text", empty=True),
            )
            yield line, document


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalDataset:
    """Questions of one split with judgements over a corpus.

    ``queries`` are the judged ones, in the order of the qrels. ``judged_not_in_corpus`` counts judgements of documents
    that the corpus lacks: no retriever can find them, yet they stay in the divisor of recall, as in trec_eval.
    """

    name: str
    split: str
    corpus: Corpus
    n_documents: int
    queries: Mapping[str, str]  # query_id → text
    qrels: Mapping[str, Mapping[str, int]]  # query_id → doc_id → relevance
    judged_not_in_corpus: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QaDataset:
    name: str
    samples: tuple[Sample, ...]
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaithfulnessPair:
    """``label`` 1: the evidence supports the claim; 0: it does not."""

    id: str
    evidence: str
    claim: str
    label: Literal[0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaithfulnessDataset:
    name: str
    pairs: tuple[FaithfulnessPair, ...]
    sha256: str


def load_beir(folder: Path, split: str) -> RetrievalDataset:
    """Reads and checks a BEIR folder.

    Args:
        folder: holds corpus.jsonl {_id, title, text}, queries.jsonl {_id, text} and qrels/SPLIT.tsv (query-id,
            corpus-id, score; with or without a header).
        split: which qrels.

    Raises:
        NotFound: the folder, a file or the split is missing; the splits that there are, are named.
        InvalidRequest: a line that cannot be read, an id that stands twice, a judged question without text.
    """
    if not folder.is_dir():
        raise NotFound(f"no folder {folder}: {BEIR_SHAPE}", code="no-dataset")
    for name in ("corpus.jsonl", "queries.jsonl"):
        if not (folder / name).is_file():
            raise NotFound(f"{folder} holds no {name}: {BEIR_SHAPE}", code="no-dataset")
    qrels_path = _split_file(folder, split)
    digest = _Digest()
    qrels = read_qrels(qrels_path)
    digest.add(*(f"{q}\t{d}\t{grade}" for q, judged in qrels.items() for d, grade in judged.items()))

    texts: dict[str, str] = {}
    for line in read_jsonl(folder / "queries.jsonl"):
        query_id = line.identifier("_id")
        if query_id in texts:
            raise line.error(f'"_id" {query_id!r} stands a second time: ids must differ')
        texts[query_id] = line.text("text", empty=query_id not in qrels)
    missing = [query_id for query_id in qrels if query_id not in texts]
    if missing:
        raise bad_data(
            qrels_path, None, f"judges {_some(missing)}, which queries.jsonl lacks: do both files belong together?"
        )
    queries = {query_id: texts[query_id] for query_id in qrels}
    digest.add(*(f"{query_id}\t{text}" for query_id, text in queries.items()))

    corpus = BeirCorpus(folder / "corpus.jsonl")
    seen: set[str] = set()
    for line, document in corpus.lines():
        if document.doc_id in seen:
            raise line.error(f'"_id" {document.doc_id!r} stands a second time: ids must differ')
        seen.add(document.doc_id)
        digest.add(document.doc_id, document.title, document.text)
    if not seen:
        raise bad_data(corpus.path, None, "holds no document: lines are {_id, title, text}")
    return RetrievalDataset(
        name=folder.resolve().name,
        split=split,
        corpus=corpus,
        n_documents=len(seen),
        queries=queries,
        qrels=qrels,
        judged_not_in_corpus=sum(doc_id not in seen for judged in qrels.values() for doc_id in judged),
        sha256=digest.hex(),
    )


def load_qa(path: Path, *, judged: bool = True) -> QaDataset:
    """Reads lines {id, question, answers, answerable, contexts?: [{title, text}], gold_ids?}; of a file named .json, what SQuAD or
    HotpotQA is published as (``eval.public_sets``).

    ``answerable`` defaults to whether there are answers. An answerable question without answers is kept: what needs a
    gold answer is then None for it, and counted.

    Args:
        judged: whether answers are to be judged by these lines, so that each must have ``answers`` or ``answerable``.

    Raises:
        NotFound: no such file.
        InvalidRequest: a line that does not fit, an id that stands twice, or no question at all.
    """
    digest = _Digest()
    samples: dict[str, Sample] = {}
    for line in _qa_lines(path):
        if judged:
            _check_says_what_is_right(line)
        answers = line.texts("answers")
        sample = Sample(
            id=line.identifier("id"),
            question=line.text("question"),
            answers=answers,
            answerable=line.flag("answerable", default=bool(answers)),
            gold_ids=line.texts("gold_ids"),
            contexts=_contexts(line),
        )
        if sample.id in samples:
            raise line.error(f'"id" {sample.id!r} stands a second time: ids must differ')
        samples[sample.id] = sample
        digest.add(
            sample.id, sample.question, str(sample.answerable), *answers, *(t for c in sample.contexts for t in c)
        )
    if not samples:
        raise bad_data(path, None, "holds no question, so there is nothing to measure")
    return QaDataset(name=_name(path), samples=tuple(samples.values()), sha256=digest.hex())


def load_faithfulness(path: Path) -> FaithfulnessDataset:
    """Reads lines {id, evidence, claim, label}, label 1 = supported, 0 = not.

    Raises:
        NotFound: no such file.
        InvalidRequest: a line that does not fit, or an id that stands twice.
    """
    digest = _Digest()
    pairs: dict[str, FaithfulnessPair] = {}
    for line in _jsonl_file(path, "{id, evidence, claim, label}"):
        label = line.values.get("label")
        if isinstance(label, bool) or label not in (0, 1):
            raise line.error(f'"label" is {label!r}: it must be 1 (supported) or 0')
        pair = FaithfulnessPair(
            id=line.identifier("id"),
            evidence=line.text("evidence", empty=True),
            claim=line.text("claim"),
            label=1 if label == 1 else 0,
        )
        if pair.id in pairs:
            raise line.error(f'"id" {pair.id!r} stands a second time: ids must differ')
        pairs[pair.id] = pair
        digest.add(pair.id, pair.evidence, pair.claim, str(pair.label))
    return FaithfulnessDataset(name=_name(path), pairs=tuple(pairs.values()), sha256=digest.hex())


def _split_file(folder: Path, split: str) -> Path:
    path = folder / "qrels" / f"{split}.tsv"
    present = sorted(p.stem for p in (folder / "qrels").glob("*.tsv"))
    if split in present:
        return path
    if not present:
        raise NotFound(f"{folder} holds no qrels/{split}.tsv nor any other split: {BEIR_SHAPE}", code="no-dataset")
    raise NotFound(
        f"{folder} has no split {split!r} (qrels/{split}.tsv): choose --split {' or '.join(present)}", code="no-split"
    )


def _qa_lines(path: Path) -> Iterator[Line]:
    if path.is_file() and is_published_form(path):
        rows = enumerate(published_rows(path), start=1)
        return (Line(path, number, row, "question") for number, row in rows)
    return _jsonl_file(path, "{id, question, answers, answerable, contexts?, gold_ids?}")


def _check_says_what_is_right(line: Line) -> None:
    """A right answer under another name would make every question one that cannot be answered, and abstaining right."""
    if line.values.get("answers") is not None:
        return
    near = next((name for name in _NEAR_ANSWERS if line.values.get(name) is not None), None)
    said = line.values.get("answerable") is not None
    missing = '"answers" is missing' if said else 'neither "answers" nor "answerable" is there'
    if near is not None:
        raise line.error(
            f'{missing}, but "{near}" is{" there" if said else ""}: call it "answers" and make it a list, ["…"]'
        )
    if not said:
        raise line.error(f'{missing}: write "answers": ["…"], or "answers": [] if nothing answers it')


def _jsonl_file(path: Path, shape: str) -> Iterator[Line]:
    if not path.is_file():
        raise NotFound(f"no file {path}: give a JSON-lines file with lines {shape}", code="no-dataset")
    empty = True
    for line in read_jsonl(path):
        empty = False
        yield line
    if empty:
        raise bad_data(path, None, f"is empty: its lines are {shape}")


def _name(path: Path) -> str:
    """With its folder, since "dev" alone says little: clapnq/dev.jsonl is "clapnq/dev"."""
    resolved = path.resolve()
    return f"{resolved.parent.name}/{resolved.stem}"


def _contexts(line: Line) -> tuple[tuple[str, str], ...]:
    value = line.values.get("contexts")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise line.error('"contexts" must be a list of objects {"title": "…", "text": "…"}')
    parts = (Line(line.path, line.number, item, line.called) for item in value)
    return tuple((part.text("title", default="", empty=True), part.text("text")) for part in parts)


def _some(ids: list[str]) -> str:
    shown = ", ".join(repr(one) for one in ids[:3])
    return shown if len(ids) <= 3 else f"{shown} and {len(ids) - 3} more"


class _Digest:
    """SHA-256 over length-prefixed strings."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, *parts: str) -> None:
        for part in parts:
            data = part.encode()
            self._hash.update(len(data).to_bytes(8, "little"))
            self._hash.update(data)

    def hex(self) -> str:
        return self._hash.hexdigest()
