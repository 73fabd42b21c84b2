"""The only truth: collections, documents, chunks, vectors and originals, in SQLite and files beside it.

Every write is a step inside the caller's transaction (``with database.write() as connection``), so that it can
be committed together with a job's state. What a write changed is returned as a ``Change``; after COMMIT the caller
hands it to ``SearchEngine.publish``. Every read that serves a person takes a ``Principal`` and behaves, for whom
it does not concern, as if nothing were there.

Store knows nothing of indexes, of scores, or of how a document was parsed and encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from core.clock import now_iso
from core.database import Database
from core.errors import Conflict, InvalidRequest, NotFound
from core.ids import check_collection_name
from core.types import Chunk, Document, PageSpan, PiiMode, Principal, Vectors
from retrieval.access import may_read, readable_collections, readable_to, require_role, role_column
from retrieval.document_rows import as_chunk, as_info, check_fits, insert_document, touched
from retrieval.near import insert_signature
from retrieval.originals import Originals
from retrieval.parents import insert_parents, parents_of_document, read_parents
from retrieval.projection import current_change, matching_documents, next_change, record_removals
from retrieval.records import Change, ChangeKind, CollectionInfo, DocumentInfo, Passage
from retrieval.signature import Signature
from retrieval.tables import chunks, collections, documents, edition_attempts, editions, texts
from retrieval.texts import read_chunk_texts, read_slice, read_texts

MAX_PAGE = 1000  # documents per listing

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
        self, connection: Connection, name: str, owner_id: str, *, pii: PiiMode = "off"
    ) -> CollectionInfo:
        """Raises InvalidRequest for a bad name and Conflict for a name in use (by anybody: names are shared)."""
        check_collection_name(name)
        created_at = now_iso()
        values = {"name": name, "owner_id": owner_id, "created_at": created_at, "pii": pii}
        try:
            with connection.begin_nested():
                statement = insert(collections).values(values).returning(collections.c.collection_id)
                collection_id = connection.execute(statement).scalar_one()
        except IntegrityError as e:
            raise Conflict(f"the name {name!r} is in use: choose another", code="collection-exists") from e
        return CollectionInfo(
            collection_id=collection_id,
            name=name,
            documents=0,
            chunks=0,
            created_at=created_at,
            owner_id=owner_id,
            role="owner",
            pii=pii,
        )

    def list_collections(self, principal: Principal) -> list[CollectionInfo]:
        """Everything that the principal may read, by name."""
        counts = (
            select(
                documents.c.collection_id,
                func.count().label("documents"),
                func.sum(documents.c.n_chunks).label("chunks"),
            )
            .where(documents.c.edition_id.is_(None))
            .group_by(documents.c.collection_id)
            .subquery()
        )
        # No collection keeps two.
        kept = editions.alias("kept")
        query = (
            select(
                collections,
                kept.c.pipeline.label("previous"),
                func.coalesce(counts.c.documents, 0).label("documents"),
                func.coalesce(counts.c.chunks, 0).label("chunks"),
                role_column(principal).label("role"),
            )
            .outerjoin(counts, counts.c.collection_id == collections.c.collection_id)
            .outerjoin(kept, (kept.c.collection_id == collections.c.collection_id) & (kept.c.state == "kept"))
            .where(may_read(principal))
            .order_by(collections.c.name)
        )
        with self.database.read() as connection:
            return [CollectionInfo(**row._mapping) for row in connection.execute(query)]

    def set_pii(self, connection: Connection, principal: Principal, name: str, pii: PiiMode) -> None:
        """What is done about personal data in what is added from now on; what is stored stays as it is.

        Raises:
            NotFound, Forbidden: only the owner may.
            Conflict: it is being indexed anew, under the setting of before.
        """
        collection_id = require_role(connection, principal, name, ("owner",))
        building = (editions.c.collection_id == collection_id) & (editions.c.state == "building")
        if connection.execute(select(editions.c.edition_id).where(building)).first() is not None:
            raise Conflict(
                f"{name} is being indexed anew under the setting of before: wait for that job, or cancel it",
                code="reindexing",
            )
        connection.execute(update(collections).where(collections.c.collection_id == collection_id).values(pii=pii))

    def pii_of(self, connection: Connection, name: str) -> PiiMode:
        """Of a collection, whosesoever: for the service's own use; "off" if it is gone."""
        found = connection.execute(select(collections.c.pii).where(collections.c.name == name)).scalar_one_or_none()
        return cast(PiiMode, found or "off")

    def count_treated_otherwise(self, connection: Connection, name: str) -> int:
        """How many documents of a collection were added under another setting for personal data than it has now."""
        treated = func.coalesce(documents.c.metadata["pii"]["mode"].as_string(), "off")
        query = (
            select(func.count())
            .select_from(documents.join(collections, collections.c.collection_id == documents.c.collection_id))
            .where(collections.c.name == name, documents.c.edition_id.is_(None), treated != collections.c.pii)
        )
        return connection.execute(query).scalar_one()

    def collection_names(self, connection: Connection) -> frozenset[str]:
        """Every name in use, whosesoever: for the service's own use."""
        return frozenset(connection.scalars(select(collections.c.name)))

    def readable_collections(self, principal: Principal, names: Sequence[str] = ()) -> dict[str, int]:
        """Name → id; see ``retrieval.access.readable_collections``."""
        with self.database.read() as connection:
            return readable_collections(connection, principal, names)

    def delete_collection(self, connection: Connection, principal: Principal, name: str) -> Change:
        """Deletes a collection with all that is in it. Only its owner may.

        Raises:
            NotFound, Forbidden: see ``retrieval.access.require_role``.
        """
        collection_id = require_role(connection, principal, name, ("owner",))
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
        principal: Principal | None = None,
    ) -> Change:
        """Stores a document with its chunks and their vectors; replaces the one with the same ``doc_id``.

        The same bytes, encoder and chunker as stored already, with a text of the same length, change nothing.

        Args:
            vectors_: (n_chunks, dim), one row per chunk.
            parents_: what is read where a chunk that names it is found; no index knows them.
            signature: of its text; without one it is nobody's near-duplicate.
            principal: if given, must (still) be owner or editor of the collection.

        Raises:
            NotFound: the collection does not exist (any more).
            Forbidden: ``principal`` may only read it.
            InvalidRequest: chunks, parents, text and vectors do not fit together.
        """
        check_fits(document, chunks_, vectors_, parents_)
        if principal is not None:
            collection_id = require_role(connection, principal, document.collection, ("owner", "editor"))
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
        doc_number, first_row = insert_document(
            connection,
            document,
            chunks_,
            vectors_,
            encoder_revision,
            chunker_version,
            collection_id,
            change.number,
            self.originals.size(document.sha256) or 0,
        )
        insert_parents(connection, doc_number, parents_)
        if signature is not None:
            insert_signature(connection, doc_number, signature)
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
            raise _no_document(doc_id)
        require_role(connection, principal, name, ("owner", "editor"))
        found = connection.execute(_runs(documents.c.doc_id == doc_id)).all()  # in every edition
        connection.execute(delete(edition_attempts).where(edition_attempts.c.doc_id == doc_id))
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
            row = _one_document(connection, principal, doc_id)
            text = read_texts(connection, [row.doc_number])[row.doc_number]
        return Document(
            doc_id=row.doc_id,
            collection=row.collection,
            uri=row.uri,
            title=row.title,
            mime_type=row.mime_type,
            sha256=row.sha256,
            text=text,
            pages=tuple(PageSpan(number=n, start=s, end=e) for n, s, e in row.pages),
            metadata=row.metadata,
        )

    def get_document_info(self, principal: Principal, doc_id: str) -> DocumentInfo:
        """Raises NotFound."""
        with self.database.read() as connection:
            return as_info(_one_document(connection, principal, doc_id))

    def list_documents(
        self, principal: Principal, collection: str, limit: int = 100, cursor: str | None = None
    ) -> tuple[list[DocumentInfo], str | None]:
        """A collection's documents, newest first, ``limit`` (1 to 1000) at a time.

        Args:
            cursor: what the call before returned; None begins.

        Raises:
            NotFound: no such collection for this principal.
            InvalidRequest: a limit or cursor that is none.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRequest(f"limit {limit} is out of range: use 1 to {MAX_PAGE}")
        if cursor is not None and not cursor.isdecimal():
            raise InvalidRequest(f"{cursor!r} is not a cursor: pass on the one that the page before gave")
        with self.database.read() as connection:
            collection_id = readable_collections(connection, principal, [collection])[collection]
            query = _select_documents(principal).where(documents.c.collection_id == collection_id)
            if cursor is not None:
                query = query.where(documents.c.doc_number < int(cursor))
            # Row by row: metadata can be long, and infos leave the longest of it out.
            rows = connection.execute(query.order_by(documents.c.doc_number.desc()).limit(limit + 1))
            found = [(row.doc_number, as_info(row)) for row in rows]
        more = str(found[limit - 1][0]) if len(found) > limit else None
        return [info for _, info in found[:limit]], more

    def list_chunks(self, principal: Principal, doc_id: str) -> list[Chunk]:
        """A document's chunks in reading order. Raises NotFound."""
        with self.database.read() as connection:
            row = _one_document(connection, principal, doc_id)
            text = read_texts(connection, [row.doc_number])[row.doc_number]
            query = select(chunks).where(chunks.c.doc_number == row.doc_number).order_by(chunks.c.row_id)
            return [as_chunk(c, doc_id, text[c.start : c.end]) for c in connection.execute(query)]

    def page_of_chunks(self, principal: Principal, doc_id: str, offset: int, limit: int) -> tuple[list[Chunk], int]:
        """``limit`` chunks of a document from the ``offset``-th on, and how many it has. Raises NotFound."""
        with self.database.read() as connection:
            row = _one_document(connection, principal, doc_id)
            first = row.first_row + offset
            wanted = chunks.c.row_id.between(first, first + limit - 1), chunks.c.doc_number == row.doc_number
            found = connection.execute(select(chunks).where(*wanted).order_by(chunks.c.row_id)).all()
            texts_ = read_chunk_texts(connection, [(c.row_id, c.start, c.end) for c in found])
            return [as_chunk(c, doc_id, texts_[c.row_id]) for c in found], row.n_chunks

    def parents_by_id(self, principal: Principal, doc_id: str, parent_ids: Sequence[str]) -> list[Chunk]:
        """Those of a document's parents that are named, in reading order. Raises NotFound."""
        with self.database.read() as connection:
            row = _one_document(connection, principal, doc_id)
            found = read_parents(connection, dict.fromkeys(parent_ids, (row.doc_number, doc_id)))
        return sorted(found.values(), key=lambda p: p.start)

    def list_parents(self, principal: Principal, doc_id: str) -> list[Chunk]:
        """What is read of a document in place of its chunks, in reading order; often nothing. Raises NotFound."""
        with self.database.read() as connection:
            row = _one_document(connection, principal, doc_id)
            text = read_texts(connection, [row.doc_number])[row.doc_number]
            return parents_of_document(connection, row.doc_number, doc_id, text)

    def text_slice(self, principal: Principal, doc_id: str, start: int, end: int) -> str:
        """Code points [start, end) of a document, without reading the rest. Raises NotFound, InvalidRequest."""
        if not 0 <= start <= end:
            raise InvalidRequest(f"[{start}, {end}) is no range of characters: 0 ≤ start ≤ end")
        with self.database.read() as connection:
            row = _one_document(connection, principal, doc_id)
            return read_slice(connection, row.doc_number, start, min(end, row.n_characters))

    def chunks_by_row(
        self, principal: Principal, rows: Sequence[int], connection: Connection | None = None
    ) -> dict[int, Passage]:
        """The passages behind row ids, with their parents; rows that are gone, or not this principal's, are left out.

        Args:
            connection: the transaction to read in; None reads what is true now.
        """
        if connection is None:
            with self.database.read() as connection:
                return self.chunks_by_row(principal, rows, connection)
        query = _PASSAGES[principal.is_admin]
        found = connection.execute(query, {"rows": list(rows), "me": principal.user_id}).all()
        texts_ = read_chunk_texts(connection, [(c.row_id, c.start, c.end) for c in found])
        parent_of = read_parents(
            connection, {c.parent_id: (c.doc_number, c.doc_id) for c in found if c.parent_id is not None}
        )
        paged = {"numbers": list({c.doc_number for c in found if c.page is not None})}
        pages = {d.doc_number: d.pages for d in connection.execute(_PAGES, paged)} if paged["numbers"] else {}
        passages = {}
        for c in found:
            parent = parent_of[c.parent_id] if c.parent_id is not None else None
            read = parent or c
            passages[c.row_id] = Passage(
                chunk=as_chunk(c, c.doc_id, texts_[c.row_id]),
                title=c.title,
                collection=c.collection,
                doc_number=c.doc_number,
                parent=parent,
                pages=touched(pages.get(c.doc_number, []), read.start, read.end),
            )
        return passages

    def matching_documents(self, filters: Mapping[str, Sequence[str]]) -> tuple[int, NDArray[np.int64]]:
        """The change that was read at, and the numbers of all documents (whosesoever) that the filters let through.

        Raises:
            InvalidRequest: a field that cannot be filtered by.
        """
        with self.database.read() as connection:
            return current_change(connection), matching_documents(connection, filters)

    def says(self, word: str, *, but: str) -> bool:
        """Whether any document but one has ``word`` in its text, in small letters or as it is; reads all of them."""
        query = (
            select(texts.c.doc_number)
            .join(documents, documents.c.doc_number == texts.c.doc_number)
            .where(documents.c.doc_id != but, func.instr(func.lower(texts.c.text), word.lower()) > 0)
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


_PASSAGES = readable_to(
    select(chunks, documents.c.doc_id, documents.c.title, collections.c.name.label("collection"))
    .join(documents, documents.c.doc_number == chunks.c.doc_number)
    .join(collections, collections.c.collection_id == documents.c.collection_id)
    .where(chunks.c.row_id.in_(bindparam("rows", expanding=True)))
)


_PAGES = select(documents.c.doc_number, documents.c.pages).where(
    documents.c.doc_number.in_(bindparam("numbers", expanding=True))
)


def _runs(condition: Any) -> Select[Any]:
    fields = (documents.c.doc_number, documents.c.edition_id, documents.c.sha256)
    return select(*fields, documents.c.first_row, documents.c.n_chunks).where(condition)


def _select_documents(principal: Principal) -> Select[Any]:
    return (
        select(documents, collections.c.name.label("collection"))
        .join(collections, collections.c.collection_id == documents.c.collection_id)
        .where(may_read(principal), documents.c.edition_id.is_(None))
    )


def _one_document(connection: Connection, principal: Principal, doc_id: str) -> Row[Any]:
    row = connection.execute(_select_documents(principal).where(documents.c.doc_id == doc_id)).one_or_none()
    if row is None:
        raise _no_document(doc_id)
    return row


def _no_document(doc_id: str) -> NotFound:
    return NotFound(f"no document {doc_id!r}: list the documents of a collection to see their ids")
