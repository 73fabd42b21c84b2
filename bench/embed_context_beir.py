"""What titles in front of embedded chunks do to the ranking of documents, on BEIR folders.

    python -m bench.embed_context_beir DIR… [--split dev] [--documents N]

Each document is cut as ingestion cuts it, its title apart; the chunk is encoded alone or with the title before it. The
term index reads titles in any case. nDCG@10 over documents, dense and hybrid, with the difference as `eval compare` says
it. ``--documents`` keeps the judged documents and so many others, evenly spread: absolute values are then too high.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.wiring import build_encoder, load_cli_settings
from core.ids import document_id
from core.protocols import Encoder
from core.types import Allowed, Chunk, Document
from eval.compare import compare_runs
from eval.datasets import CorpusDocument, load_beir
from eval.metrics.ranking import evaluate_run, parse_metric
from eval.saved import SavedRun
from ingest.chunk import chunker
from ingest.embed_text import EmbedContext, embedded_text
from retrieval.dense.auto import AutoIndex
from retrieval.ranking import Ranking, VectorSpace
from retrieval.sparse_kinds import new_sparse

METRIC = "ndcg@10"
DEPTH = 200
WAYS: tuple[EmbedContext, ...] = ("none", "title")


def chunks_of(document: CorpusDocument, encoder: Encoder) -> list[Chunk]:
    text = document.text or document.title
    made = Document(
        doc_id=document_id("c", document.doc_id),
        collection="c",
        uri=document.doc_id,
        title=document.title,
        mime_type="text/plain",
        sha256="0" * 64,
        text=text,
    )
    return chunker("fixed")(made, (), encoder.tokenizer, 200, 40)


def measure(folder: Path, split: str, most: int, encoder: Encoder) -> str:
    data = load_beir(folder, split)
    judged = {doc_id for grades in data.qrels.values() for doc_id in grades}
    corpus = list(data.corpus)
    others = [d for d in corpus if d.doc_id not in judged]
    step = max(1, len(others) // most) if most else 1
    kept = [d for d in corpus if d.doc_id in judged] + (others[::step][:most] if most else others)
    pairs = [(d, c) for d in kept for c in chunks_of(d, encoder)]
    rows = np.ones(len(pairs), dtype=np.bool_)
    allowed = Allowed(rows=rows, count=len(pairs), collection_ids=(1,))
    terms = new_sparse("tantivy")
    terms.add(range(len(pairs)), [c for _, c in pairs], [d.title for d, _ in pairs], [1] * len(pairs))
    terms.commit()
    runs: dict[tuple[str, str], SavedRun] = {}
    seconds: dict[str, float] = {}
    for way in WAYS:
        texts = [embedded_text(d.title, c, way, encoder.tokenizer, encoder.max_tokens - 2) for d, c in pairs]
        began = time.perf_counter()
        vectors = encoder.encode_documents(texts)
        seconds[way] = time.perf_counter() - began
        index = AutoIndex(encoder.dim)
        index.add(np.arange(len(pairs), dtype=np.int64), vectors)
        spaces = [VectorSpace(encoder=encoder, index=index)]
        for ranking in (Ranking(name="dense"), Ranking(name="hybrid", depth=DEPTH)):
            run: dict[str, dict[str, float]] = {}
            for query_id, query in data.queries.items():
                found = ranking.rank(query, DEPTH, allowed, sparse=terms, dense=spaces)
                scores: dict[str, float] = {}
                for hit in found:
                    scores.setdefault(pairs[hit.row][0].doc_id, hit.score)
                run[query_id] = scores
            runs[ranking.name, way] = SavedRun(
                path=way,
                label=way,
                kind="retrieval",
                data="",
                data_sha256="",
                per_query=evaluate_run(run, data.qrels, [parse_metric(METRIC)]),
            )
    lines = [
        f"{data.name} {split}: {len(data.queries)} queries, {len(kept):,} of {len(corpus):,} documents, "
        f"{len(pairs):,} chunks; encoding took {seconds['title'] / seconds['none']:.2f} times as long with titles"
    ]
    for name in ("dense", "hybrid"):
        m = compare_runs(runs[name, "none"], runs[name, "title"]).metrics[0]
        lines.append(f"  {name:<7} none {m.mean_a:.4f}  title {m.mean_b:.4f}  {m.text(1)}")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.embed_context_beir", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--documents", type=int, default=0, help="others than the judged ones; 0: all")
    arguments = parser.parse_args(argv)
    encoder = build_encoder(load_cli_settings())
    encoder.load()
    for folder in arguments.folders:
        print(measure(folder, arguments.split, arguments.documents, encoder), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
