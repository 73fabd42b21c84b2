"""What compression costs late interaction: quality, bytes and time, against MaxSim over every token vector as it is.

python -m bench.late --dataset scifact --split train [--queries 100] [--cache FOLDER]

The first run reads the corpus token by token, which takes minutes, and keeps that in --cache (1.3 GB for SciFact).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.wiring import build_encoder, load_cli_settings
from core.protocols import Encoder
from core.types import Allowed, Vectors
from eval.datasets import load_beir
from eval.metrics.ndcg import ndcg
from eval.report import table
from retrieval.late import files
from retrieval.late.codec import Bits, sample_size, train
from retrieval.late.compressed import CompressedLateIndex
from retrieval.late.pooling import pool_neighbours
from retrieval.late.reading import read_passages, read_query

# (tokens that become one, dimensions kept, bits of each)
VARIANTS: tuple[tuple[int, int, Bits], ...] = (
    (1, 128, 2),
    (2, 128, 1),
    (2, 128, 2),
    (2, 128, 4),
    (2, 192, 2),
    (2, 384, 2),
    (3, 128, 2),
    (4, 128, 2),
)
_AT_ONCE = 64

Judged = Mapping[str, int]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--queries", type=int, default=100, help="drawn by chance; 0: all")
    parser.add_argument("--cache", type=Path, default=Path("late-tokens"))
    parser.add_argument(
        "--variant", action="append", help="pooling,dimensions,bits; may be repeated; default: a table of them"
    )
    parser.add_argument("--no-exact", action="store_true", help="leave out what everything is held against")
    options = parser.parse_args(argv)
    data = load_beir(options.dataset, options.split)
    texts = [f"{d.title}\n{d.text}" if d.title else d.text for d in data.corpus]
    ids = [d.doc_id for d in data.corpus]
    encoder = build_encoder(load_cli_settings())
    tokens, lengths = read_once(encoder, texts, options.cache)
    chosen = sorted(data.queries)
    if options.queries and options.queries < len(chosen):
        order = np.random.default_rng(0).permutation(len(chosen))[: options.queries]
        chosen = [chosen[i] for i in sorted(order.tolist())]
    queries = [read_query(encoder, data.queries[q]) for q in chosen]
    judged = [data.qrels[q] for q in chosen]

    def quality(ranked: Sequence[Sequence[int]]) -> float:
        return float(np.mean([of_query([ids[i] for i in r[:10]], j) for r, j in zip(ranked, judged, strict=True)]))

    rows: list[list[str]] = []
    best: list[list[int]] | None = None
    if not options.no_exact:
        best = exact(queries, tokens, lengths)
        mb = tokens.size * 2 / 1e6
        rows.append(
            ["float16, all tokens", f"{quality(best):.4f}", "1", f"{mb:.0f}", f"{mb * 1e3 / len(ids):.1f}", "–"]
        )
        print(rows[-1], flush=True)
    wanted: Sequence[Any] = [tuple(map(int, v.split(","))) for v in options.variant or ()] or VARIANTS
    for pooling, reduced, bits in wanted:
        index = compressed(tokens, lengths, pooling, reduced, bits)
        path = options.cache / "index.safetensors"
        files.save(index, path)
        size = path.stat().st_size
        everything = Allowed(rows=np.ones(len(ids), dtype=np.bool_), count=len(ids), collection_ids=(1,))
        began = time.perf_counter()
        ranked = [[row for row, _ in index.search(query, 10, everything)] for query in queries]
        seconds = (time.perf_counter() - began) / len(queries)
        kept = (
            "–"
            if best is None
            else f"{np.mean([len(set(a) & set(b[:10])) / 10 for a, b in zip(ranked, best, strict=True)]):.3f}"
        )
        name = f"pooled by {pooling}, {reduced} dimensions, {bits} bits"
        rows.append(
            [
                name,
                f"{quality(ranked):.4f}",
                kept,
                f"{size / 1e6:.1f}",
                f"{size / 1e3 / len(ids):.1f}",
                f"{seconds * 1e3:.0f}",
            ]
        )
        print(rows[-1], flush=True)
    print(table(["index", "nDCG@10", "recall@10 of exact", "MB", "kB a passage", "ms a query"], rows))


def read_once(encoder: Encoder, texts: Sequence[str], folder: Path) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """All token vectors (n_tokens, dim) one after the other, and how many each text has."""
    folder.mkdir(parents=True, exist_ok=True)
    vectors, lengths = folder / "tokens.npy", folder / "n.npy"
    if not lengths.exists():
        parts: list[NDArray[np.float16]] = []
        for start in range(0, len(texts), _AT_ONCE):
            parts += [v.astype(np.float16) for v in read_passages(encoder, texts[start : start + _AT_ONCE])]
            print(f"read {start:,} of {len(texts):,}", flush=True)
        np.save(vectors, np.concatenate(parts), allow_pickle=False)
        np.save(lengths, np.array([len(p) for p in parts], dtype=np.int64), allow_pickle=False)
    return np.load(vectors, mmap_mode="r", allow_pickle=False), np.load(lengths, allow_pickle=False)


def passages(tokens: NDArray[np.float16], lengths: NDArray[np.int64]) -> Iterator[tuple[int, list[Vectors]]]:
    """(first, token vectors of some passages), in order."""
    starts = np.concatenate([[0], np.cumsum(lengths)]).tolist()
    for first in range(0, len(lengths), _AT_ONCE):
        last = min(first + _AT_ONCE, len(lengths))
        yield first, [tokens[starts[i] : starts[i + 1]].astype(np.float32) for i in range(first, last)]


def exact(queries: Sequence[Vectors], tokens: NDArray[np.float16], lengths: NDArray[np.int64]) -> list[list[int]]:
    """Per query the ten best passages by MaxSim over every token vector."""
    together = np.concatenate(queries).T
    firsts = np.cumsum([0, *(len(q) for q in queries)])[:-1]
    scores = []
    for _, some in passages(tokens, lengths):
        ends = np.cumsum([len(v) for v in some])
        best = np.maximum.reduceat(np.concatenate(some) @ together, np.concatenate([[0], ends[:-1]]), axis=0)
        scores.append(np.add.reduceat(best, firsts, axis=1))
    return [np.argsort(-s, kind="stable")[:10].tolist() for s in np.concatenate(scores).T]


def compressed(
    tokens: NDArray[np.float16], lengths: NDArray[np.int64], pooling: int, reduced: int, bits: Bits
) -> CompressedLateIndex:
    n = int((-(-lengths // pooling)).sum())
    order = np.random.default_rng(0).permutation(len(lengths))
    starts = np.concatenate([[0], np.cumsum(lengths)]).tolist()
    sample: list[Vectors] = []
    for i in order.tolist():
        sample.append(pool_neighbours(tokens[starts[i] : starts[i + 1]].astype(np.float32), pooling))
        if sum(map(len, sample)) >= sample_size(n):
            break
    index = CompressedLateIndex(train(np.concatenate(sample), n_tokens=n, bits=bits, reduced=reduced), pooling)
    for first, some in passages(tokens, lengths):
        index.add(np.arange(first, first + len(some), dtype=np.int64), some)
    return index


def of_query(found: Sequence[str], judged: Judged) -> float:
    return ndcg([judged.get(doc_id, 0) for doc_id in found], list(judged.values()), 10)


if __name__ == "__main__":
    main()
