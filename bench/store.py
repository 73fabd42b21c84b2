"""How long the store and the engine take at 100,000 passages: opening, publishing, deleting, searching.

    python -m bench.store [--rows 100000] [--dim 384] [--dir DIR]

Passages are words drawn from a Zipf-like vocabulary of 50,000, vectors lie around 2,000 random centres (uniform
random vectors would make any graph look bad). Peers in the same run: a naive store that keeps each passage's text in
its row (what blocks save), and exact search where HNSW is measured.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from sqlalchemy import text

from app.wiring import MIGRATIONS
from core.database import migrate, open_database
from core.ids import chunk_id, document_id
from core.settings import Settings
from core.types import LOCAL_USER_ID, Chunk, Document, Principal, Vectors, Where
from retrieval.engine import SearchEngine
from retrieval.store import Store

CHUNKS_PER_DOCUMENT = 100
WORDS_PER_CHUNK = 80


class DrawnEncoder:
    """Vectors around random centres; a query is a noisy copy of some passage's vector. Encoding costs nothing."""

    revision = "drawn-1"
    max_tokens = 256

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._random = np.random.default_rng(7)
        self._centres = self._random.standard_normal((2000, dim)).astype(np.float32)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        n = len(texts)
        drawn = self._centres[self._random.integers(0, len(self._centres), n)]
        drawn = drawn + 0.6 * self._random.standard_normal((n, self.dim)).astype(np.float32)
        unit: Vectors = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
        return unit

    encode_queries = encode_documents


class Corpus:
    def __init__(self) -> None:
        self._random = np.random.default_rng(3)
        weights = 1 / np.arange(1, 50_001) ** 0.9
        self._weights = np.cumsum(weights / weights.sum())
        self._words = np.array([f"w{i:x}" for i in range(50_000)])

    def words(self, n: int) -> str:
        return " ".join(self._words[np.searchsorted(self._weights, self._random.random(n))])

    def document(self, i: int, n_chunks: int) -> tuple[Document, list[Chunk]]:
        uri = f"file{i}.txt"
        doc_id = document_id("bench", uri)
        passages = [self.words(WORDS_PER_CHUNK) for _ in range(n_chunks)]
        whole = "\n".join(passages)
        chunks, at = [], 0
        for passage in passages:
            end = at + len(passage)
            cid = chunk_id(doc_id, str(i), "bench", at, end, "1")
            chunks.append(Chunk(chunk_id=cid, doc_id=doc_id, text=passage, start=at, end=end, n_tokens=110))
            at = end + 1
        document = Document(
            doc_id=doc_id,
            collection="bench",
            uri=uri,
            title=f"File {i}",
            mime_type="text/plain",
            sha256=f"{i:064x}",
            text=whole,
        )
        return document, chunks


Timing = tuple[float, float]  # milliseconds on the clock, milliseconds of processor


def timed(repeat: int, work: Callable[[int], object]) -> list[Timing]:
    taken = []
    for i in range(repeat):
        began, used = time.perf_counter(), time.process_time()
        work(i)
        taken.append(((time.perf_counter() - began) * 1e3, (time.process_time() - used) * 1e3))
    return taken


def spread(taken: Sequence[Timing]) -> str:
    """Median and 95th percentile on the clock, and the median of processor time, which a busy machine stretches less."""
    clock = sorted(t for t, _ in taken)
    p95 = clock[min(len(clock) - 1, int(len(clock) * 0.95))]
    return f"{statistics.median(clock):.2f} | {p95:.2f} | {statistics.median(c for _, c in taken):.2f}"


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench.store")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--dir", type=Path, default=None, help="kept, and used again if it is filled")
    parser.add_argument("--dense", choices=["auto", "exact"], default="auto", help="exact: without building HNSW")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.ERROR)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.dir or Path(temporary)
        load = os.getloadavg()[0]
        print(f"{options.rows:,} passages × {options.dim}, {os.cpu_count()} cores, load {load:.1f} at the start\n")
        print("| | p50 ms | p95 ms | cpu ms |\n|---|---|---|---|")
        for name, value in measure(folder, options.rows, options.dim, options.dense):
            print(f"| {name} | {value} |", flush=True)


def measure(folder: Path, rows: int, dim: int, dense: Literal["auto", "exact"]) -> Iterator[tuple[str, str]]:
    encoder, corpus = DrawnEncoder(dim), Corpus()
    database = open_database(folder)
    migrate(database, MIGRATIONS)
    store = Store(database, folder / "originals", also_held=lambda _: frozenset())
    me = Principal(user_id=LOCAL_USER_ID)

    def put(i: int, n: int = CHUNKS_PER_DOCUMENT) -> object:
        document, chunks = corpus.document(i, n)
        vectors = encoder.encode_documents([c.text for c in chunks])
        with database.write() as connection:
            return store.put_document(connection, document, chunks, vectors, encoder.revision, "1")

    if not store.list_collections(me):
        with database.write() as connection:
            store.create_collection(connection, "bench", me.user_id)
        taken = timed(rows // CHUNKS_PER_DOCUMENT, put)
        yield "commit a document of 100 passages (fsynced)", spread(taken)
    yield "size of the database", f"{(folder / 'openbook.db').stat().st_size / 2**20:.0f} MiB | | "

    settings = Settings(data_dir=folder, dense=dense)
    graph = dense == "auto" and rows >= settings.dense_hnsw_from
    engine = SearchEngine(store, encoder, folder, settings)  # type: ignore[arg-type]
    began = time.perf_counter()
    engine.open()
    if engine.status().sparse_kind == "rebuilding":
        yield "open without any index (vectors searchable)", f"{time.perf_counter() - began:.2f} s | | "
        while engine.status().sparse_kind == "rebuilding":
            time.sleep(0.05)
        yield "… terms searchable, built in the background", f"{time.perf_counter() - began:.1f} s | | "
        while graph and engine.status().dense_kind == "exact":
            time.sleep(0.1)
        if graph:
            yield "… HNSW built in the background", f"{time.perf_counter() - began:.1f} s | | "
    engine.settle(3600)
    engine.close()

    engine = SearchEngine(store, encoder, folder, settings)  # type: ignore[arg-type]
    began = time.perf_counter()
    engine.open()
    yield "open() with its indexes, searchable", f"{time.perf_counter() - began:.2f} s | | "
    while graph and engine.status().dense_kind == "exact":
        time.sleep(0.02)
    if graph:
        yield "… HNSW verified and adopted", f"{time.perf_counter() - began:.2f} s | | "
    engine.settle(600)

    where = Where(principal=me)
    queries = [corpus.words(8) for _ in range(100)]
    for retriever, choices in (
        ("bm25", {}),
        ("dense", {}),
        ("dense", {"dense": "exact"}),
        ("hybrid", {}),
        ("hybrid", {"dense": "exact"}),
    ):
        search = engine.retriever(retriever, **choices).search  # type: ignore[arg-type]
        search(queries[0], 10, where)
        label = " ".join([retriever, *(f"({v})" for v in choices.values())])
        yield f"search, k = 10, {label}", spread(timed(100, lambda i, s=search: s(queries[i], 10, where)))  # type: ignore[misc]
    search = engine.retriever("hybrid").search
    one = Where(principal=me, filters={"doc_id": (document_id("bench", "file3.txt"),)})
    yield "search, k = 10, hybrid, one document", spread(timed(100, lambda i: search(queries[i], 10, one)))
    yield "search, k = 1000, hybrid", spread(timed(20, lambda i: search(queries[i], 1000, where)))

    changes = []
    yield "commit 100 passages", spread(timed(20, lambda i: changes.append(put(rows + i))))
    yield "publish 100 passages", spread(timed(20, lambda i: engine.publish(changes[i])))  # type: ignore[arg-type]
    engine.settle(600)
    one_by_one: list[Timing] = []
    for i in range(20):
        change = put(2 * rows + i)
        one_by_one += timed(1, lambda _, c=change: engine.publish(c))  # type: ignore[misc]
    yield "publish 100 passages, each after its commit", spread(one_by_one)

    def delete(i: int) -> object:
        with database.write() as connection:
            return store.delete_document(connection, me, document_id("bench", f"file{i}.txt"))

    gone: list[object] = []
    yield "commit a deletion of 100 passages", spread(timed(20, lambda i: gone.append(delete(rows + i))))
    yield "publish a deletion", spread(timed(20, lambda i: engine.publish(gone[i])))  # type: ignore[arg-type]
    for i in range(20):
        engine.publish(delete(2 * rows + i))  # type: ignore[arg-type]
    engine.settle(600)

    rows_of = [int(r) for r in np.random.default_rng(1).integers(1, rows, 100)]
    blocks = timed(50, lambda i: store.chunks_by_row(me, rows_of[i : i + 8]))
    yield "read 8 passages out of blocks", spread(blocks)
    yield from _whole_texts(store, me)
    engine.close()
    database.close()


def _whole_texts(store: Store, me: Principal) -> Iterator[tuple[str, str]]:
    """A passage of a long document: by its blocks, and as a slice of its text in one value."""
    doc_id = document_id("bench", "long")
    whole = "word " * 2_000_000
    chunk = Chunk(
        chunk_id="long", doc_id=doc_id, text=whole[9_000_000:9_000_900], start=9_000_000, end=9_000_900, n_tokens=180
    )
    document = Document(
        doc_id=doc_id, collection="bench", uri="long", title="", mime_type="", sha256="f" * 64, text=whole
    )
    with store.database.write() as connection:
        vectors = np.ones((1, 4), dtype=np.float32)
        change = store.put_document(connection, document, [chunk], vectors, "other", "1")
        connection.execute(text("CREATE TABLE bench_whole (doc_number INTEGER PRIMARY KEY, text TEXT)"))
        connection.execute(text("INSERT INTO bench_whole VALUES (1, :whole)"), {"whole": whole})
    row = change.added_rows[0]

    def substr(_: int) -> object:
        with store.database.read() as connection:
            query = text("SELECT substr(text, 9000001, 900) FROM bench_whole")
            return connection.execute(query).scalar_one()

    blocks = timed(30, lambda _: store.chunks_by_row(me, [row]))
    values = timed(30, substr)
    yield "a passage at character 9,000,000, out of blocks", spread(blocks)
    yield "… peer: substr() of the whole text in one value", spread(values)
    yield "… ratio", f"{_median(values) / _median(blocks):.1f} × | | "
    with store.database.write() as connection:
        connection.execute(text("DROP TABLE bench_whole"))
        store.delete_document(connection, me, doc_id)


def _median(taken: Sequence[Timing]) -> float:
    return statistics.median(t for t, _ in taken)


if __name__ == "__main__":
    main(sys.argv[1:])
