"""How large the documents of a collection are, and how each was made: what an estimate goes by."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from retrieval.tables import collections, documents


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSize:
    doc_id: str
    characters: int
    chunks: int
    encoder_revision: str
    chunker_version: str


def sizes_of(connection: Connection, collection: str) -> list[DocumentSize]:
    """Of every document of a collection that is searched, whosesoever it is."""
    query = (
        select(
            documents.c.doc_id,
            documents.c.n_characters.label("characters"),
            documents.c.n_chunks.label("chunks"),
            documents.c.encoder_revision,
            documents.c.chunker_version,
        )
        .join(collections, collections.c.collection_id == documents.c.collection_id)
        .where(collections.c.name == collection, documents.c.edition_id.is_(None))
    )
    return [DocumentSize(**row._mapping) for row in connection.execute(query)]
