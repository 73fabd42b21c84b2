"""A document's text in blocks, so that reading a passage costs the same in a page and in a million pages.

Offsets are code points; the blocks are cut by them, so a slice never decodes more than it touches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Select, bindparam, insert, select

from core.errors import InvalidRequest, NotFound
from retrieval.tables import TEXT_BLOCK, chunks, fingerprints, parents, texts


def check_storable(text: str) -> None:
    """Raises InvalidRequest where ``text`` is not Unicode that can be stored: a surrogate without its partner."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as e:
        raise InvalidRequest(
            f"the text has half of a surrogate pair at code point {e.start}: replace it (U+FFFD) when parsing"
        ) from e


def write_text(connection: Connection, doc_number: int, text: str) -> None:
    blocks = [
        {"doc_number": doc_number, "block": n, "text": text[at : at + TEXT_BLOCK]}
        for n, at in enumerate(range(0, len(text), TEXT_BLOCK))
    ]
    if blocks:
        connection.execute(insert(texts), blocks)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    connection.execute(insert(fingerprints).values(doc_number=doc_number, text_sha256=digest))


def read_texts(connection: Connection, doc_numbers: Sequence[int]) -> dict[int, str]:
    """The whole text of each document; one without text is "" ."""
    pieces: dict[int, list[str]] = {number: [] for number in doc_numbers}
    query = select(texts.c.doc_number, texts.c.text).where(texts.c.doc_number.in_(doc_numbers))
    for number, text in connection.execute(query.order_by(texts.c.doc_number, texts.c.block)):
        pieces[number].append(text)
    return {number: "".join(parts) for number, parts in pieces.items()}


def read_slice(connection: Connection, doc_number: int, start: int, end: int) -> str:
    """Code points [start, end) of a document; less where the document ends before."""
    first, last = start // TEXT_BLOCK, max(end - 1, start) // TEXT_BLOCK
    query = select(texts.c.text).where(texts.c.doc_number == doc_number, texts.c.block.between(first, last))
    joined = "".join(connection.scalars(query.order_by(texts.c.block)))
    return joined[start - first * TEXT_BLOCK : end - first * TEXT_BLOCK]


def _texts_of(key: Column[Any]) -> Select[Any]:
    """(key, block of text) of the passages in ``key``'s table whose keys are given as ``keys``."""
    passages = key.table
    return (
        select(key, texts.c.text)
        .join(texts, texts.c.doc_number == passages.c.doc_number)
        .where(
            key.in_(bindparam("keys", expanding=True)),
            texts.c.block.between(passages.c.start // TEXT_BLOCK, (passages.c.end - 1) // TEXT_BLOCK),
        )
        .order_by(key, texts.c.block)
    )


_CHUNK_TEXTS = _texts_of(chunks.c.row_id)
_PARENT_TEXTS = _texts_of(parents.c.parent_id).where(parents.c.doc_number.in_(bindparam("numbers", expanding=True)))
_Key = TypeVar("_Key", int, str)


def read_chunk_texts(connection: Connection, rows: Iterable[tuple[int, int, int]]) -> dict[int, str]:
    """The text of chunks given as (row_id, start, end), in one query.

    Raises:
        NotFound: a row is not there (any more).
    """
    return _assembled(connection, _CHUNK_TEXTS, {row: (start, end) for row, start, end in rows})


def read_parent_texts(
    connection: Connection, parents_: Iterable[tuple[str, int, int]], doc_numbers: Sequence[int]
) -> dict[str, str]:
    """The same of parents, given as (parent_id, start, end), of these documents, no two of which are one document's."""
    spans = {key: (start, end) for key, start, end in parents_}
    return _assembled(connection, _PARENT_TEXTS, spans, numbers=list(doc_numbers))


def _assembled(
    connection: Connection, query: Select[Any], spans: Mapping[_Key, tuple[int, int]], **bound: Any
) -> dict[_Key, str]:
    pieces: dict[_Key, list[str]] = {key: [] for key in spans}
    for key, text in connection.execute(query, {"keys": list(spans), **bound}):
        pieces[key].append(text)
    found = {}
    for key, (start, end) in spans.items():
        first = start // TEXT_BLOCK * TEXT_BLOCK
        found[key] = "".join(pieces[key])[start - first : end - first]
        if len(found[key]) != end - start:
            raise NotFound(f"the text of passage {key} is not stored")
    return found
