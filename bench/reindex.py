"""How long a switch to another generation of a collection takes, and what searches notice of it.

    python -m bench.reindex [--documents 1000] [--passages 50] [--dim 384]

Fills a store with documents of random words and random vectors, copies all of them as a second generation, switches, goes back and
throws the copy away, while one thread searches all the time.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from app.wiring import MIGRATIONS
from core.database import migrate, open_database
from core.ids import chunk_id, document_id
from core.settings import Settings
from core.types import LOCAL_USER_ID, Chunk, Document, Principal, Vectors, Where
from retrieval import edition_copies, edition_switch, editions
from retrieval.engine import SearchEngine
from retrieval.store import Store

_WORDS = 60  # of a passage
_LOCAL = Principal(user_id=LOCAL_USER_ID)


class _Random:
    """An encoder of noise: what is measured is not encoding."""

    max_tokens = 256

    def __init__(self, dim: int, revision: str) -> None:
        self.dim, self.revision = dim, revision
        self._random = np.random.default_rng(1)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        found: Vectors = self._random.standard_normal((len(texts), self.dim)).astype(np.float32)
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return found

    encode_queries = encode_documents


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--passages", type=int, default=50)
    parser.add_argument("--dim", type=int, default=384)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        _measure(Path(folder), options.documents, options.passages, options.dim)
    return 0


def _measure(folder: Path, n_documents: int, n_passages: int, dim: int) -> None:
    settings = Settings(data_dir=folder, dense="exact")
    database = open_database(folder)
    migrate(database, MIGRATIONS)
    store = Store(database, folder / "originals", also_held=lambda _: frozenset())
    old, new = _Random(dim, "old"), _Random(dim, "new")
    engine = SearchEngine(store, old, folder, settings)  # type: ignore[arg-type]
    engine.add_encoder(new)  # type: ignore[arg-type]
    engine.open()
    with database.write() as connection:
        store.create_collection(connection, "c", LOCAL_USER_ID)
    took: list[tuple[str, float, list[float]]] = []

    with database.write() as connection:
        for document, chunks in _documents(n_documents, n_passages, "1"):
            vectors = old.encode_documents([c.text for c in chunks])
            change = store.put_document(connection, document, chunks, vectors, "old", "1")
    engine.publish(change)
    engine.settle(600)
    with database.write() as connection:
        edition_id = editions.begin(
            connection,
            "c",
            serving={"v": 1},
            pipeline={"v": 2},
            chunker_version="2",
            encoder_revision="new",
            job_id="j",
        )
    with _timed(engine, took, "copy (stored one by one)"):
        for document, chunks in _documents(n_documents, n_passages, "2"):
            vectors = new.encode_documents([c.text for c in chunks])
            with database.write() as connection:
                edition = editions.get(connection, edition_id)
                if edition is not None:
                    edition_copies.put_copy(
                        connection, edition, document, chunks, vectors, (), encoder_revision="new", chunker_version="2"
                    )
    with _timed(engine, took, "give it to the indexes"):
        engine.prepare(edition_id)
    with _timed(engine, took, "switch: the transaction"), database.write() as connection:
        edition = editions.get(connection, edition_id)
        switched = edition_switch.switch(connection, edition) if edition is not None else None
    with _timed(engine, took, "switch: until it is searched"):
        if switched is not None:
            engine.publish(switched)
    with _timed(engine, took, "afterwards, in the background"):
        engine.settle(600)
    with database.read() as connection:
        kept = editions.kept(connection, "c")
    with _timed(engine, took, "give the earlier one to the indexes"):
        if kept is not None:
            engine.prepare(kept.edition_id)
    with _timed(engine, took, "roll back: the transaction"), database.write() as connection:
        back = edition_switch.roll_back(connection, "c")
    with _timed(engine, took, "roll back: until it is searched"):
        engine.publish(back)
    with _timed(engine, took, "drop the other"):
        with database.write() as connection:
            editions.forget(connection, "c")
        more = True
        while more:
            with database.write() as connection:
                more = editions.sweep(connection)
    engine.settle(600)
    size = (folder / "openbook.db").stat().st_size / 2**20
    engine.close()
    database.close()
    print(
        f"{n_documents:,} documents, {n_documents * n_passages:,} passages, {dim} dimensions; the database {size:.0f} MiB\n"
    )
    print("| step | seconds | searches meanwhile | median ms | slowest ms |\n|---|---:|---:|---:|---:|")
    for name, seconds, searches in took:
        ms = [1000 * s for s in searches]
        print(f"| {name} | {seconds:.2f} | {len(ms)} | {np.median(ms) if ms else 0:.0f} | {max(ms, default=0):.0f} |")


def _documents(n: int, passages: int, version: str) -> Iterator[tuple[Document, list[Chunk]]]:
    draw = random.Random(7)
    words = [f"w{i}" for i in range(20_000)]
    for number in range(n):
        doc_id, sha256, text, chunks = document_id("c", str(number)), f"{number:064x}", "", []
        for _ in range(passages):
            passage = " ".join(draw.choices(words, k=_WORDS))
            start, text = len(text), text + passage + "\n"
            end = start + len(passage)
            name = chunk_id(doc_id, sha256, "words", start, end, version)
            chunks.append(Chunk(chunk_id=name, doc_id=doc_id, text=passage, start=start, end=end, n_tokens=_WORDS))
        yield (
            Document(
                doc_id=doc_id, collection="c", uri=str(number), title=str(number), mime_type="text/plain",
                sha256=sha256, text=text,
            ),
            chunks,
        )  # fmt: skip


@contextmanager
def _timed(engine: SearchEngine, took: list[tuple[str, float, list[float]]], name: str) -> Iterator[None]:
    """Times a step while searches are made, ten a second."""
    stop, searches = threading.Event(), []

    def search() -> None:
        while not stop.wait(0.1):
            begun = time.perf_counter()
            engine.retriever("hybrid").search("w1 w22 w333", 8, Where(principal=_LOCAL))
            searches.append(time.perf_counter() - begun)

    thread = threading.Thread(target=search)
    thread.start()
    begun = time.perf_counter()
    try:
        yield
    finally:
        took.append((name, time.perf_counter() - begun, searches))
        stop.set()
        thread.join()


if __name__ == "__main__":
    raise SystemExit(main())
