"""Near-duplicates: documents whose texts are nearly the same, as far as the asking person may read them.

Nothing is kept about pairs: a document that is deleted is nobody's near-duplicate in that moment, and a right that is
taken away takes its documents out of what is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from core.types import Principal
from retrieval.access import may_read
from retrieval.document_rows import as_info
from retrieval.reading import visible_document
from retrieval.records import DocumentInfo
from retrieval.signature import NEAR, Signature, band_keys, from_bytes, similarity, to_bytes
from retrieval.tables import collections, documents, signature_bands, signatures

MOST = 200  # candidates looked at: a form letter may have thousands of near-duplicates
_LOOKED_UP = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class NearDuplicate:
    """``similarity`` is estimated, in [``NEAR``, 1]; 1 is the same words in the same order, with any signs between."""

    document: DocumentInfo
    similarity: float


def insert_signature(connection: Connection, doc_number: int, signature: Signature) -> None:
    connection.execute(insert(signatures).values(doc_number=doc_number, signature=to_bytes(signature)))
    keys = sorted(set(band_keys(signature)))
    connection.execute(insert(signature_bands), [{"doc_number": doc_number, "key": key} for key in keys])


def near_duplicates(connection: Connection, principal: Principal, doc_id: str) -> list[NearDuplicate]:
    """The near-duplicates of a document that this principal may read, in any collection that stands by itself, the most
    alike first.

    At most ``MOST`` candidates are looked at.

    Raises:
        NotFound: no such document for this principal.
    """
    number = visible_document(connection, principal, doc_id).doc_number
    alike = _alike(connection, principal, number)
    query = (
        select(documents, collections.c.name.label("collection"))
        .join(collections, collections.c.collection_id == documents.c.collection_id)
        .where(documents.c.doc_number.in_(list(alike)))
    )
    found = [NearDuplicate(document=as_info(r), similarity=alike[r.doc_number]) for r in connection.execute(query)]
    return sorted(found, key=lambda n: (-n.similarity, n.document.collection, n.document.uri))


def count_near(connection: Connection, principal: Principal, doc_ids: Sequence[str]) -> dict[str, int]:
    """How many near-duplicates each of these documents has that the principal may read; ``MOST`` are counted."""
    query = select(documents.c.doc_id, documents.c.doc_number).where(
        documents.c.doc_id.in_(list(doc_ids)), documents.c.edition_id.is_(None)
    )
    return {doc_id: len(_alike(connection, principal, number)) for doc_id, number in connection.execute(query)}


def _alike(connection: Connection, principal: Principal, number: int) -> dict[int, float]:
    """Numbers of other documents with how alike they are."""
    own = read_signatures(connection, [number]).get(number)
    if own is None:
        return {}
    candidates = (
        select(signature_bands.c.doc_number)
        .join(documents, documents.c.doc_number == signature_bands.c.doc_number)
        .join(collections, collections.c.collection_id == documents.c.collection_id)
        .where(
            signature_bands.c.key.in_(band_keys(own)),
            signature_bands.c.doc_number != number,
            documents.c.edition_id.is_(None),
            may_read(principal),
            collections.c.attached_to.is_(None),
        )
        .distinct()
        .limit(MOST)
    )
    others = read_signatures(connection, connection.scalars(candidates).all())
    alike = {n: similarity(own, other) for n, other in others.items()}
    return {n: value for n, value in alike.items() if value >= NEAR}


def read_signatures(connection: Connection, doc_numbers: Sequence[int]) -> Mapping[int, Signature]:
    """Those that are stored."""
    found: dict[int, Signature] = {}
    for at in range(0, len(doc_numbers), _LOOKED_UP):
        query = select(signatures).where(signatures.c.doc_number.in_(list(doc_numbers[at : at + _LOOKED_UP])))
        found.update((row.doc_number, from_bytes(row.signature)) for row in connection.execute(query))
    return found
