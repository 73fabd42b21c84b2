"""A small store with an engine over it, and documents to put into it."""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from core.database import DATABASE_FILE, Database, migrate, open_database
from core.ids import chunk_id, document_id
from core.settings import Settings
from core.types import LOCAL_USER_ID, Chunk, Document, Hit, Principal, Where
from retrieval.engine import SearchEngine
from retrieval.records import Change
from retrieval.signature import signature_of
from retrieval.store import Store
from tests.support.hash_encoder import HashEncoder

MIGRATIONS = Path(__file__).resolve().parents[2] / "app" / "migrations"
LOCAL = Principal(user_id=LOCAL_USER_ID)
CHUNKER = "words-1"


def make_document(
    collection: str, uri: str, text: str, *, words_per_chunk: int = 8, title: str = "", **extra: Any
) -> tuple[Document, list[Chunk]]:
    """A document cut into chunks of so many words, as its bytes would be."""
    doc_id = document_id(collection, uri)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    spans = []
    at = 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        spans.append((start, at))
    chunks = []
    for i in range(0, len(spans), words_per_chunk):
        some = spans[i : i + words_per_chunk]
        start, end = some[0][0], some[-1][1]
        chunks.append(
            Chunk(
                chunk_id=chunk_id(doc_id, sha256, "words", start, end, CHUNKER),
                doc_id=doc_id,
                text=text[start:end],
                start=start,
                end=end,
                n_tokens=len(some),
                page=1,
            )
        )
    document = Document(
        doc_id=doc_id,
        collection=collection,
        uri=uri,
        title=title or uri,
        mime_type=extra.pop("mime_type", "text/plain"),
        sha256=sha256,
        text=text,
        **extra,
    )
    return document, chunks


@dataclass
class Library:
    data_dir: Path
    database: Database
    store: Store
    encoder: HashEncoder
    settings: Settings
    engine: SearchEngine

    def create(self, name: str, owner: str = LOCAL_USER_ID, *, tokens: bool = False) -> None:
        """Without token vectors, which would be read in the background of every test."""
        with self.database.write() as connection:
            self.store.create_collection(connection, name, owner, tokens=tokens)

    def commit(self, collection: str, uri: str, text: str, **extra: Any) -> Change:
        """Puts a document without telling the engine."""
        with self.database.write() as connection:
            return self._put(connection, collection, uri, text, **extra)

    def _put(self, connection: Connection, collection: str, uri: str, text: str, **extra: Any) -> Change:
        document, chunks = make_document(collection, uri, text, **extra)
        vectors = self.encoder.encode_documents([c.text for c in chunks] or ["x"])[: len(chunks)]
        return self.store.put_document(
            connection,
            document,
            chunks,
            vectors,
            self.encoder.revision,
            CHUNKER,
            signature=signature_of(text),
        )

    def put_many(self, collection: str, texts: Mapping[str, str], **extra: Any) -> Change:
        """Puts documents in one transaction and publishes them at once."""
        with self.database.write() as connection:
            for uri, text in texts.items():
                change = self._put(connection, collection, uri, text, **extra)
        self.engine.publish(change)
        return change

    def put(self, collection: str, uri: str, text: str, **extra: Any) -> Change:
        change = self.commit(collection, uri, text, **extra)
        self.engine.publish(change)
        return change

    def delete(self, collection: str, uri: str, principal: Principal = LOCAL) -> Change:
        with self.database.write() as connection:
            change = self.store.delete_document(connection, principal, document_id(collection, uri))
        self.engine.publish(change)
        return change

    def drop(self, collection: str, principal: Principal = LOCAL) -> Change:
        with self.database.write() as connection:
            change = self.store.delete_collection(connection, principal, collection)
        self.engine.publish(change)
        return change

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        retriever: str = "hybrid",
        collections: Sequence[str] = (),
        principal: Principal = LOCAL,
        filters: dict[str, tuple[str, ...]] | None = None,
        **choices: Any,
    ) -> list[Hit]:
        where = Where(principal=principal, collections=tuple(collections), filters=filters or {})
        return self.engine.retriever(retriever, **choices).search(query, k, where)

    def close(self) -> None:
        self.engine.close()
        self.database.close()


@functools.cache
def _new_database() -> bytes:
    """The bytes of a migrated, empty database: migrating takes a quarter of a second."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder))
        migrate(database, MIGRATIONS)
        database.close()
        return (Path(folder) / DATABASE_FILE).read_bytes()


def migrated_database(data_dir: Path) -> Database:
    data_dir.mkdir(parents=True, exist_ok=True)
    if not (data_dir / DATABASE_FILE).exists():
        (data_dir / DATABASE_FILE).write_bytes(_new_database())
    return open_database(data_dir)


def library_parts(data_dir: Path, encoder: HashEncoder | None = None, **settings: Any) -> Library:
    """Everything built, nothing opened but the database."""
    database = migrated_database(data_dir)
    store = Store(database, data_dir / "originals", also_held=lambda _: frozenset())
    encoder = encoder or HashEncoder()
    chosen = Settings(data_dir=data_dir, **settings)
    return Library(data_dir, database, store, encoder, chosen, SearchEngine(store, encoder, data_dir, chosen))


def open_library(data_dir: Path, encoder: HashEncoder | None = None, **settings: Any) -> Library:
    lib = library_parts(data_dir, encoder, **settings)
    try:
        lib.engine.open()
    except BaseException:
        lib.database.close()
        raise
    return lib


@contextmanager
def library(data_dir: Path, encoder: HashEncoder | None = None, **settings: Any) -> Iterator[Library]:
    opened = open_library(data_dir, encoder, **settings)
    try:
        yield opened
    finally:
        opened.close()
