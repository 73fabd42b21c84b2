"""How a Document with its chunks and vectors becomes rows, and how rows become Chunks and infos again."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, insert, update

from core.clock import now_iso
from core.errors import InvalidRequest
from core.types import Chunk, Document, PageSpan, Vectors
from retrieval.records import DocumentInfo
from retrieval.tables import chunks, documents, vectors
from retrieval.texts import check_storable, write_text


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
) -> tuple[int, int]:
    """Inserts a document with text, chunks and vectors; returns its number and the first of its rows (0 if it has none).

    Args:
        number: the change that adds it.
        size: bytes of its original.
    """
    doc_number = connection.execute(
        insert(documents)
        .values(
            doc_id=document.doc_id,
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
            created_at=now_iso(),
        )
        .returning(documents.c.doc_number)
    ).scalar_one()
    write_text(connection, doc_number, document.text)
    if not chunks_:
        return doc_number, 0
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
    return doc_number, first_row


def place(doc_number: int, chunk: Chunk) -> dict[str, Any]:
    """What the tables of chunks and of parents have in common."""
    return {
        "doc_number": doc_number,
        "start": chunk.start,
        "end": chunk.end,
        "n_tokens": chunk.n_tokens,
        "page": chunk.page,
        "heading_path": list(chunk.heading_path),
    }


def as_parent(row: Row[Any], doc_id: str, text: str) -> Chunk:
    """A Chunk of a row of ``parents``."""
    return Chunk(
        chunk_id=row.parent_id,
        doc_id=doc_id,
        text=text,
        start=row.start,
        end=row.end,
        n_tokens=row.n_tokens,
        page=row.page,
        heading_path=tuple(row.heading_path),
    )


def as_chunk(row: Row[Any], doc_id: str, text: str) -> Chunk:
    """A Chunk of a row of ``chunks``."""
    return Chunk(
        chunk_id=row.chunk_id,
        doc_id=doc_id,
        text=text,
        start=row.start,
        end=row.end,
        n_tokens=row.n_tokens,
        page=row.page,
        heading_path=tuple(row.heading_path),
        parent_id=row.parent_id,
    )


def as_info(row: Row[Any]) -> DocumentInfo:
    """A DocumentInfo of a row of ``documents`` with its collection's name."""
    return DocumentInfo(
        doc_id=row.doc_id,
        collection=row.collection,
        uri=row.uri,
        title=row.title,
        mime_type=row.mime_type,
        sha256=row.sha256,
        size=row.size,
        characters=row.n_characters,
        pages=len(row.pages),
        chunks=row.n_chunks,
        encoder_revision=row.encoder_revision,
        chunker_version=row.chunker_version,
        created_at=row.created_at,
        # Keys with "_" before them are for the machine, and can be long.
        metadata={key: value for key, value in row.metadata.items() if not key.startswith("_")},
    )


def touched(pages: Sequence[Sequence[int]], start: int, end: int) -> tuple[PageSpan, ...]:
    """The stored pages ([number, start, end], in order) that the range [start, end) of the text touches."""
    first = bisect_right(pages, start, key=lambda p: p[2])  # the first page that ends after ``start``
    found = []
    for number, page_start, page_end in pages[first:]:
        if page_start >= end:
            break
        found.append(PageSpan(number=number, start=page_start, end=page_end))
    return tuple(found)
