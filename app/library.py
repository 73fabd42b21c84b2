"""Whole documents for the tools of a run: the database's own text, as far as who asks may read it. Part of the wiring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import NotFound
from core.types import Chunk, Hit, Where
from retrieval.document_rows import touched
from retrieval.store import Store


@dataclass(frozen=True, slots=True)
class StoreLibrary:
    """An ``agents.tools.library.Library``."""

    store: Store

    def passages(self, doc_id: str, where: Where) -> Sequence[Hit]:
        """What is read of a document, in reading order; nothing of one that ``where`` does not let through."""
        try:
            document = self.store.get_document(where.principal, doc_id)
            chunks = self.store.list_parents(where.principal, doc_id) or self.store.list_chunks(where.principal, doc_id)
        except NotFound:
            return ()
        # Also where all are meant: what is attached to something else is not among them.
        if document.collection not in self.store.readable_collections(
            where.principal, where.collections, attached=True
        ):
            return ()
        if where.filters and doc_id in self.store.failing_filters([doc_id], where.filters):
            return ()
        return hits_of(
            document.title,
            document.collection,
            chunks,
            [(p.number, p.start, p.end) for p in document.pages],
            document.uri,
        )


def hits_of(
    title: str, collection: str, chunks: Sequence[Chunk], pages: Sequence[tuple[int, int, int]] = (), uri: str = ""
) -> list[Hit]:
    """The chunks of one document as hits of nobody's search."""
    return [
        Hit(
            chunk=chunk,
            title=title,
            collection=collection,
            score=0.0,
            rank=rank,
            source="document",
            pages=touched(pages, chunk.start, chunk.end),
            uri=uri,
        )
        for rank, chunk in enumerate(chunks, start=1)
    ]


@dataclass(frozen=True, slots=True)
class PassageLibrary:
    """The same over passages in memory, as evaluations index them."""

    chunks: Sequence[Chunk]
    titles: Sequence[str]
    collection: str

    def passages(self, doc_id: str, where: Where) -> Sequence[Hit]:
        if "doc_id" in where.filters and doc_id not in where.filters["doc_id"]:
            return ()
        own = [(c, t) for c, t in zip(self.chunks, self.titles, strict=True) if c.doc_id == doc_id]
        return hits_of(own[0][1], self.collection, [c for c, _ in own]) if own else ()
