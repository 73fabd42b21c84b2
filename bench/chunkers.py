"""The four chunkers compared on what they are for: finding the passage that answers, and reading little.

    python -m bench.chunkers [--data DIR] [--filings 10] [--out FILE]

Each chunker cuts the same documents into a new store, and the product's hybrid retriever searches it, with everything
as the settings ship. Two collections:

- xquad: the English paragraphs joined by article, the questions of the dev file. hit@k: one of the first k passages
  that are read holds the whole span of the answer, wherever it stands in its paragraph. overlap@4: the largest share of the span
  that one of the first four holds. hit@400t: the same as hit@k within the first 400 tokens read, whatever k that is.
- sec10q: filings as PDF, and the questions whose source is among them. file@k: one of the first k passages is of a
  source document. It does not say whether that passage has the answer.

"read@4" are the tokens of the first four passages that are read, "per hit" all of them for each question answered by
one. Each metric is compared with ``fixed`` by question: paired randomisation, Holm over all comparisons of a collection.
Nothing was tuned: every number is as it was set before this was first run.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

import numpy as np

from app.wiring import MIGRATIONS, model_cache_dir
from core.database import migrate, open_database
from core.ids import document_id
from core.protocols import Encoder
from core.settings import Settings
from core.types import LOCAL_USER_ID, Document, Hit, Principal, Where
from eval.report import table
from eval.statistics import bootstrap_means, holm, percentile_interval, randomization_test
from ingest.chunk.choose import ChunkerName, chunker_version, cut
from ingest.embed_text import embedded_text
from ingest.parse import ParseLimits
from ingest.parse.document import Heading
from ingest.parse.sandbox import Sandbox
from ingest.pipeline import to_document
from retrieval.encoders.openvino import OpenVinoEncoder
from retrieval.engine import SearchEngine
from retrieval.store import Store

CHUNKERS: tuple[ChunkerName, ...] = get_args(ChunkerName)
BASE: ChunkerName = "fixed"
K = 4
DEPTH = 16  # hits asked for, so that a budget of tokens is filled by small passages as well
TOKEN_BUDGET = 400
COLLECTION = "c"

Scores = dict[str, float]


@dataclass(frozen=True, slots=True)
class Question:
    """``score`` says what the hits are worth; every question of a collection has the same metrics."""

    text: str
    score: Callable[[Sequence[Hit]], Scores]


@dataclass(frozen=True, slots=True)
class Material:
    name: str
    documents: Sequence[tuple[Document, Sequence[Heading]]]
    questions: Sequence[Question]
    answered: str  # the metric that "per hit" counts


@dataclass(frozen=True, slots=True)
class Measured:
    chunks: int
    read: int  # passages that may be read
    read_tokens: float  # of one of them, the mean
    cut_s: float
    encode_s: float
    scores: list[Scores]  # by question
    tokens: list[int]  # of the first K that are read, by question


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.chunkers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--filings", type=int, default=10, help="how many, evenly among the 20; 0 leaves sec10q out")
    parser.add_argument("--out", type=Path, help="also write the tables there, as Markdown")
    arguments = parser.parse_args(argv)
    encoder = OpenVinoEncoder(model_cache_dir())
    encoder.load()
    materials = [xquad(arguments.data / "xquad")]
    if arguments.filings:
        materials.append(sec10q(arguments.data / "sec10q", arguments.filings))
    said = [f"{platform.machine()}, {encoder.revision}, {time.strftime('%Y-%m-%d')}."]
    for material in materials:
        measured = {}
        for name in CHUNKERS:
            measured[name] = measure(name, material, encoder)
            print(f"{material.name} {name}: {measured[name].cut_s + measured[name].encode_s:.0f} s", file=sys.stderr)
        said += report(material, measured)
    text = "\n\n".join(said)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return 0


# ---------------------------------------------------------------- what is searched


def xquad(folder: Path) -> Material:
    paragraphs: dict[str, tuple[str, str]] = {}  # "p12-3" → (title, text)
    asked: list[dict[str, Any]] = []
    for name in ("en-dev", "en-train"):  # articles are whole only with the paragraphs of both
        for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            context = row["contexts"][0]
            paragraphs[row["gold_ids"][0]] = (context["title"].replace("_", " "), context["text"])
            if name == "en-dev":
                asked.append(row)
    articles: dict[str, list[str]] = {}
    for key in sorted(paragraphs, key=lambda k: tuple(map(int, re.findall(r"\d+", k)))):
        articles.setdefault(paragraphs[key][0], []).append(key)
    documents = []
    places: dict[str, tuple[str, int]] = {}  # paragraph → (document, where it begins)
    for title, keys in articles.items():
        text = "\n\n".join(paragraphs[key][1] for key in keys)
        document = Document(
            doc_id=document_id(COLLECTION, title), collection=COLLECTION, uri=title, title=title,
            mime_type="text/plain", sha256=hashlib.sha256(text.encode()).hexdigest(), text=text,
        )  # fmt: skip
        at = 0
        for key in keys:
            places[key] = (document.doc_id, at)
            at += len(paragraphs[key][1]) + 2
        documents.append((document, ()))
    questions = []
    for row in asked:
        doc_id, at = places[row["gold_ids"][0]]
        paragraph = paragraphs[row["gold_ids"][0]][1]
        spans = [
            (at + m.start(), at + m.end())
            for answer in row["answers"]
            for m in re.finditer(re.escape(answer), paragraph)
        ]
        questions.append(Question(row["question"], _span_scores(doc_id, spans)))
    return Material("xquad", documents, questions, f"hit@{K}")


def _span_scores(doc_id: str, spans: Sequence[tuple[int, int]]) -> Callable[[Sequence[Hit]], Scores]:
    def share(hit: Hit) -> float:
        """The largest share of one of the spans that the hit holds."""
        chunk = hit.chunk
        if chunk.doc_id != doc_id:
            return 0.0
        return max(max(0, min(b, chunk.end) - max(a, chunk.start)) / (b - a) for a, b in spans)

    def score(hits: Sequence[Hit]) -> Scores:
        shares = [share(h) for h in hits]
        within = int(np.searchsorted(np.cumsum([h.chunk.n_tokens for h in hits]), TOKEN_BUDGET, side="right"))
        return {
            "hit@1": float(max(shares[:1], default=0.0) == 1.0),
            f"hit@{K}": float(max(shares[:K], default=0.0) == 1.0),
            f"overlap@{K}": max(shares[:K], default=0.0),
            f"hit@{TOKEN_BUDGET}t": float(max(shares[:within], default=0.0) == 1.0),
        }

    return score


def sec10q(folder: Path, n: int) -> Material:
    documents = []
    paths = sorted((folder / "docs").glob("*.pdf"))
    with Sandbox(ParseLimits()) as sandbox:
        for i in range(min(n, len(paths))):
            path = paths[i * len(paths) // min(n, len(paths))]
            parsed = sandbox.parse(path, path.name)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            document = to_document(parsed, collection=COLLECTION, uri=path.stem, sha256=sha256)
            documents.append((document, parsed.headings))
    questions = []
    with (folder / "qna_data.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            right = frozenset(d.doc_id for d, _ in documents if fnmatchcase(d.uri, row["Source Docs"]))
            if right:
                questions.append(Question(row["Question"], _file_scores(right)))
    return Material("sec10q", documents, questions, f"file@{K}")


def _file_scores(right: frozenset[str]) -> Callable[[Sequence[Hit]], Scores]:
    def score(hits: Sequence[Hit]) -> Scores:
        found = [h.chunk.doc_id in right for h in hits]
        return {"file@1": float(any(found[:1])), f"file@{K}": float(any(found[:K]))}

    return score


# ---------------------------------------------------------------- measuring


def measure(name: ChunkerName, material: Material, encoder: Encoder) -> Measured:
    """Cuts, encodes, stores and searches, as ingestion and search do."""
    settings = Settings(chunker=name)
    version = chunker_version(name, settings.chunk_tokens, settings.chunk_overlap_tokens)
    where = Where(principal=Principal(user_id=LOCAL_USER_ID))
    n_chunks, cut_s, encode_s = 0, 0.0, 0.0
    read: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder))
        migrate(database, MIGRATIONS)
        store = Store(database, Path(folder) / "originals", also_held=lambda _: frozenset())
        with database.write() as connection:
            store.create_collection(connection, COLLECTION, LOCAL_USER_ID)
        for document, headings in material.documents:
            begun = time.perf_counter()
            made = cut(
                name, document, headings, encoder.tokenizer, settings.chunk_tokens, settings.chunk_overlap_tokens,
                encoder.encode_documents, settings.semantic_percentile,
            )  # fmt: skip
            cut_s += time.perf_counter() - begun
            begun = time.perf_counter()
            texts = [
                embedded_text(document.title, c, settings.embed_context, encoder.tokenizer, encoder.max_tokens - 2)
                for c in made.chunks
            ]
            vectors = encoder.encode_documents(texts)
            encode_s += time.perf_counter() - begun
            n_chunks += len(made.chunks)
            read += [c.n_tokens for c in made.parents or made.chunks]
            with database.write() as connection:
                store.put_document(
                    connection, document, made.chunks, vectors, encoder.revision, version, parents_=made.parents
                )
        engine = SearchEngine(store, encoder, Path(folder), settings)
        engine.open()
        engine.settle()
        retriever = engine.retriever("hybrid")
        scores, tokens = [], []
        for question in material.questions:
            hits = retriever.search(question.text, DEPTH, where)
            scores.append(question.score(hits))
            tokens.append(sum(h.chunk.n_tokens for h in hits[:K]))
        engine.close()
        database.close()
    return Measured(n_chunks, len(read), float(np.mean(read)), cut_s, encode_s, scores, tokens)


# ---------------------------------------------------------------- saying it


def report(material: Material, measured: Mapping[ChunkerName, Measured]) -> Iterator[str]:
    metrics = list(measured[BASE].scores[0])
    characters = sum(len(d.text) for d, _ in material.documents)
    yield (
        f"## {material.name}\n\n{len(material.documents)} documents of {characters:,} characters, "
        f"{len(material.questions)} questions."
    )
    rows = []
    for name, m in measured.items():
        hits = sum(s[material.answered] for s in m.scores)
        rows.append(
            [name, *(f"{np.mean([s[metric] for s in m.scores]):.3f}" for metric in metrics),
             f"{np.mean(m.tokens):.0f}", f"{sum(m.tokens) / hits:.0f}" if hits else "–",
             f"{m.chunks:,}", f"{m.read:,}", f"{m.read_tokens:.0f}", f"{m.cut_s:.1f}", f"{m.encode_s:.1f}"]
        )  # fmt: skip
    headers = ["chunker", *metrics, f"read@{K}", "per hit", "indexed", "readable", "tokens each", "cut s", "encode s"]
    yield table(headers, rows, style="markdown")

    compared = []
    for name in CHUNKERS:
        for metric in metrics if name != BASE else ():
            pairs = zip(measured[BASE].scores, measured[name].scores, strict=True)
            d = np.array([b[metric] - a[metric] for a, b in pairs])
            low, high = percentile_interval(bootstrap_means(d), len(d))
            compared.append((name, metric, d, low, high, randomization_test(d.tolist()).p))
    corrected = holm([p for *_, p in compared])
    yield table(
        ["against fixed", "metric", "difference", "95 % interval", "better", "worse", "p", "p (Holm)", "evidence"],
        [
            [name, metric, f"{d.mean():+.3f}", f"[{low:+.3f}, {high:+.3f}]", str(int((d > 0).sum())),
             str(int((d < 0).sum())), f"{p:.3f}", f"{p_holm:.3f}", "yes" if p_holm < 0.05 else "no"]
            for (name, metric, d, low, high, p), p_holm in zip(compared, corrected, strict=True)
        ],
        style="markdown",
        left=(0, 1),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
