"""Kits for looping strategies over a few passages and a scripted model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agents.desk import Kit
from agents.query_side import QuerySide
from agents.rag import RagStrategy
from agents.verify import RuleVerifier
from core.offload import Offload
from core.protocols import LanguageModel
from core.types import Hit, Where
from tests.support.passages import PassageRetriever


class PassageShelf:
    """An ``agents.tools.library.Library`` over the documents of a ``PassageRetriever``."""

    def __init__(self, retriever: PassageRetriever) -> None:
        self._retriever = retriever

    def passages(self, doc_id: str, where: Where) -> Sequence[Hit]:
        self._retriever.asked_as.append(where)
        document = self._retriever.documents.get(doc_id)
        if document is None:
            return ()
        return [
            Hit(chunk=c, title=document.title, collection="test", score=0.0, rank=n, source="document")
            for n, c in enumerate(document.chunks(), 1)
        ]


def kit_of(library: PassageRetriever, lm: LanguageModel, offload: Offload, **changes: object) -> Kit:
    verifier = RuleVerifier()
    side = QuerySide(rewrite="off")
    reader = RagStrategy(retriever=library, lm=lm, verifier=verifier, offload=offload, query_side=side)
    kit = Kit(
        lm=lm,
        retriever=library,
        library=PassageShelf(library),
        verifier=verifier,
        offload=offload,
        reader=reader,
        query_side=side,
    )
    return replace(kit, **changes)  # type: ignore[arg-type]
