"""How a Document with its chunks, parents and vectors becomes rows, all of it or nothing. Functions on the caller's transaction.

It knows neither who may write nor what is replaced: that is ``retrieval.store``, and ``retrieval.edition_copies`` for copies.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection, insert, update

from core.clock import now_iso
from core.errors import InvalidRequest
from core.types import Chunk, Document, Vectors
from retrieval.document_rows import place
from retrieval.near import insert_signature
from retrieval.parents import insert_parents
from retrieval.signature import Signature
from retrieval.tables import chunks, documents, vectors
from retrieval.texts import check_storable, write_text
from retrieval.token_rows import TokenVectors, insert_tokens


def check_fits(document: Document, chunks_: Sequence[Chunk], vectors_: Vectors, parents_: Sequence[Chunk] = ()) -> None:
    """Raises InvalidRequest unless document, chunks, parents and vectors fit together as every reader relies on."""
    check_storable(document.text)
    if vectors_.dtype != np.float32 or vectors_.ndim != 2 or len(vectors_) != len(chunks_):
        raise InvalidRequest(
            f"vectors are {vectors_.dtype} {vectors_.shape}: float32 ({len(chunks_)}, dim) belong to these chunks"
        )
    if not np.isfinite(vectors_).all():
        raise InvalidRequest("a vector has a value that is not a number: the encoder is at fault")
    for c in (*chunks_, *parents_):
        if (
            c.doc_id != document.doc_id
            or not 0 <= c.start < c.end <= len(document.text)
            or document.text[c.start : c.end] != c.text
        ):
            raise InvalidRequest(
                f"chunk {c.chunk_id!r} [{c.start}, {c.end}) is no slice of document {document.doc_id!r}"
            )
    if len({c.chunk_id for c in (*chunks_, *parents_)}) != len(chunks_) + len(parents_):
        raise InvalidRequest(f"two chunks of document {document.doc_id!r} have the same chunk_id")
    by_id = {p.chunk_id: p for p in parents_}
    for c in chunks_:
        parent = by_id.get(c.parent_id) if c.parent_id is not None else c
        if parent is None or not parent.start <= c.start <= c.end <= parent.end:
            raise InvalidRequest(f"chunk {c.chunk_id!r} does not lie within its parent {c.parent_id!r}")
    try:
        json.dumps(dict(document.metadata), allow_nan=False)
    except (TypeError, ValueError) as e:
        raise InvalidRequest(f"the metadata of {document.uri!r} is not JSON: {e}") from e


def insert_document(
    connection: Connection,
    document: Document,
    chunks_: Sequence[Chunk],
    vectors_: Vectors,
    encoder_revision: str,
    chunker_version: str,
    collection_id: int,
    number: int,
    size: int,
    *,
    edition_id: int | None = None,
    created_at: str | None = None,
    parents_: Sequence[Chunk] = (),
    signature: Signature | None = None,
    tokens: TokenVectors | None = None,
) -> int:
    """Inserts a document with all that hangs on it; returns the first of its rows (0 if it has none).

    Args:
        number: the change that adds it.
        size: bytes of its original.
        edition_id: in which it waits; None: it is searched from now on.
        created_at: None is now.
        parents_: what is read where a chunk that names it is found.
        signature: of its text; without one it is nobody's near-duplicate.
        tokens: of its chunks; without them they are made later, where the collection keeps any.
    """
    doc_number = connection.execute(
        insert(documents)
        .values(
            doc_id=document.doc_id,
            edition_id=edition_id,
            collection_id=collection_id,
            uri=document.uri,
            title=document.title,
            mime_type=document.mime_type,
            sha256=document.sha256,
            size=size,
            n_characters=len(document.text),
            pages=[[p.number, p.start, p.end] for p in document.pages],
            metadata=dict(document.metadata),
            encoder_revision=encoder_revision,
            chunker_version=chunker_version,
            first_row=0,
            n_chunks=len(chunks_),
            added_change=number,
            created_at=created_at or now_iso(),
        )
        .returning(documents.c.doc_number)
    ).scalar_one()
    write_text(connection, doc_number, document.text)
    first_row = _insert_chunks(connection, doc_number, chunks_, vectors_, encoder_revision) if chunks_ else 0
    if tokens is not None and chunks_:
        insert_tokens(connection, doc_number, first_row, tokens)
    insert_parents(connection, doc_number, parents_)
    if signature is not None:
        insert_signature(connection, doc_number, signature)
    return first_row


def _insert_chunks(
    connection: Connection, doc_number: int, chunks_: Sequence[Chunk], vectors_: Vectors, encoder_revision: str
) -> int:
    """Inserts at least one chunk, with the vectors; returns the first row."""
    rows = [{"chunk_id": c.chunk_id, "parent_id": c.parent_id, **place(doc_number, c)} for c in chunks_]
    # The database gives the first row id; the others follow it in one run.
    first_row: int = connection.execute(insert(chunks).values(rows[0]).returning(chunks.c.row_id)).scalar_one()
    if len(rows) > 1:
        connection.execute(insert(chunks), [{"row_id": first_row + i, **r} for i, r in enumerate(rows) if i])
    connection.execute(update(documents).where(documents.c.doc_number == doc_number).values(first_row=first_row))
    packed = np.ascontiguousarray(vectors_, dtype="<f4")
    connection.execute(
        insert(vectors),
        [
            {"row_id": first_row + i, "encoder_revision": encoder_revision, "vector": v.tobytes()}
            for i, v in enumerate(packed)
        ],
    )
    return first_row
