"""What it costs to search vectors of one precision with queries of another: cosines and nDCG@10 of vectors alone.

    python -m bench.precisions DIR [--split train] [--documents N]

DIR is BEIR-shaped. Every document is encoded in fp32 and in bf16 (so this needs a processor that has it), as one passage; then the queries of
each precision search the documents of each, and a collection of which every second document is of the other. ``--documents`` keeps the
judged documents and so many others, evenly spread: absolute values are then too high.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.wiring import model_cache_dir
from core.types import Vectors
from eval.compare import compare_runs
from eval.datasets import RetrievalDataset, load_beir
from eval.metrics.ranking import evaluate_run, parse_metric
from eval.saved import SavedRun
from models.openvino_run import Precision
from retrieval.encoders.openvino import OpenVinoEncoder

METRIC, DEPTH = "ndcg@10", 100
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.precisions", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="train")
    parser.add_argument("--documents", type=int, default=0, help="unjudged ones to keep; 0 keeps all")
    arguments = parser.parse_args(argv)
    dataset = load_beir(arguments.folder, arguments.split)
    documents, queries = _documents(dataset, arguments.documents), list(dataset.qrels)
    ids = [one[0] for one in documents]
    found: dict[str, tuple[Vectors, Vectors]] = {}  # queries, documents
    for precision in PRECISIONS:
        encoder = OpenVinoEncoder(model_cache_dir(), precision)
        of_queries = encoder.encode_queries([dataset.queries[q] for q in queries])
        found[precision] = (of_queries, encoder.encode_documents([text for _, text in documents]))
        print(f"encoded in {precision}", file=sys.stderr, flush=True)
    (q32, d32), (q16, d16) = (found[p] for p in PRECISIONS)
    cosines = (d32 * d16).sum(axis=1), (q32 * q16).sum(axis=1)
    print(f"{len(documents):,} documents, {len(queries):,} queries of {dataset.name} ({arguments.split})\n")
    for what, values in zip(("documents", "queries"), cosines, strict=True):
        print(f"cosine of the two vectors of one text, {what}: lowest {values.min():.5f}, mean {values.mean():.6f}")
    mixed = np.where(np.arange(len(d32))[:, None] % 2 == 0, d32, d16)
    print(
        "\n| queries | documents | nDCG@10 | less that of documents of the queries' precision | same first document |"
    )
    print("|---|---|---:|---:|---:|")
    for precision, name, vectors in (
        ("fp32", "fp32", d32), ("fp32", "bf16", d16), ("fp32", "every second bf16", mixed),
        ("bf16", "bf16", d16), ("bf16", "fp32", d32), ("bf16", "every second bf16", mixed),
    ):  # fmt: skip
        of_queries, own = found[precision]
        runs = [_run(dataset, queries, ids, of_queries, each) for each in (own, vectors)]
        compared = compare_runs(*runs).metrics[0]
        same = float(np.mean((of_queries @ vectors.T).argmax(1) == (of_queries @ own.T).argmax(1)))
        print(f"| {precision} | {name} | {compared.mean_b:.4f} | {compared.text(1)} | {same:.1%} |")
    return 0


def _documents(dataset: RetrievalDataset, most: int) -> list[tuple[str, str]]:
    """(id, text) of what is searched."""
    judged = {doc_id for grades in dataset.qrels.values() for doc_id in grades}
    every = [(d.doc_id, f"{d.title}\n{d.text}" if d.title else d.text) for d in dataset.corpus]
    others = [one for one in every if one[0] not in judged]
    kept = {one[0] for one in (others[:: max(1, len(others) // most)] if most else others)}
    return [one for one in every if one[0] in judged or one[0] in kept]


def _run(
    dataset: RetrievalDataset, queries: Sequence[str], ids: Sequence[str], of_queries: Vectors, vectors: Vectors
) -> SavedRun:
    run: dict[str, dict[str, float]] = {}
    for query_id, scores in zip(queries, of_queries @ vectors.T, strict=True):
        run[query_id] = {ids[i]: float(scores[i]) for i in np.argsort(-scores, kind="stable")[:DEPTH]}
    values = evaluate_run(run, dataset.qrels, [parse_metric(METRIC)])
    return SavedRun(path="", label="", kind="retrieval", data="", data_sha256="", per_query=values)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
