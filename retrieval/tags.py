"""Tags that people give to documents, beside those that a document brings along. SQL owner of ``document_tags``.

They belong to the document's id, so they stay when its bytes are replaced or it is made anew, and go when it is deleted. All who
may read a document see them; its editors change them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, insert, select

from core.errors import InvalidRequest
from core.types import Principal
from retrieval.access import require_role
from retrieval.projection import current_change, next_change
from retrieval.reading import visible_document
from retrieval.records import Change
from retrieval.tables import document_tags

MAX_TAGS = 50
MAX_TAG_CHARACTERS = 60
_BATCH = 500  # ids in one statement


def checked_tags(tags: Iterable[str]) -> list[str]:
    """In small letters, each once, in order, without what surrounds them. Raises InvalidRequest for one that is none."""
    found = sorted({" ".join(tag.split()).casefold() for tag in tags})
    for tag in found:
        if not tag or len(tag) > MAX_TAG_CHARACTERS or not tag.isprintable() or set(tag) & set(",;"):
            raise InvalidRequest(
                f"{tag[:80]!r} is no tag: use 1 to {MAX_TAG_CHARACTERS} printable characters without comma and semicolon",
                code="bad-tag",
            )
    if len(found) > MAX_TAGS:
        raise InvalidRequest(
            f"{len(found)} tags are too many for one document: give it {MAX_TAGS} at most", code="bad-tag"
        )
    return found


def set_tags(
    connection: Connection, principal: Principal, doc_id: str, tags: Iterable[str]
) -> tuple[list[str], Change]:
    """Gives a document these tags in place of those that people gave it before; returns them as they are kept.

    What a search narrowed by tags finds changes although no document does, so it is a change like others: which documents
    a filter lets through is remembered until there is a newer one. The same tags again change nothing.

    Raises:
        NotFound: no such document for this principal.
        Forbidden: the principal may only read it.
        InvalidRequest: see ``checked_tags``.
    """
    kept = checked_tags(tags)
    document = visible_document(connection, principal, doc_id)
    collection_id = require_role(connection, principal, document.collection, ("owner", "editor"), attached=True)
    if kept == given_tags(connection, [doc_id]).get(doc_id, []):
        return kept, Change(number=current_change(connection), kind="none")
    connection.execute(delete(document_tags).where(document_tags.c.doc_id == doc_id))
    if kept:
        rows = [{"collection_id": collection_id, "doc_id": doc_id, "tag": tag} for tag in kept]
        connection.execute(insert(document_tags), rows)
    return kept, Change(number=next_change(connection, "tags", doc_id), kind="tags")


def given_tags(connection: Connection, doc_ids: Sequence[str]) -> dict[str, list[str]]:
    """Document → the tags that people gave it, in order; those without are left out. Asks nobody's rights."""
    found: dict[str, list[str]] = {}
    for first in range(0, len(doc_ids), _BATCH):
        some = list(doc_ids[first : first + _BATCH])
        query = select(document_tags).where(document_tags.c.doc_id.in_(some)).order_by(document_tags.c.tag)
        for row in connection.execute(query):
            found.setdefault(row.doc_id, []).append(row.tag)
    return found
