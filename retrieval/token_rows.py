"""Stored token vectors: written with a document or after it, looked up for passages that were found.

They hang on ``chunks`` as vectors do, so that what is deleted or replaced takes them along. A document names the
revision of those that all its passages have (``token_revision``), so that what is lacking is found without looking
at them. Any bytes can be token vectors, so each row has a checksum, and bytes without theirs are never compared: they are as good as not there.
Functions on the caller's transaction; how vectors are made and packed is ``retrieval.late``.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from core.errors import InvalidRequest
from core.types import Principal
from retrieval.access import require_role
from retrieval.late.packed import Packed, packed_width
from retrieval.tables import chunks, collections, documents, token_vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVectors:
    """Of the passages of a document, in their order. ``revision`` is ``retrieval.late.reading.packed_revision``."""

    revision: str
    packed: Sequence[Packed]


def insert_tokens(connection: Connection, doc_number: int, first_row: int, tokens: TokenVectors) -> None:
    """Stores those of a whole document that has none yet."""
    put_tokens(connection, tokens.revision, enumerate(tokens.packed, start=first_row))
    note_tokens(connection, doc_number, tokens.revision)


def put_tokens(connection: Connection, revision: str, of_rows: Iterable[tuple[int, Packed]]) -> None:
    """Stores those of some rows, in place of what they have."""
    values = [
        {"row_id": row, "revision": revision, "packed": data, "checksum": checksum(row, revision, data)}
        for row, data in ((row, packed.tobytes()) for row, packed in of_rows)
    ]
    if values:
        connection.execute(delete(token_vectors).where(token_vectors.c.row_id.in_([v["row_id"] for v in values])))
        connection.execute(insert(token_vectors), values)


def keep_tokens(connection: Connection, revision: str, of_rows: Mapping[int, Packed]) -> None:
    """``put_tokens`` of those rows that are still there and searched, in collections that keep token vectors."""
    query = (
        select(chunks.c.row_id)
        .join(documents, documents.c.doc_number == chunks.c.doc_number)
        .join(collections, collections.c.collection_id == documents.c.collection_id)
        .where(chunks.c.row_id.in_(list(of_rows)), collections.c.tokens.is_(True), documents.c.edition_id.is_(None))
    )
    put_tokens(connection, revision, [(row, of_rows[row]) for row in connection.scalars(query)])


def checksum(row_id: int, revision: str, packed: bytes) -> int:
    """CRC-32 of what is stored and of whose it is, so that bytes that came to another row are not taken for its own."""
    return zlib.crc32(packed, zlib.crc32(f"{row_id} {revision}".encode()))


def is_sound(row: Row[Any]) -> bool:
    """Whether a row of ``token_vectors`` has what was written of it."""
    return len(row.packed) > 0 and bool(row.checksum == checksum(row.row_id, row.revision, row.packed))


def note_tokens(connection: Connection, doc_number: int, revision: str | None) -> None:
    """All passages of a document have token vectors of this revision; None: that is not known."""
    connection.execute(update(documents).where(documents.c.doc_number == doc_number).values(token_revision=revision))


def next_without(connection: Connection, revision: str) -> int | None:
    """The number of a searched document that should have token vectors of this revision and lacks some."""
    query = (
        select(documents.c.doc_number)
        .join(collections, collections.c.collection_id == documents.c.collection_id)
        .where(
            collections.c.tokens.is_(True),
            documents.c.edition_id.is_(None),
            documents.c.n_chunks > 0,
            documents.c.token_revision.is_distinct_from(revision),
        )
    )
    return connection.execute(query.order_by(documents.c.doc_number).limit(1)).scalar_one_or_none()


def is_searched(connection: Connection, doc_number: int) -> bool:
    """Whether a document is there, in a collection that keeps token vectors."""
    query = select(documents.c.doc_number).join(collections, collections.c.collection_id == documents.c.collection_id)
    found = query.where(documents.c.doc_number == doc_number, collections.c.tokens.is_(True))
    return connection.execute(found).first() is not None


def count_tokens(connection: Connection, revision: str) -> tuple[int, int]:
    """How many searched passages have token vectors of this revision, and how many more should."""
    has = documents.c.token_revision.is_not_distinct_from(revision)
    query = (
        select(
            func.coalesce(func.sum(documents.c.n_chunks).filter(has), 0),
            func.coalesce(func.sum(documents.c.n_chunks).filter(~has, collections.c.tokens.is_(True)), 0),
        )
        .join(collections, collections.c.collection_id == documents.c.collection_id)
        .where(documents.c.edition_id.is_(None))
    )
    kept, lacking = connection.execute(query).one()
    return int(kept), int(lacking)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTokens:
    """``of_chunks``: chunk → its token vectors. ``damaged``: ids of documents of which some could not be believed."""

    of_chunks: Mapping[str, Packed]
    damaged: frozenset[str]


# For what every search asks: making a statement takes longer than running it.
_TOKENS = (
    select(chunks.c.chunk_id, documents.c.doc_id, token_vectors)
    .select_from(documents)
    .join(chunks, chunks.c.doc_number == documents.c.doc_number)
    .join(token_vectors, token_vectors.c.row_id == chunks.c.row_id)
    .where(
        documents.c.doc_id.in_(bindparam("docs", expanding=True)),
        documents.c.edition_id.is_(None),
        chunks.c.chunk_id.in_(bindparam("chunks", expanding=True)),
        token_vectors.c.revision == bindparam("revision"),
    )
)


def tokens_of(
    connection: Connection, revision: str, dim: int, chunk_ids: Sequence[str], doc_ids: Sequence[str]
) -> FoundTokens:
    """What passages have of this revision. For passages that the person has been let see.

    Args:
        dim: of the encoder.
        doc_ids: of the chunks' documents, by which they are looked up.
    """
    found: dict[str, Packed] = {}
    damaged = set()
    asked = {"docs": list(doc_ids), "chunks": list(chunk_ids), "revision": revision}
    for row in connection.execute(_TOKENS, asked):
        if not is_sound(row):
            damaged.add(row.doc_id)
        elif len(row.packed) % packed_width(dim) == 0:
            found[row.chunk_id] = _as_packed(row.packed, dim)
    return FoundTokens(of_chunks=found, damaged=frozenset(damaged))


def tokens_of_rows(connection: Connection, revision: str, dim: int, rows: Sequence[int]) -> dict[int, Packed]:
    """Row → its token vectors, of those that have sound ones of this revision; for the service's own use."""
    query = select(token_vectors).where(token_vectors.c.row_id.in_(list(rows)), token_vectors.c.revision == revision)
    return {row.row_id: _as_packed(row.packed, dim) for row in connection.execute(query) if is_sound(row)}


def mistrust(connection: Connection, doc_ids: Iterable[str]) -> None:
    """Has all passages of searched documents looked at, and what is not sound made anew, in the background."""
    mine = documents.c.doc_id.in_(list(doc_ids)), documents.c.edition_id.is_(None)
    connection.execute(update(documents).where(*mine).values(token_revision=None))


def _as_packed(packed: bytes, dim: int) -> Packed:
    return np.frombuffer(packed, np.uint8).reshape(-1, packed_width(dim))


def set_tokens(connection: Connection, principal: Principal, name: str, tokens: bool) -> None:
    """Whether a collection keeps token vectors; what it has of them goes when it does not.

    Raises:
        NotFound, Forbidden: only the owner may.
    """
    collection_id = require_role(connection, principal, name, ("owner",))
    connection.execute(update(collections).where(collections.c.collection_id == collection_id).values(tokens=tokens))
    if tokens:
        return
    inside = documents.c.collection_id == collection_id
    rows = select(chunks.c.row_id).join(documents, documents.c.doc_number == chunks.c.doc_number).where(inside)
    connection.execute(delete(token_vectors).where(token_vectors.c.row_id.in_(rows)))
    connection.execute(update(documents).where(inside).values(token_revision=None))


def keeps_tokens(connection: Connection, name: str) -> bool:
    """Of a collection, whosesoever: for the service's own use; False if it is gone."""
    found = select(collections.c.tokens).where(collections.c.name == name)
    return bool(connection.execute(found).scalar_one_or_none())


def check_tokens(tokens: TokenVectors, n_chunks: int) -> None:
    """Raises InvalidRequest unless there is one array of packed vectors, at least one, for each chunk."""
    if len(tokens.packed) != n_chunks or any(p.dtype != np.uint8 or p.ndim != 2 or not len(p) for p in tokens.packed):
        raise InvalidRequest(
            f"token vectors of {len(tokens.packed)} passages: one array each belong to {n_chunks} chunks"
        )
