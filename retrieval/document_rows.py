"""How rows of chunks, parents and documents become Chunks and infos, and what the rows of chunks and parents share.

It runs no SQL. How they are written is ``retrieval.document_writing``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from core.types import Chunk, Document, PageSpan
from retrieval.records import DocumentInfo


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
    return _chunk(row, row.parent_id, doc_id, text)


def as_chunk(row: Row[Any], doc_id: str, text: str) -> Chunk:
    """A Chunk of a row of ``chunks``."""
    return _chunk(row, row.chunk_id, doc_id, text, row.parent_id)


def _chunk(row: Row[Any], chunk_id: str, doc_id: str, text: str, parent_id: str | None = None) -> Chunk:
    return Chunk(
        chunk_id=chunk_id,
        doc_id=doc_id,
        text=text,
        start=row.start,
        end=row.end,
        n_tokens=row.n_tokens,
        page=row.page,
        heading_path=tuple(row.heading_path),
        parent_id=parent_id,
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


def as_document(row: Row[Any], text: str) -> Document:
    """A Document of a row of ``documents`` with its collection's name."""
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


def touched(pages: Sequence[Sequence[int]], start: int, end: int) -> tuple[PageSpan, ...]:
    """The stored pages ([number, start, end], in order) that the range [start, end) of the text touches."""
    first = bisect_right(pages, start, key=lambda p: p[2])  # the first page that ends after ``start``
    found = []
    for number, page_start, page_end in pages[first:]:
        if page_start >= end:
            break
        found.append(PageSpan(number=number, start=page_start, end=page_end))
    return tuple(found)
