"""Term and vector indexes against their peers, on the same passages in the same run.

    python -m bench.retrieval [--n 100000] [--out docs/bench/retrieval.md]

Passages are real where the development data is there; vectors are invented (points around centres whose spread falls
off as an encoder's does), because encoding is measured elsewhere. Every engine gets the same terms, so that scoring is
compared and not analysis. ``cpu`` is the median of processor time per query over all threads: on a busy machine it says
more than the clock. The hybrid is the sum of its stages; its encoder is measured by ``bench.encode``.
"""

from __future__ import annotations

import argparse
import functools
import gc
import os
import platform
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss as _typed_faiss
import numpy as np
import psutil
from numpy.typing import NDArray
from rank_bm25 import BM25Okapi

from bench.collection import passages
from core.types import Allowed, Chunk, Vectors
from retrieval.dense.auto import AutoIndex
from retrieval.dense.exact import ExactIndex
from retrieval.dense.hnsw import HnswIndex
from retrieval.fuse import convex
from retrieval.sparse.analyse import Analyser
from retrieval.sparse.passage import passage_text
from retrieval.sparse.tantivy import TantivyIndex

faiss: Any = _typed_faiss

DIM = 384
K = 100
COLLECTIONS = 8
QUERIES = 200
SLOW_QUERIES = 20  # for engines that need a tenth of a second
DENSE_QUERIES = 100


@dataclass(frozen=True)
class Line:
    """One row of a table; times in milliseconds."""

    name: str
    p50: float
    p95: float
    cpu: float
    note: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--n", type=int, default=100_000, help="passages and vectors (default 100000)")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="threads of FAISS")
    parser.add_argument("--out", type=Path, help="also write the tables to this Markdown file")
    arguments = parser.parse_args(argv)
    load = os.getloadavg()[0]
    parts = [
        f"# Retrieval indexes\n\n`python -m bench.retrieval --n {arguments.n}` on {platform.processor() or platform.machine()},"
        f" {os.cpu_count()} cores, FAISS with {arguments.threads} threads. Load average at the start {load:.1f}:"
        f" above 0 the machine was busy with other work too.",
        *sparse_tables(arguments.n),
        *dense_tables(arguments.n, arguments.threads),
    ]
    text = "\n\n".join(parts) + "\n"
    print(text)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text, "utf-8")
    return 0


# ---------------------------------------------------------------- terms


def sparse_tables(n: int) -> list[str]:
    found, source = passages(n + 2000)
    spare, found = found[n:], found[:n]  # the spare ones are added later
    n = len(found)
    spare = spare or found[:2000]
    chunks = [_chunk(text) for _, text in found]
    # Whole documents go to one collection: passages of a document lie beside each other.
    collection = [1 + (i // 500) % COLLECTIONS for i in range(n)]
    queries = _queries(found)

    with tempfile.TemporaryDirectory() as folder:
        before = _rss()
        started = time.perf_counter()
        index = TantivyIndex(Path(folder) / "bm25")
        for start in range(0, n, 5000):
            stop = min(n, start + 5000)
            titles = [title for title, _ in found[start:stop]]
            index.add(range(start + 1, stop + 1), chunks[start:stop], titles, collection[start:stop])
        index.settle()
        build_s = time.perf_counter() - started
        disk = sum(f.stat().st_size for f in (Path(folder) / "bm25").iterdir())
        rss = _rss() - before

        every = _allowed(n, lambda row: True)
        most = _allowed(n, lambda row: collection[row - 1] != 3, {1, 2, 4, 5, 6, 7, 8})
        one = _allowed(n, lambda row: collection[row - 1] == 3, {3})
        few = _allowed(n, lambda row: 1000 < row <= 1010, {collection[1000]})
        lines = [
            _time("tantivy, no filter", lambda q: index.search(q, K, every), queries),
            _time("tantivy, 7 of 8 collections", lambda q: index.search(q, K, most), queries),
            _time("tantivy, 1 of 8 collections", lambda q: index.search(q, K, one), queries),
            _time("tantivy, one document of 10 passages", lambda q: index.search(q, K, few), queries),
            _time("tantivy, no filter, depth 1000", lambda q: index.search(q, 1000, every), queries),
            _time("tantivy, 1 of 8, depth 1000", lambda q: index.search(q, 1000, one), queries),
        ]
        add_lines, segments = _additions(index, spare, n, queries, every)
        index.close()

    terms = [Analyser().terms(q) for q in queries]
    analyser = Analyser()
    tokens = [analyser.terms(passage_text(title, chunk)) for (title, _), chunk in zip(found, chunks, strict=True)]
    lines += _rank_bm25(tokens, terms, one)
    lines += _bm25s(tokens, terms, one)
    base = lines[0]
    return [
        f"## BM25\n\n{n:,} passages ({source}), {len(queries)} queries of 2 to 12 words from the passages, k = {K}."
        f" Tantivy's times include the analysis of the query; its index took {build_s:.0f} s to build,"
        f" {disk / 1e6:.0f} MB on disk and {rss / 1e6:.0f} MB of memory (page cache apart).",
        _table(lines, base, "of tantivy without a filter"),
        f"Changes to the index of {n:,}: an addition is 100 passages, analysed, committed and visible;"
        f" twenty of them left {segments} segments.",
        _table(add_lines, None, ""),
    ]


def _additions(
    index: TantivyIndex, spare: list[tuple[str, str]], n: int, queries: list[str], allowed: Allowed
) -> tuple[list[Line], int]:
    batches = [(n + 1 + 100 * i, spare[(100 * i) % len(spare) :][:100]) for i in range(20)]

    def add(batch: tuple[int, list[tuple[str, str]]]) -> None:
        first, found = batch
        rows = range(first, first + len(found))
        index.add(rows, [_chunk(text) for _, text in found], [title for title, _ in found], [1] * len(found))
        index.commit()

    def remove(batch: tuple[int, list[tuple[str, str]]]) -> None:
        index.remove(range(batch[0], batch[0] + len(batch[1]) // 2))
        index.commit()

    added = _time("tantivy, add 100", add, batches, warm=0)
    segments = index.segments
    removed = _time("tantivy, remove 50", remove, batches, warm=0)
    return [added, removed, _time("tantivy, search after it", lambda q: index.search(q, K, allowed), queries)], segments


def _rank_bm25(tokens: list[list[str]], terms: list[list[str]], one: Allowed) -> list[Line]:
    started = time.perf_counter()
    okapi = BM25Okapi(tokens)
    build_s = time.perf_counter() - started
    mask = one.rows[1 : len(tokens) + 1]

    def search(query: list[str], where: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        scores = np.asarray(okapi.get_scores(query))
        if where is not None:
            scores = np.where(where, scores, -np.inf)
        top = np.argpartition(-scores, K)[:K]
        best: NDArray[np.int64] = top[np.argsort(-scores[top])]
        return best

    note = f"any change builds it anew: {build_s:.1f} s"
    return [
        _time("rank-bm25, no filter", search, terms[:SLOW_QUERIES], note=note),
        _time("rank-bm25, 1 of 8 collections", lambda q: search(q, mask), terms[:SLOW_QUERIES]),
    ]


def _bm25s(tokens: list[list[str]], terms: list[list[str]], one: Allowed) -> list[Line]:
    try:
        import bm25s
    except ImportError:
        return []
    started = time.perf_counter()
    scorer = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    scorer.index(tokens, show_progress=False)
    build_s = time.perf_counter() - started
    mask = one.rows[1 : len(tokens) + 1].astype(np.float32)

    def search(query: list[str], where: NDArray[np.float32] | None = None) -> None:
        scorer.retrieve([query], k=K, show_progress=False, n_threads=0, weight_mask=where)

    known = [[t for t in query if t in scorer.vocab_dict] for query in terms]
    note = f"any change builds it anew: {build_s:.1f} s"
    return [
        _time("bm25s (numpy), no filter", search, known, note=note),
        _time("bm25s (numpy), 1 of 8 collections", lambda q: search(q, mask), known),
    ]


# ---------------------------------------------------------------- vectors


def dense_tables(n: int, threads: int) -> list[str]:
    faiss.omp_set_num_threads(threads)
    vectors, queries = invented_vectors(n + 2000, 0), invented_vectors(DENSE_QUERIES, 1)
    vectors, spare = vectors[:n], vectors[n:]
    rows = np.arange(1, n + 1, dtype=np.int64)
    each = [queries[i : i + 1] for i in range(len(queries))]
    every = _allowed(n, lambda row: True)

    before = _rss()
    flat = faiss.IndexFlatIP(DIM)
    flat.add(vectors)
    flat_mb = (_rss() - before) / 1e6
    truth = [[int(i) + 1 for i in flat.search(q, 10)[1][0]] for q in each]
    base = _time("FAISS flat fp32, k = 10", lambda q: flat.search(q, 10), each, note=f"{flat_mb:.0f} MB")
    lines = [base, _time("FAISS flat fp32, k = 1000", lambda q: flat.search(q, 1000), each)]

    before = _rss()
    exact = ExactIndex(DIM)
    exact.add(rows, vectors)
    note = f"{(_rss() - before) / 1e6:.0f} MB, recall@10 {_recall(exact, each, every, truth):.3f}"
    lines.append(_time("exact, k = 10", lambda q: exact.search(q, 10, every), each, note=note))
    lines.append(_time("exact, k = 1000", lambda q: exact.search(q, 1000, every), each))

    before, started = _rss(), time.perf_counter()
    hnsw = HnswIndex(DIM, threads=threads)
    hnsw.build([(rows, vectors)])
    built = f"built in {time.perf_counter() - started:.0f} s, {(_rss() - before) / 1e6:.0f} MB"
    for ef in (64, 128, 256):
        hnsw.ef_search = ef
        note = f"recall@10 {_recall(hnsw, each, every, truth):.3f}" + (f", {built}" if ef == 64 else "")
        lines.append(_time(f"HNSW, efSearch {ef}, k = 10", lambda q: hnsw.search(q, 10, every), each, note=note))
    hnsw.ef_search = 128
    lines.append(_time("HNSW, efSearch 128, k = 1000", lambda q: hnsw.search(q, 1000, every), each))

    auto = AutoIndex(DIM, hnsw)
    filtered = [
        line
        for share in (1.0, 0.5, 0.2, 0.1, 0.01, 0.001)
        for line in _filtered(share, n, flat, {"exact": exact, "HNSW": hnsw, "auto": auto}, each)
    ]

    batches = [(n + 1 + 100 * i, spare[100 * i : 100 * i + 100]) for i in range(len(spare) // 100)]
    changes = [
        _time("auto, add 100", lambda b: auto.add(np.arange(b[0], b[0] + 100, dtype=np.int64), b[1]), batches, warm=0),
        _time("auto, remove 50", lambda b: auto.remove(range(b[0], b[0] + 50)), batches, warm=0),
        _time("auto, search after it, k = 10", lambda q: auto.search(q, 10, every), each),
    ]
    lists = [[(row, 1.0 / (i + 1)) for i, row in enumerate(random.Random(s).sample(range(n), 1000))] for s in range(2)]
    changes.append(_time("convex fusion of two lists of 1000", lambda _: convex(lists[0], lists[1]), list(range(100))))
    return [
        f"## Vectors\n\n{n:,} invented vectors of {DIM} dimensions, {len(each)} queries one at a time.",
        _table(lines, base, "of FAISS flat"),
        "Filters: a random share of the rows is allowed, k = 10.",
        _table(filtered, None, ""),
        "Changes, and fusion:",
        _table(changes, None, ""),
    ]


def _filtered(share: float, n: int, flat: Any, indexes: dict[str, Any], each: list[Vectors]) -> list[Line]:
    chosen = set(random.Random(5).sample(range(1, n + 1), max(10, int(n * share))))
    allowed = _allowed(n, chosen.__contains__)
    packed = np.packbits(allowed.rows[1 : n + 1], bitorder="little")
    selector = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(packed))
    truth = [[int(i) + 1 for i in flat.search(q, 10, params=selector)[1][0]] for q in each]
    lines = [_time(f"FAISS flat with a selector, {share:.1%}", lambda q: flat.search(q, 10, params=selector), each)]
    for name, index in indexes.items():
        note = f"recall@10 {_recall(index, each, allowed, truth):.3f}"
        search = functools.partial(index.search, k=10, allowed=allowed)
        lines.append(_time(f"{name}, {share:.1%}", search, each, note=note))
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


def _recall(index: Any, each: list[Vectors], allowed: Allowed, truth: list[list[int]]) -> float:
    found = [{row for row, _ in index.search(q, 10, allowed)[0]} for q in each]
    return float(np.mean([len(f & set(t)) / len(t) for f, t in zip(found, truth, strict=True)]))


# ---------------------------------------------------------------- measuring


def _time(name: str, search: Callable[[Any], object], queries: Sequence[Any], *, note: str = "", warm: int = 3) -> Line:
    for query in queries[:warm]:
        search(query)
    walls, cpus = [], []
    for query in queries:
        wall, cpu = time.perf_counter(), time.process_time()
        search(query)
        walls.append(1e3 * (time.perf_counter() - wall))
        cpus.append(1e3 * (time.process_time() - cpu))
    return Line(name, float(np.percentile(walls, 50)), float(np.percentile(walls, 95)), float(np.median(cpus)), note)


def _table(lines: Sequence[Line], base: Line | None, what: str) -> str:
    ratio = [f"p50 {what}"] if base else []
    head = ["", "p50 ms", "p95 ms", "cpu ms", *ratio, "note"]
    body = [
        [
            x.name,
            f"{x.p50:.2f}",
            f"{x.p95:.2f}",
            f"{x.cpu:.2f}",
            *([f"× {x.p50 / base.p50:.2f}"] if base else []),
            x.note,
        ]
        for x in lines
    ]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *body])


def _queries(found: list[tuple[str, str]]) -> list[str]:
    generator = random.Random(1)
    queries = []
    for _ in range(QUERIES):
        words = generator.choice(found)[1].split()
        start = generator.randrange(max(1, len(words) - 12))
        queries.append(" ".join(words[start : start + generator.choice([2, 4, 6, 8, 12])]))
    return queries


def _allowed(n: int, test: Callable[[int], bool], collections: set[int] | None = None) -> Allowed:
    bits = np.fromiter((row > 0 and test(row) for row in range(n + 1)), dtype=np.bool_, count=n + 1)
    ids = tuple(sorted(collections or range(1, COLLECTIONS + 1)))
    # Room for rows that are added while measuring; they are nobody's.
    return Allowed(rows=np.pad(bits, (0, 4000)), count=int(bits.sum()), collection_ids=ids)


def _chunk(text: str) -> Chunk:
    return Chunk(chunk_id="c", doc_id="d", text=text, start=0, end=len(text), n_tokens=0)


def _rss() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    raise SystemExit(main())
