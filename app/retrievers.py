"""Which retriever answers: the engine's, reranked where that is wanted, bounded per document. Part of the wiring."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from app.wiring import wanted_reranker
from core.errors import ModelUnavailable
from core.protocols import Retriever
from retrieval.rerank.mixing import MixingReranker
from retrieval.rerank.retriever import RerankingRetriever

if TYPE_CHECKING:
    from app.services import Services

logger = logging.getLogger(__name__)


def reranker_for(services: Services, rerank: bool | None = None, retriever: str | None = None) -> MixingReranker | None:
    """The reranker of one search; None where none is wanted.

    Where only the settings want reranking and the reranker could not be loaded, searches go on without it: /ready says
    so, and hits name the stage that they come from. It reads no more than the settings allow of candidates that have no
    token vectors yet; a request that asks for reranking waits for all of them.

    Raises:
        ModelUnavailable: this request asks for reranking, and the reranker could not be loaded.
    """
    if wanted_reranker(services.settings, rerank, retriever) == "none":
        return None
    reranker = services.models.reranker
    if reranker is None and rerank:
        part = services.loading.get("reranker")
        why = part.detail if part is not None and part.detail else "it is not loaded"
        raise ModelUnavailable(f"there is no reranker: {why}", code="no-reranker")
    if reranker is None or rerank:
        return reranker
    return reranker.within(services.settings.rerank_unread_tokens)


def retriever_for(services: Services) -> Retriever:
    """What strategies search with: all as the settings say.

    Raises:
        NotReady: the indexes are still loading.
    """
    found, reranker = services.engine.retriever(), reranker_for(services)
    if reranker is None:
        return found
    return RerankingRetriever(found, reranker, services.settings.rerank_depth, tell=logger.info)
