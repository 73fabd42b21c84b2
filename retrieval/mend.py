"""Mends what ``retrieval.audit`` finds: vectors encoded anew from the text, documents marked to be read again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, delete, insert, select, update

from core.protocols import Encoder
from core.types import Chunk
from retrieval.audit import DAMAGED
from retrieval.document_rows import as_chunk
from retrieval.tables import chunks, collections, documents, vectors
from retrieval.texts import read_texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A document that is to be read again, with what an upload would have said of it."""

    doc_id: str
    collection: str
    owner_id: str
    uri: str
    sha256: str
    size: int
    chunker_version: str  # under which it was stored


def mark_damaged(connection: Connection, doc_id: str) -> Marked | None:
    """Marks a document so that reading it again replaces it; it is searched as it is until then. None: it is gone."""
    query = (
        select(documents, collections.c.name.label("collection"), collections.c.owner_id)
        .join(collections, collections.c.collection_id == documents.c.collection_id)
        .where(documents.c.doc_id == doc_id, documents.c.edition_id.is_(None))
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    connection.execute(
        update(documents).where(documents.c.doc_number == row.doc_number).values(chunker_version=DAMAGED)
    )
    return Marked(
        doc_id=doc_id,
        collection=row.collection,
        owner_id=row.owner_id,
        uri=row.uri,
        sha256=row.sha256,
        size=row.size,
        chunker_version=row.chunker_version,
    )


def drop_copy(connection: Connection, doc_number: int) -> None:
    """Throws the copy of a document away that an edition has; never what is searched."""
    connection.execute(
        delete(documents).where(documents.c.doc_number == doc_number, documents.c.edition_id.is_not(None))
    )


def encode_again(
    connection: Connection, doc_id: str, encoder: Encoder, text_of: Callable[[str, Chunk, str], str]
) -> bool:
    """Makes every vector of a document anew from its text.

    Args:
        text_of: (title, chunk, chunker_version) → what of the chunk is encoded.

    Returns:
        False if another encoder made them, which this one cannot do again.
    """
    query = select(documents).where(documents.c.doc_id == doc_id, documents.c.edition_id.is_(None))
    row = connection.execute(query).one_or_none()
    if row is None:
        return True  # deleted meanwhile
    if row.encoder_revision != encoder.revision:
        return False
    text = read_texts(connection, [row.doc_number])[row.doc_number]
    query = select(chunks).where(chunks.c.doc_number == row.doc_number).order_by(chunks.c.row_id)
    found = connection.execute(query).all()
    passages = [as_chunk(c, doc_id, text[c.start : c.end]) for c in found]
    made = encoder.encode_documents([text_of(row.title, p, row.chunker_version) for p in passages])
    packed = np.ascontiguousarray(made, dtype="<f4")
    rows: Sequence[int] = [c.row_id for c in found]
    mine = select(chunks.c.row_id).where(chunks.c.doc_number == row.doc_number)
    connection.execute(delete(vectors).where(vectors.c.row_id.in_(mine)))
    connection.execute(
        insert(vectors),
        [
            {"row_id": r, "encoder_revision": encoder.revision, "vector": v.tobytes()}
            for r, v in zip(rows, packed, strict=True)
        ],
    )
    return True
