"""The tables of vectors of ``bench.retrieval``: FAISS as it comes beside our indexes, filters, changes."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Iterable
from typing import Any

import faiss as _typed_faiss
import numpy as np

from bench.timed import Line, allow, table, timed
from core.types import Allowed, Vectors
from retrieval.dense.auto import AutoIndex
from retrieval.dense.exact import ExactIndex
from retrieval.dense.hnsw import HnswIndex
from retrieval.fuse import convex

faiss: Any = _typed_faiss

DIM = 384


def dense_tables(
    n: int, vectors: Vectors, queries: Vectors, threads: int, *, real: bool
) -> tuple[AutoIndex, list[str]]:
    """The index as it is in service, over the first ``n`` of ``vectors``, and the tables; the rest are added while measuring."""
    default_threads = int(faiss.omp_get_max_threads())
    vectors, spare = vectors[:n], vectors[n:]
    rows = np.arange(1, n + 1, dtype=np.int64)
    each = [queries[i : i + 1] for i in range(len(queries))]
    every = allow(n, lambda row: True)

    flat = faiss.IndexFlatIP(DIM)
    flat.add(vectors)
    note = f"{vectors.nbytes / 1e6:.0f} MB"
    faiss.omp_set_num_threads(1)
    truth = _truth(flat, each)
    base = timed("FAISS flat fp32, 1 thread, k = 10", lambda q: flat.search(q, 10), each, note=note)
    lines = [base, timed("FAISS flat fp32, 1 thread, k = 200", lambda q: flat.search(q, 200), each)]
    lines.append(timed("FAISS flat fp32, 1 thread, k = 1000", lambda q: flat.search(q, 1000), each))
    faiss.omp_set_num_threads(default_threads)
    name = f"FAISS flat fp32, its default of {default_threads} threads, k = 10"
    lines.append(timed(name, lambda q: flat.search(q, 10), each))
    faiss.omp_set_num_threads(1)
    for kind in ("QT_fp16", "QT_8bit"):
        codes = faiss.IndexScalarQuantizer(DIM, getattr(faiss.ScalarQuantizer, kind), faiss.METRIC_INNER_PRODUCT)
        codes.train(vectors[:20_000])
        codes.add(vectors)
        note = f"no rescoring; recall@10 {_overlap([codes.search(q, 10)[1][0] + 1 for q in each], truth):.3f}"
        lines.append(timed(f"FAISS {kind}, k = 10", functools.partial(codes.search, k=10), each, note=note))

    exact = ExactIndex(DIM)
    exact.add(rows, vectors)
    note = f"{exact.nbytes / 1e6:.0f} MB, recall@10 {_recall(exact, each, every, truth):.3f}"
    lines.append(timed("exact, k = 10", lambda q: exact.search(q, 10, every), each, note=note))
    lines.append(timed("exact, k = 200", lambda q: exact.search(q, 200, every), each))
    lines.append(timed("exact, k = 1000", lambda q: exact.search(q, 1000, every), each))

    faiss.omp_set_num_threads(threads)
    started = time.perf_counter()
    plain = faiss.IndexHNSWFlat(DIM, 32, faiss.METRIC_INNER_PRODUCT)
    plain.hnsw.efConstruction = 200
    plain.add(vectors)
    note = f"recall@10 {{:.3f}}, built in {time.perf_counter() - started:.0f} s by {threads} threads"
    parameters = faiss.SearchParametersHNSW(efSearch=128)
    recall = _overlap([plain.search(q, 10, params=parameters)[1][0] + 1 for q in each], truth)
    name = "FAISS HNSW32, efSearch 128, k = 10"
    lines.append(timed(name, lambda q: plain.search(q, 10, params=parameters), each, note=note.format(recall)))
    started = time.perf_counter()
    hnsw = HnswIndex(DIM, threads=threads)
    hnsw.build([(rows, vectors)])
    built = f"built in {time.perf_counter() - started:.0f} s, {hnsw.nbytes / 1e6:.0f} MB"
    for ef in (64, 128, 256):
        hnsw.ef_search = ef
        note = f"recall@10 {_recall(hnsw, each, every, truth):.3f}" + (f", {built}" if ef == 64 else "")
        lines.append(timed(f"HNSW, efSearch {ef}, k = 10", lambda q: hnsw.search(q, 10, every), each, note=note))
    hnsw.ef_search = 128
    lines.append(timed("HNSW, efSearch 128, k = 200", lambda q: hnsw.search(q, 200, every), each))
    lines.append(timed("HNSW, efSearch 128, k = 1000", lambda q: hnsw.search(q, 1000, every), each))

    auto = AutoIndex(DIM, hnsw)
    filtered = [
        line
        for share in (1.0, 0.5, 0.2, 0.1, 0.01, 0.001)
        for line in _filtered(share, n, flat, {"exact": exact, "HNSW": hnsw, "auto": auto}, each)
    ]

    batches = [(n + 1 + 100 * i, spare[100 * i : 100 * i + 100]) for i in range(len(spare) // 100)]
    changes = [
        timed("auto, add 100", lambda b: auto.add(np.arange(b[0], b[0] + 100, dtype=np.int64), b[1]), batches, warm=0),
        timed("auto, remove 50", lambda b: auto.remove(range(b[0], b[0] + 50)), batches, warm=0),
        timed("auto, search after it, k = 10", lambda q: auto.search(q, 10, every), each),
    ]
    lists = [[(row, 1.0 / (i + 1)) for i, row in enumerate(random.Random(s).sample(range(n), 1000))] for s in range(2)]
    changes.append(timed("convex fusion of two lists of 1000", lambda _: convex(lists[0], lists[1]), list(range(100))))
    kind = "vectors of the packaged encoder" if real else "invented vectors"
    copies = n - len(np.unique(vectors.view(f"V{DIM * 4}")))
    return auto, [
        f"## Vectors\n\n{n:,} {kind} of {DIM} dimensions, {copies:,} of them copies of another, {len(each)} queries one at a"
        f" time. Recall counts a hit as good as the tenth best as found.",
        table(lines, base, "of FAISS flat"),
        "Filters: a random share of the rows is allowed, k = 10.",
        table(filtered, None, ""),
        "Changes, and fusion:",
        table(changes, None, ""),
    ]


def _filtered(share: float, n: int, flat: Any, indexes: dict[str, Any], each: list[Vectors]) -> list[Line]:
    chosen = set(random.Random(5).sample(range(1, n + 1), max(10, int(n * share))))
    allowed = allow(n, chosen.__contains__)
    packed = np.packbits(allowed.rows[1 : n + 1], bitorder="little")
    selector = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(packed))
    truth = _truth(flat, each, selector)
    lines = [timed(f"FAISS flat with a selector, {share:.1%}", lambda q: flat.search(q, 10, params=selector), each)]
    for name, index in indexes.items():
        note = f"recall@10 {_recall(index, each, allowed, truth):.3f}"
        search = functools.partial(index.search, k=10, allowed=allowed)
        lines.append(timed(f"{name}, {share:.1%}", search, each, note=note))
    return lines


def invented_vectors(n: int, seed: int) -> Vectors:
    """Unit vectors around 400 centres, spread most along a few directions, as embeddings of text are."""
    shape = np.random.default_rng(7)
    spread = 1.0 / np.sqrt(1.0 + np.arange(DIM) / 16.0)
    turn = np.linalg.qr(shape.normal(size=(DIM, DIM)))[0]
    centres = shape.normal(size=(400, DIM)) * spread
    rng = np.random.default_rng(seed)
    points = centres[rng.integers(0, len(centres), n)] + 0.9 * rng.normal(size=(n, DIM)) * spread
    points = points @ turn
    unit: Vectors = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _truth(flat: Any, each: list[Vectors], selector: Any = None) -> list[set[int]]:
    """Per query the rows that are as good as its tenth best: of copies, any will do."""
    found = []
    for query in each:
        scores, ids = flat.search(query, 100, params=selector)
        good = (ids[0] >= 0) & (scores[0] >= scores[0][:10].min() - 1e-6) if (ids[0][:10] >= 0).all() else ids[0] >= 0
        found.append(set((ids[0][good] + 1).tolist()))
    return found


def _recall(index: Any, each: list[Vectors], allowed: Allowed, truth: list[set[int]]) -> float:
    return _overlap([[row for row, _ in index.search(q, 10, allowed)[0]] for q in each], truth)


def _overlap(found: Iterable[Iterable[int]], truth: list[set[int]]) -> float:
    return float(np.mean([len({int(r) for r in f} & t) / min(10, len(t)) for f, t in zip(found, truth, strict=True)]))
