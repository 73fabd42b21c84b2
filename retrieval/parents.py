"""Parents: the larger passages that are read where one of their children is found.

They are rows beside the chunks, not chunks: no index knows them, no count has them, and they go with their document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, exists, insert, select

from core.errors import NotFound
from core.types import Chunk
from retrieval.document_rows import as_parent, place
from retrieval.tables import chunks, parents
from retrieval.texts import read_parent_texts

_LOOKED_UP = 8192  # values per query; SQLite takes 32,766 in one

_PARENT_IDS = select(chunks.c.row_id, chunks.c.parent_id).where(
    chunks.c.row_id.in_(bindparam("rows", expanding=True)), chunks.c.parent_id.is_not(None)
)


def insert_parents(connection: Connection, doc_number: int, parents_: Sequence[Chunk]) -> None:
    if parents_:
        connection.execute(insert(parents), [{"parent_id": p.chunk_id, **place(doc_number, p)} for p in parents_])


def any_parents(connection: Connection) -> bool:
    """Whether any passage, whosesoever, is read in another's place: only then does a search look for them."""
    return bool(connection.execute(select(exists().where(parents.c.doc_number.is_not(None)))).scalar_one())


def parent_ids(connection: Connection, rows: Sequence[int]) -> dict[int, str]:
    """Row → id of what is read in its place, of those rows that have a parent."""
    found: dict[int, str] = {}
    for at in range(0, len(rows), _LOOKED_UP):
        some = {"rows": list(rows[at : at + _LOOKED_UP])}
        found.update((row, parent_id) for row, parent_id in connection.execute(_PARENT_IDS, some))
    return found


def read_parents(connection: Connection, of: Mapping[str, tuple[int, str]]) -> dict[str, Chunk]:
    """Parents by their ids.

    Args:
        of: number and id of the document that each parent is of (another edition of it may have the same parent).

    Raises:
        NotFound: one of them is not stored.
    """
    if not of:
        return {}
    numbers = list({number for number, _ in of.values()})
    query = select(parents).where(parents.c.doc_number.in_(numbers), parents.c.parent_id.in_(list(of)))
    found = [p for p in connection.execute(query) if p.doc_number == of[p.parent_id][0]]
    missing = set(of) - {p.parent_id for p in found}
    if missing:
        raise NotFound(f"passage {min(missing)} is not stored: ingest its document again")
    texts_ = read_parent_texts(connection, [(p.parent_id, p.start, p.end) for p in found], numbers)
    return {p.parent_id: as_parent(p, of[p.parent_id][1], texts_[p.parent_id]) for p in found}


def parents_of_document(connection: Connection, doc_number: int, doc_id: str, text: str) -> list[Chunk]:
    """All parents of a document with this ``text``, in reading order."""
    query = select(parents).where(parents.c.doc_number == doc_number).order_by(parents.c.start)
    return [as_parent(p, doc_id, text[p.start : p.end]) for p in connection.execute(query)]
