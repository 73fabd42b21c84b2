"""Reads every stored token vector and says what is wrong; takes out what cannot be believed. SQL on retrieval's own tables.

Nothing is lost with one: it is made anew from the text in the background, and until then a search reads the passage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, func, select, update

from core.findings import Finding
from core.wording import plural
from retrieval.tables import chunks, collections, documents, token_vectors
from retrieval.token_rows import is_sound

_BATCH = 512  # rows of some 13 kB

MAKE_AGAIN = (
    "they are taken out and made again from the text in the background; searches read these passages until then"
)
TAKE_OUT = "they are removed"


def audit_tokens(connection: Connection) -> tuple[int, list[Finding]]:
    """Every passage of a document that is said to have token vectors has them, of this revision, and all have what was written.

    Returns:
        How many passages have token vectors, and what is wrong, one finding per document.
    """
    n = int(connection.execute(select(func.count()).select_from(token_vectors)).scalar_one())
    missing = dict.fromkeys(connection.scalars(_missing()), "none are there")
    damaged = dict.fromkeys(_unsound(connection), "other bytes than were written")
    found = _findings(connection, {**missing, **damaged}, "missing or damaged", MAKE_AGAIN)
    stray = dict.fromkeys(connection.scalars(_stray()), "kept though its collection keeps none")
    return n, found + _findings(connection, stray, "unwanted", TAKE_OUT)


def drop_wrong_tokens(connection: Connection, doc_id: str) -> None:
    """Takes out what ``audit_tokens`` finds wrong with a document, its copies included."""
    mine = documents.c.doc_id == doc_id
    numbers = select(documents.c.doc_number).where(mine)
    rows = [*_unsound(connection, numbers), *connection.scalars(_stray().where(mine))]
    for start in range(0, len(rows), _BATCH):
        connection.execute(delete(token_vectors).where(token_vectors.c.row_id.in_(rows[start : start + _BATCH])))
    connection.execute(update(documents).where(mine).values(token_revision=None))


def _missing() -> Select[Any]:
    """Rows of passages whose documents say that all have token vectors, and which have none of that revision."""
    return (
        select(chunks.c.row_id)
        .join(documents, documents.c.doc_number == chunks.c.doc_number)
        .outerjoin(
            token_vectors,
            (token_vectors.c.row_id == chunks.c.row_id) & (token_vectors.c.revision == documents.c.token_revision),
        )
        .where(documents.c.token_revision.is_not(None), token_vectors.c.row_id.is_(None))
    )


def _stray() -> Select[Any]:
    """Rows of ``token_vectors`` in collections that are to keep none."""
    return (
        select(token_vectors.c.row_id)
        .join(chunks, chunks.c.row_id == token_vectors.c.row_id)
        .join(documents, documents.c.doc_number == chunks.c.doc_number)
        .join(collections, collections.c.collection_id == documents.c.collection_id)
        .where(collections.c.tokens.is_(False))
    )


def _unsound(connection: Connection, of_documents: Select[Any] | None = None) -> Iterator[int]:
    """Rows of ``token_vectors`` that are not what was written."""
    last = -1
    while True:
        query = select(token_vectors).where(token_vectors.c.row_id > last)
        if of_documents is not None:
            inside = select(chunks.c.row_id).where(chunks.c.doc_number.in_(of_documents))
            query = query.where(token_vectors.c.row_id.in_(inside))
        batch = connection.execute(query.order_by(token_vectors.c.row_id).limit(_BATCH)).all()
        yield from (row.row_id for row in batch if not is_sound(row))
        if len(batch) < _BATCH:
            return
        last = batch[-1].row_id


def _findings(connection: Connection, wrong: dict[int, str], how: str, fix: str) -> list[Finding]:
    """One for each document that has any of the rows; rows without a passage are the database's to find."""
    by_document: dict[str, tuple[str, list[int]]] = {}
    rows: Sequence[int] = sorted(wrong)
    for start in range(0, len(rows), _BATCH):
        query = (
            select(chunks.c.row_id, documents.c.doc_id, documents.c.uri)
            .join(documents, documents.c.doc_number == chunks.c.doc_number)
            .where(chunks.c.row_id.in_(rows[start : start + _BATCH]))
            .order_by(chunks.c.row_id)
        )
        for row_id, doc_id, uri in connection.execute(query):
            by_document.setdefault(doc_id, (uri, []))[1].append(row_id)
    return [
        Finding(
            code="tokens-damaged",
            subject=doc_id,
            message=f"{uri!r} ({doc_id}): {how} token vectors of {plural(len(mine), 'passage')} (the first: {wrong[mine[0]]})",
            fix=fix,
        )
        for doc_id, (uri, mine) in by_document.items()
    ]
