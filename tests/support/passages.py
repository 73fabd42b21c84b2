"""A retriever over a list of passages, by shared words: small enough to foresee what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.lexical import terms
from core.errors import InvalidRequest
from core.ids import chunk_id
from core.types import Chunk, Hit, Principal, StagePart, Where

EVERYTHING = Where(principal=Principal(user_id="local"))


@dataclass(frozen=True)
class StoredText:
    """A document as stored, and where its passages lie: (start, end)."""

    doc_id: str
    title: str
    text: str
    cuts: tuple[tuple[int, int], ...] = ()
    uri: str = ""
    collection: str = "test"

    def chunks(self) -> list[Chunk]:
        cuts = self.cuts or ((0, len(self.text)),)
        return [
            Chunk(
                chunk_id=chunk_id(self.doc_id, "0" * 64, "test", a, b, "test"),
                doc_id=self.doc_id,
                text=self.text[a:b],
                start=a,
                end=b,
                n_tokens=len(self.text[a:b].split()),
                page=n,
            )
            for n, (a, b) in enumerate(cuts, 1)
        ]


class PassageRetriever:
    """A ``core.protocols.Retriever``: score is the number of shared terms, ties in the order given."""

    def __init__(self, documents: Sequence[StoredText]) -> None:
        self.documents = {d.doc_id: d for d in documents}
        self.queries: list[str] = []
        self.asked_as: list[Where] = []

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        if not query.strip() or k < 1:
            raise InvalidRequest("an empty query or no k")
        self.queries.append(query)
        self.asked_as.append(where)
        wanted = set(terms(query))
        scored = [
            (len(wanted & set(terms(f"{d.title} {c.text}"))), d, c) for d in self.documents.values() for c in d.chunks()
        ]
        best = sorted((s for s in scored if s[0] > 0), key=lambda s: -s[0])[:k]
        return [
            Hit(
                chunk=chunk,
                title=document.title,
                collection=document.collection,
                score=float(score),
                rank=rank,
                source="words",
                parts={"words": StagePart(rank=rank, score=float(score))},
                uri=document.uri,
            )
            for rank, (score, document, chunk) in enumerate(best, 1)
        ]

    def stored(self, doc_id: str, start: int, end: int) -> str:
        return self.documents[doc_id].text[start:end]
