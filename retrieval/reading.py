"""What a person reads of documents, their passages and what is read in place of those. Functions on a transaction.

Each takes a Principal and behaves, for whom it does not concern, as if nothing were there: NotFound. What waits in another
edition than the searched one is not there for anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, or_, select

from core.database import has_word
from core.errors import InvalidRequest, NotFound
from core.paging import row_number
from core.types import Chunk, Document, Principal
from retrieval.access import may_read, readable_collections, readable_to
from retrieval.document_rows import as_chunk, as_document, as_info, touched
from retrieval.filters import tagged
from retrieval.parents import parents_of_document, read_parents
from retrieval.records import DocumentInfo, Passage
from retrieval.tables import chunks, collections, documents, vectors
from retrieval.texts import read_chunk_texts, read_slice, read_texts

MAX_PAGE = 1000  # documents per listing

_PASSAGES = readable_to(
    select(chunks, documents.c.doc_id, documents.c.uri, documents.c.title, collections.c.name.label("collection"))
    .join(documents, documents.c.doc_number == chunks.c.doc_number)
    .join(collections, collections.c.collection_id == documents.c.collection_id)
    .where(chunks.c.row_id.in_(bindparam("rows", expanding=True)))
)
_PAGES = select(documents.c.doc_number, documents.c.pages).where(
    documents.c.doc_number.in_(bindparam("numbers", expanding=True))
)


def visible_documents(principal: Principal) -> Select[Any]:
    """Rows of ``documents`` with their collections' names, of all that the principal may read."""
    return (
        select(documents, collections.c.name.label("collection"))
        .join(collections, collections.c.collection_id == documents.c.collection_id)
        .where(may_read(principal), documents.c.edition_id.is_(None))
    )


def visible_document(connection: Connection, principal: Principal, doc_id: str) -> Row[Any]:
    """The one of this id. Raises NotFound."""
    row = connection.execute(visible_documents(principal).where(documents.c.doc_id == doc_id)).one_or_none()
    if row is None:
        raise no_document(doc_id)
    return row


def no_document(doc_id: str) -> NotFound:
    return NotFound(f"no document {doc_id!r}: list the documents of a collection to see their ids")


def get_document(connection: Connection, principal: Principal, doc_id: str) -> Document:
    """Raises NotFound."""
    row = visible_document(connection, principal, doc_id)
    text = read_texts(connection, [row.doc_number])[row.doc_number]
    return as_document(row, text)


def get_document_info(connection: Connection, principal: Principal, doc_id: str) -> DocumentInfo:
    """Raises NotFound."""
    return as_info(visible_document(connection, principal, doc_id))


def there(connection: Connection, principal: Principal, doc_ids: Iterable[str]) -> set[str]:
    """Those of ``doc_ids`` that are served, and that the principal may read."""
    wanted = visible_documents(principal).where(documents.c.doc_id.in_(list(doc_ids)))
    return set(connection.scalars(wanted.with_only_columns(documents.c.doc_id)))


def list_documents(
    connection: Connection,
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
        words: only those of which title and file name together have all of these, in any case.
        tags: only those with one of these, in any case.

    Raises:
        NotFound: no such collection for this principal.
        InvalidRequest: a limit or cursor that is none.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest(f"limit {limit} is out of range: use 1 to {MAX_PAGE}")
    before = None if cursor is None else row_number(cursor)
    collection_id = readable_collections(connection, principal, [collection])[collection]
    query = visible_documents(principal).where(documents.c.collection_id == collection_id)
    if before is not None:
        query = query.where(documents.c.doc_number < before)
    for word in words.split():
        query = query.where(or_(has_word(documents.c.title, word), has_word(documents.c.uri, word)))
    query = query.order_by(documents.c.doc_number.desc())
    # Row by row: metadata can be long, and infos leave the longest of it out.
    rows: Iterable[Row[Any]] = connection.execute(query if tags else query.limit(limit + 1))
    if tags:
        has = tagged(connection, tags)
        rows = islice((row for row in rows if has(row.doc_id, row.metadata)), limit + 1)
    found = [(row.doc_number, as_info(row)) for row in rows]
    more = str(found[limit - 1][0]) if len(found) > limit else None
    return [info for _, info in found[:limit]], more


def list_chunks(connection: Connection, principal: Principal, doc_id: str) -> list[Chunk]:
    """A document's chunks in reading order. Raises NotFound."""
    row = visible_document(connection, principal, doc_id)
    text = read_texts(connection, [row.doc_number])[row.doc_number]
    query = select(chunks).where(chunks.c.doc_number == row.doc_number).order_by(chunks.c.row_id)
    return [as_chunk(c, doc_id, text[c.start : c.end]) for c in connection.execute(query)]


def page_of_chunks(
    connection: Connection, principal: Principal, doc_id: str, offset: int, limit: int
) -> tuple[list[Chunk], int]:
    """``limit`` chunks of a document from the ``offset``-th on, and how many it has. Raises NotFound."""
    row = visible_document(connection, principal, doc_id)
    first = row.first_row + offset
    wanted = chunks.c.row_id.between(first, first + limit - 1), chunks.c.doc_number == row.doc_number
    found = connection.execute(select(chunks).where(*wanted).order_by(chunks.c.row_id)).all()
    texts_ = read_chunk_texts(connection, [(c.row_id, c.start, c.end) for c in found])
    return [as_chunk(c, doc_id, texts_[c.row_id]) for c in found], row.n_chunks


def parents_by_id(connection: Connection, principal: Principal, doc_id: str, parent_ids: Sequence[str]) -> list[Chunk]:
    """Those of a document's parents that are named, in reading order. Raises NotFound."""
    row = visible_document(connection, principal, doc_id)
    found = read_parents(connection, dict.fromkeys(parent_ids, (row.doc_number, doc_id)))
    return sorted(found.values(), key=lambda p: p.start)


def list_parents(connection: Connection, principal: Principal, doc_id: str) -> list[Chunk]:
    """What is read of a document in place of its chunks, in reading order; often nothing. Raises NotFound."""
    row = visible_document(connection, principal, doc_id)
    text = read_texts(connection, [row.doc_number])[row.doc_number]
    return parents_of_document(connection, row.doc_number, doc_id, text)


def text_slice(connection: Connection, principal: Principal, doc_id: str, start: int, end: int) -> str:
    """Code points [start, end) of a document, without reading the rest. Raises NotFound, InvalidRequest."""
    if not 0 <= start <= end:
        raise InvalidRequest(f"[{start}, {end}) is no range of characters: 0 ≤ start ≤ end")
    row = visible_document(connection, principal, doc_id)
    return read_slice(connection, row.doc_number, start, min(end, row.n_characters))


def passages_by_row(connection: Connection, principal: Principal, rows: Sequence[int]) -> dict[int, Passage]:
    """The passages behind row ids, with their parents; rows that are gone, or not this principal's, are left out."""
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
            uri=c.uri,
        )
    return passages


def vectors_of(
    connection: Connection, principal: Principal, chunk_ids: Sequence[str], doc_ids: Sequence[str]
) -> dict[str, tuple[str, bytes]]:
    """Chunk → encoder revision and stored vector (float32, little endian), of those that the principal may read.

    Args:
        doc_ids: of the chunks' documents, by which they are looked up.
    """
    query = (
        select(chunks.c.chunk_id, vectors.c.encoder_revision, vectors.c.vector)
        .join(documents, documents.c.doc_number == chunks.c.doc_number)
        .join(collections, collections.c.collection_id == documents.c.collection_id)
        .join(vectors, vectors.c.row_id == chunks.c.row_id)
        .where(
            documents.c.doc_id.in_(list(doc_ids)),
            documents.c.edition_id.is_(None),
            chunks.c.chunk_id.in_(list(chunk_ids)),
            may_read(principal),
        )
    )
    return {row.chunk_id: (row.encoder_revision, row.vector) for row in connection.execute(query)}
