"""The only truth: collections, documents, chunks, vectors and originals, in SQLite and files beside it.

Every write is a step inside the caller's transaction (``with database.write() as connection``), so that it can
be committed together with a job's state. What a write changed is returned as a ``Change``; after COMMIT the caller
hands it to ``SearchEngine.publish``. Every read that serves a person takes a ``Principal`` and behaves, for whom
it does not concern, as if nothing were there.

    store                                  what is replaced and what goes with what; originals; a transaction for each reading
    collection_rows, document_writing      how a collection and a document become rows
    reading                                what a person reads of documents
    editions                               a collection's documents a second time

Store knows nothing of indexes, of scores, or of how a document was parsed and encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, Select, delete, select

from core.database import Database, has_word
from core.errors import NotFound
from core.types import Chunk, Document, PiiMode, Principal, Vectors
from retrieval.access import may_read, readable_collections, require_role
from retrieval.collection_rows import create_collection, list_collections
from retrieval.document_writing import check_fits, insert_document
from retrieval.filters import facets, failing_filters, matching_documents
from retrieval.originals import Originals
from retrieval.projection import current_change, next_change, record_removals
from retrieval.reading import (
    get_document,
    get_document_info,
    list_chunks,
    list_documents,
    list_parents,
    no_document,
    page_of_chunks,
    parents_by_id,
    passages_by_row,
    text_slice,
    there,
    vectors_of,
)
from retrieval.records import Change, ChangeKind, CollectionInfo, DocumentInfo, Passage
from retrieval.signature import Signature
from retrieval.tables import collections, document_tags, documents, edition_attempts, texts
from retrieval.token_rows import TokenVectors, check_tokens

AlsoHeld = Callable[[Connection], AbstractSet[str]]


class Store:
    """Reads and writes what has been ingested.

    Args:
        database: opened and migrated.
        originals_dir: where the uploaded files lie.
        also_held: the SHA-256 of originals that something else than a document needs (jobs that wait). Without it
            nobody knows, and no original is ever removed.
    """

    def __init__(self, database: Database, originals_dir: Path, *, also_held: AlsoHeld | None = None) -> None:
        self.database = database
        self.originals = Originals(originals_dir)
        self._also_held = also_held

    # ------------------------------------------------------------ collections

    def create_collection(
        self,
        connection: Connection,
        name: str,
        owner_id: str,
        *,
        pii: PiiMode = "off",
        late: bool = False,
        tokens: bool = True,
        attached_to: str | None = None,
    ) -> CollectionInfo:
        """Raises InvalidRequest for a bad name and Conflict for a name in use (by anybody: names are shared)."""
        return create_collection(connection, name, owner_id, pii=pii, late=late, tokens=tokens, attached_to=attached_to)

    def list_collections(self, principal: Principal) -> list[CollectionInfo]:
        """Everything that the principal may read, by name."""
        with self.database.read() as connection:
            return list_collections(connection, principal)

    def readable_collections(
        self, principal: Principal, names: Sequence[str] = (), *, attached: bool = False
    ) -> dict[str, int]:
        """Name → id; see ``retrieval.access.readable_collections``."""
        with self.database.read() as connection:
            return readable_collections(connection, principal, names, attached=attached)

    def delete_collection(
        self, connection: Connection, principal: Principal, name: str, *, attached: bool = False
    ) -> Change:
        """Deletes a collection with all that is in it. Only its owner may; ``attached`` as in ``require_role``.

        Raises:
            NotFound, Forbidden: see ``retrieval.access.require_role``.
        """
        collection_id = require_role(connection, principal, name, ("owner",), attached=attached)
        inside = documents.c.collection_id == collection_id
        change = self._take_away(connection, "delete-collection", name, connection.execute(_runs(inside)).all())
        connection.execute(delete(collections).where(collections.c.collection_id == collection_id))
        return change

    # ------------------------------------------------------------ writing documents

    def put_document(
        self,
        connection: Connection,
        document: Document,
        chunks_: Sequence[Chunk],
        vectors_: Vectors,
        encoder_revision: str,
        chunker_version: str,
        *,
        parents_: Sequence[Chunk] = (),
        signature: Signature | None = None,
        tokens: TokenVectors | None = None,
        principal: Principal | None = None,
    ) -> Change:
        """Stores a document with its chunks and their vectors; replaces the one with the same ``doc_id``.

        The same bytes, encoder and chunker as stored already, with a text of the same length, change nothing.

        Args:
            vectors_: (n_chunks, dim), one row per chunk.
            parents_: what is read where a chunk that names it is found; no index knows them.
            signature: of its text; without one it is nobody's near-duplicate.
            tokens: token vectors of the chunks; without them they are made later, where the collection keeps any.
            principal: if given, must (still) be owner or editor of the collection.

        Raises:
            NotFound: the collection does not exist (any more).
            Forbidden: ``principal`` may only read it.
            InvalidRequest: chunks, parents, text and vectors do not fit together.
        """
        check_fits(document, chunks_, vectors_, parents_)
        if tokens is not None:
            check_tokens(tokens, len(chunks_))
        if principal is not None:
            collection_id = require_role(connection, principal, document.collection, ("owner", "editor"), attached=True)
        else:
            named = select(collections.c.collection_id).where(collections.c.name == document.collection)
            found = connection.execute(named).scalar_one_or_none()
            if found is None:
                raise NotFound(f"the collection {document.collection!r} is gone", code="unknown-collection")
            collection_id = found

        old = connection.execute(
            _runs((documents.c.doc_id == document.doc_id) & documents.c.edition_id.is_(None)).add_columns(
                documents.c.encoder_revision, documents.c.chunker_version, documents.c.n_characters
            )
        ).one_or_none()
        # The length of the text, since OCR that was missing before may have come.
        made = (document.sha256, encoder_revision, chunker_version, len(document.text))
        if old is not None and (old.sha256, old.encoder_revision, old.chunker_version, old.n_characters) == made:
            return Change(number=current_change(connection), kind="none")

        change = self._take_away(connection, "put", document.doc_id, [old] if old is not None else [])
        # Of other bytes no edition keeps what was made: going back to it must not bring them back.
        outdated = (documents.c.doc_id == document.doc_id) & (documents.c.sha256 != document.sha256)
        connection.execute(delete(documents).where(outdated))
        first_row = insert_document(
            connection,
            document,
            chunks_,
            vectors_,
            encoder_revision,
            chunker_version,
            collection_id,
            change.number,
            self.originals.size(document.sha256) or 0,
            parents_=parents_,
            signature=signature,
            tokens=tokens,
        )
        return Change(
            number=change.number,
            kind="put",
            added_rows=range(first_row, first_row + len(chunks_)),
            removed=change.removed,
            freed_originals=tuple(s for s in change.freed_originals if s != document.sha256),
        )

    def delete_document(self, connection: Connection, principal: Principal, doc_id: str) -> Change:
        """Raises NotFound, or Forbidden for a reader."""
        query = select(collections.c.name).join(documents, documents.c.collection_id == collections.c.collection_id)
        this = (documents.c.doc_id == doc_id, documents.c.edition_id.is_(None))
        name = connection.execute(query.where(*this, may_read(principal))).scalar_one_or_none()
        if name is None:
            raise no_document(doc_id)
        require_role(connection, principal, name, ("owner", "editor"), attached=True)
        found = connection.execute(_runs(documents.c.doc_id == doc_id)).all()  # in every edition
        connection.execute(delete(edition_attempts).where(edition_attempts.c.doc_id == doc_id))
        connection.execute(delete(document_tags).where(document_tags.c.doc_id == doc_id))
        return self._take_away(connection, "delete-document", doc_id, found)

    def _take_away(self, connection: Connection, kind: ChangeKind, subject: str, gone: Sequence[Row[Any]]) -> Change:
        """Takes the next change number and removes documents with everything that hangs on them."""
        number = next_change(connection, kind, subject)
        runs = [(row.first_row, row.n_chunks) for row in gone if row.n_chunks and row.edition_id is None]
        record_removals(connection, number, runs)
        for row in gone:  # texts, chunks, parents and vectors go with it
            connection.execute(delete(documents).where(documents.c.doc_number == row.doc_number))
        return Change(
            number=number,
            kind=kind,
            removed=tuple(range(first, first + n) for first, n in runs),
            freed_originals=tuple(dict.fromkeys(row.sha256 for row in gone)),
        )

    # ------------------------------------------------------------ reading documents

    def get_document(self, principal: Principal, doc_id: str) -> Document:
        """Raises NotFound."""
        with self.database.read() as connection:
            return get_document(connection, principal, doc_id)

    def get_document_info(self, principal: Principal, doc_id: str) -> DocumentInfo:
        """Raises NotFound."""
        with self.database.read() as connection:
            return get_document_info(connection, principal, doc_id)

    def there(self, principal: Principal, doc_ids: Iterable[str]) -> set[str]:
        """Those of ``doc_ids`` that are served, and that the principal may read."""
        with self.database.read() as connection:
            return there(connection, principal, doc_ids)

    def list_documents(
        self,
        principal: Principal,
        collection: str,
        limit: int = 100,
        cursor: str | None = None,
        *,
        words: str = "",
        tags: Sequence[str] = (),
    ) -> tuple[list[DocumentInfo], str | None]:
        """A collection's documents, newest first, ``limit`` (1 to 1000) at a time.

        Args:
            cursor: what the call before returned; None begins.
            words, tags: as in ``retrieval.reading.list_documents``.

        Raises:
            NotFound: no such collection for this principal.
            InvalidRequest: a limit or cursor that is none.
        """
        with self.database.read() as connection:
            return list_documents(connection, principal, collection, limit, cursor, words=words, tags=tags)

    def list_chunks(self, principal: Principal, doc_id: str) -> list[Chunk]:
        """A document's chunks in reading order. Raises NotFound."""
        with self.database.read() as connection:
            return list_chunks(connection, principal, doc_id)

    def page_of_chunks(self, principal: Principal, doc_id: str, offset: int, limit: int) -> tuple[list[Chunk], int]:
        """``limit`` chunks of a document from the ``offset``-th on, and how many it has. Raises NotFound."""
        with self.database.read() as connection:
            return page_of_chunks(connection, principal, doc_id, offset, limit)

    def parents_by_id(self, principal: Principal, doc_id: str, parent_ids: Sequence[str]) -> list[Chunk]:
        """Those of a document's parents that are named, in reading order. Raises NotFound."""
        with self.database.read() as connection:
            return parents_by_id(connection, principal, doc_id, parent_ids)

    def list_parents(self, principal: Principal, doc_id: str) -> list[Chunk]:
        """What is read of a document in place of its chunks, in reading order; often nothing. Raises NotFound."""
        with self.database.read() as connection:
            return list_parents(connection, principal, doc_id)

    def text_slice(self, principal: Principal, doc_id: str, start: int, end: int) -> str:
        """Code points [start, end) of a document, without reading the rest. Raises NotFound, InvalidRequest."""
        with self.database.read() as connection:
            return text_slice(connection, principal, doc_id, start, end)

    def chunks_by_row(
        self, principal: Principal, rows: Sequence[int], connection: Connection | None = None
    ) -> dict[int, Passage]:
        """The passages behind row ids, with their parents; rows that are gone, or not this principal's, are left out.

        Args:
            connection: the transaction to read in; None reads what is true now.
        """
        if connection is not None:
            return passages_by_row(connection, principal, rows)
        with self.database.read() as own:
            return passages_by_row(own, principal, rows)

    def matching_documents(self, filters: Mapping[str, Sequence[str]]) -> tuple[int, NDArray[np.int64]]:
        """The change that was read at, and the numbers of all documents (whosesoever) that the filters let through.

        Raises:
            InvalidRequest: a field that cannot be filtered by.
        """
        with self.database.read() as connection:
            return current_change(connection), matching_documents(connection, filters)

    def failing_filters(
        self, doc_ids: Sequence[str], filters: Mapping[str, Sequence[str]]
    ) -> dict[str, tuple[str, ...]]:
        """Document → the fields whose filter it does not pass. For documents that the person has been let see."""
        with self.database.read() as connection:
            return failing_filters(connection, doc_ids, filters)

    def facets(self, principal: Principal, names: Sequence[str] = ()) -> dict[str, dict[str, int]]:
        """What the documents of these collections (empty: all that may be read) can be filtered by. Raises NotFound."""
        with self.database.read() as connection:
            return facets(connection, readable_collections(connection, principal, names).values())

    def vectors_of(
        self, principal: Principal, chunk_ids: Sequence[str], doc_ids: Sequence[str]
    ) -> dict[str, tuple[str, bytes]]:
        """Chunk → encoder revision and stored vector (float32, little endian), of those that may be read."""
        with self.database.read() as connection:
            return vectors_of(connection, principal, chunk_ids, doc_ids)

    def says(self, word: str, *, but: str) -> bool:
        """Whether any document but one has ``word`` in its text, in any case; reads all of them."""
        query = (
            select(texts.c.doc_number)
            .join(documents, documents.c.doc_number == texts.c.doc_number)
            .where(documents.c.doc_id != but, has_word(texts.c.text, word))
        )
        with self.database.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    # ------------------------------------------------------------ originals

    def remove_freed(self, change: Change) -> None:
        """Removes the files that a *committed* change let go of, unless somebody else needs them."""
        self.remove_originals(change.freed_originals)

    def remove_originals(self, candidates: Sequence[str]) -> None:
        """Removes files by their SHA-256 that a *committed* transaction let go of, unless somebody else needs them."""
        if candidates and self._also_held is not None:
            self.originals.remove_unneeded(candidates, self._needed_originals)

    def sweep_originals(self) -> None:
        """Removes files that nobody needs, and what interrupted uploads left. Safe at any time in the one writer."""
        self.originals.sweep_temp()
        if self._also_held is not None:
            self.originals.remove_unneeded(self.originals.stored(), self._needed_originals)

    def needed_originals(self, connection: Connection) -> AbstractSet[str]:
        """The SHA-256 of every file that a document, or whatever else was named to this store, needs."""
        held = self.document_originals(connection)
        return held if self._also_held is None else held | self._also_held(connection)

    def document_originals(self, connection: Connection) -> AbstractSet[str]:
        """The SHA-256 of every document's file."""
        return set(connection.scalars(select(documents.c.sha256)))

    def _needed_originals(self) -> AbstractSet[str]:
        with self.database.read() as connection:
            return self.needed_originals(connection)


def _runs(condition: Any) -> Select[Any]:
    fields = (documents.c.doc_number, documents.c.edition_id, documents.c.sha256)
    return select(*fields, documents.c.first_row, documents.c.n_chunks).where(condition)
