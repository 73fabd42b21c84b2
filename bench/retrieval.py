"""Term and vector indexes and the whole hybrid against their peers, on the same passages in the same run.

    python -m bench.retrieval [--n 100000] [--encode] [--cache DIR] [--out docs/bench/retrieval.md]

Passages are real where the development data is there. Vectors are invented (points around centres whose spread falls off as an
encoder's does) unless ``--encode`` asks for the packaged encoder's, which takes most of an hour for 100,000 and is kept in
the cache, some thousands at a time. Every engine gets the same terms, so that scoring is compared and not analysis.
``cpu`` is the median of processor time per query over all threads: on a busy machine it says more than the clock.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import platform
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rank_bm25 import BM25Okapi

from bench.collection import passages
from bench.retrieval_hybrid import encoded, hybrid_tables
from bench.retrieval_vectors import dense_tables, invented_vectors
from bench.timed import COLLECTIONS, Line, allow, rss, table, timed
from core.types import Allowed, Chunk
from retrieval.encoders.openvino import OpenVinoEncoder
from retrieval.sparse.analyse import Analyser
from retrieval.sparse.passage import passage_text
from retrieval.sparse.tantivy import TantivyIndex

K = 100
QUERIES = 200
SLOW_QUERIES = 20  # for engines that need a tenth of a second
SPARE = 2000  # passages that are added while measuring


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--n", type=int, default=100_000, help="passages and vectors (default 100000)")
    parser.add_argument(
        "--threads", type=int, default=min(2, os.cpu_count() or 1), help="threads of FAISS for building"
    )
    parser.add_argument("--encode", action="store_true", help="vectors of the packaged encoder, not invented ones")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "openbook-bench", help="of vectors")
    parser.add_argument("--out", type=Path, help="also write the tables to this Markdown file")
    arguments = parser.parse_args(argv)
    load = os.getloadavg()[0]
    found, source = passages(arguments.n + SPARE)
    spare, found = found[arguments.n :] or found[:SPARE], found[: arguments.n]
    queries = make_queries(found)
    encoder = OpenVinoEncoder(arguments.cache)
    if arguments.encode:
        whole = [f"{title}\n{text}" for title, text in found + spare]
        vectors = encoded(encoder, whole, arguments.cache)
        asked = encoder.encode_queries(queries[:100])
    else:
        vectors, asked = invented_vectors(len(found) + len(spare), 0), invented_vectors(100, 1)
    with tempfile.TemporaryDirectory() as folder:
        index = TantivyIndex(Path(folder) / "bm25")
        terms = sparse_tables(index, Path(folder) / "bm25", found, spare, queries, source)
        auto, dense = dense_tables(len(found), vectors, asked, arguments.threads, real=arguments.encode)
        whole_search = hybrid_tables(index, auto, encoder, queries, len(found))
        index.close()
    how = " --encode" if arguments.encode else ""
    text = "\n\n".join(
        [
            f"# Retrieval indexes\n\n`python -m bench.retrieval --n {arguments.n}{how}` on"
            f" {platform.processor() or platform.machine()}, {os.cpu_count()} cores. Load average at the start {load:.1f}:"
            f" above 0 the machine was busy with other work too.",
            *terms,
            *dense,
            *whole_search,
        ]
    )
    print(text)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", "utf-8")
    return 0


def sparse_tables(
    index: TantivyIndex,
    folder: Path,
    found: list[tuple[str, str]],
    spare: list[tuple[str, str]],
    queries: list[str],
    source: str,
) -> list[str]:
    """Fills ``index`` with ``found``, and measures it and its peers."""
    n = len(found)
    chunks = [_chunk(text) for _, text in found]
    # Whole documents go to one collection: passages of a document lie beside each other.
    collection = [1 + (i // 500) % COLLECTIONS for i in range(n)]
    before, started = rss(), time.perf_counter()
    for start in range(0, n, 5000):
        stop = min(n, start + 5000)
        titles = [title for title, _ in found[start:stop]]
        index.add(range(start + 1, stop + 1), chunks[start:stop], titles, collection[start:stop])
    index.settle()
    build_s = time.perf_counter() - started
    disk = sum(f.stat().st_size for f in folder.iterdir())
    memory = rss() - before

    every = allow(n, lambda row: True)
    most = allow(n, lambda row: collection[row - 1] != 3, {1, 2, 4, 5, 6, 7, 8})
    one = allow(n, lambda row: collection[row - 1] == 3, {3})
    few = allow(n, lambda row: 1000 < row <= 1010, {collection[min(1000, n - 1)]})
    lines = [
        timed("tantivy, no filter", lambda q: index.search(q, K, every), queries),
        timed("tantivy, 7 of 8 collections", lambda q: index.search(q, K, most), queries),
        timed("tantivy, 1 of 8 collections", lambda q: index.search(q, K, one), queries),
        timed("tantivy, one document of 10 passages", lambda q: index.search(q, K, few), queries),
        timed("tantivy, no filter, depth 200", lambda q: index.search(q, 200, every), queries),
        timed("tantivy, no filter, depth 1000", lambda q: index.search(q, 1000, every), queries),
        timed("tantivy, 1 of 8, depth 1000", lambda q: index.search(q, 1000, one), queries),
    ]
    analyser = Analyser()
    tokens = [analyser.terms(passage_text(title, chunk)) for (title, _), chunk in zip(found, chunks, strict=True)]
    lines += _rank_bm25(tokens, queries, one)
    lines += _bm25s("numpy", tokens, queries, one)
    lines += _bm25s("numba", tokens, queries, one)
    add_lines, segments = _additions(index, spare, n, queries, every)
    return [
        f"## BM25\n\n{n:,} passages ({source}), {len(queries)} queries of 2 to 12 words from the passages, k = {K}."
        f" All times include the analysis of the query, the same for each. Tantivy's index took {build_s:.0f} s to build,"
        f" {disk / 1e6:.0f} MB on disk and {memory / 1e6:.0f} MB of memory (page cache apart).",
        table(lines, lines[0], "of tantivy without a filter"),
        f"Changes to the index of {n:,}: an addition is 100 passages, analysed, committed and visible;"
        f" twenty of them left {segments} segments.",
        table(add_lines, None, ""),
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

    added = timed("tantivy, add 100", add, batches, warm=0)
    segments = index.segments
    removed = timed("tantivy, remove 50", remove, batches, warm=0)
    return [added, removed, timed("tantivy, search after it", lambda q: index.search(q, K, allowed), queries)], segments


def _rank_bm25(tokens: list[list[str]], queries: list[str], one: Allowed) -> list[Line]:
    before, started = rss(), time.perf_counter()
    okapi = BM25Okapi(tokens)
    build_s = time.perf_counter() - started
    mask, analyser = one.rows[1 : len(tokens) + 1], Analyser()

    def search(query: str, where: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        scores = np.asarray(okapi.get_scores(analyser.terms(query)))
        if where is not None:
            scores = np.where(where, scores, -np.inf)
        top = np.argpartition(-scores, K)[:K]
        best: NDArray[np.int64] = top[np.argsort(-scores[top])]
        return best

    note = f"any change builds it anew: {build_s:.1f} s; {(rss() - before) / 1e6:.0f} MB"
    return [
        timed("rank-bm25, no filter", search, queries[:SLOW_QUERIES], note=note),
        timed("rank-bm25, 1 of 8 collections", lambda q: search(q, mask), queries[:SLOW_QUERIES]),
    ]


def _bm25s(backend: str, tokens: list[list[str]], queries: list[str], one: Allowed) -> list[Line]:
    missing = next((name for name in ("bm25s", backend) if importlib.util.find_spec(name) is None), None)
    if missing is not None:
        return [Line(f"bm25s ({backend})", math.nan, math.nan, math.nan, f"{missing} is not installed")]
    import bm25s

    before, started = rss(), time.perf_counter()
    scorer = bm25s.BM25(method="lucene", k1=1.2, b=0.75, backend=backend)
    scorer.index(tokens, show_progress=False)
    build_s = time.perf_counter() - started
    mask, analyser = one.rows[1 : len(tokens) + 1].astype(np.float32), Analyser()

    def known(query: str) -> list[str]:
        return [term for term in analyser.terms(query) if term in scorer.vocab_dict]

    def search(query: str, where: NDArray[np.float32] | None = None) -> None:
        scorer.retrieve([known(query)], k=K, show_progress=False, n_threads=0, weight_mask=where)

    some = [query for query in queries if known(query)]  # it takes no empty ones
    note = f"any change builds it anew: {build_s:.1f} s; {(rss() - before) / 1e6:.0f} MB"
    return [
        timed(f"bm25s ({backend}), no filter", search, some, note=note),
        timed(f"bm25s ({backend}), 1 of 8 collections", lambda q: search(q, mask), some),
    ]


def make_queries(found: list[tuple[str, str]]) -> list[str]:
    generator = random.Random(1)
    queries = []
    for _ in range(QUERIES):
        words = generator.choice(found)[1].split()
        start = generator.randrange(max(1, len(words) - 12))
        queries.append(" ".join(words[start : start + generator.choice([2, 4, 6, 8, 12])]))
    return queries


def _chunk(text: str) -> Chunk:
    return Chunk(chunk_id="c", doc_id="d", text=text, start=0, end=len(text), n_tokens=0)


if __name__ == "__main__":
    raise SystemExit(main())
