"""Who searches for a request: the engine's retriever, reranked where that is wanted. Part of the wiring."""

from __future__ import annotations

from typing import Literal

from app.services import Services
from app.wiring import wanted_reranker
from core.errors import ModelUnavailable
from core.protocols import Retriever
from retrieval.rerank.retriever import RerankingRetriever
from retrieval.sparse_kinds import SparseName


def retriever_for(
    services: Services,
    name: str | None = None,
    *,
    sparse: SparseName | None = None,
    dense: Literal["auto", "exact", "hnsw"] | None = None,
    fusion: Literal["convex", "rrf"] | None = None,
    rerank: bool | None = None,
    collapse: bool | None = None,
) -> Retriever:
    """A retriever; whatever is None is as the settings say.

    Where only the settings want reranking and the reranker could not be loaded, searches go on without it: /ready says
    so, and hits name the stage that they come from.

    Raises:
        InvalidRequest: there is no such retriever.
        ModelUnavailable: this request asks for reranking, and the reranker could not be loaded.
        NotReady: the indexes are still loading.
    """
    found = services.engine.retriever(name, sparse=sparse, dense=dense, fusion=fusion, collapse=collapse)
    if wanted_reranker(services.settings, rerank) == "none":
        return found
    reranker = services.models.reranker
    if reranker is not None:
        return RerankingRetriever(found, reranker, services.settings.rerank_depth)
    if rerank:
        part = services.loading.get("reranker")
        why = part.detail if part is not None and part.detail else "it is not loaded"
        raise ModelUnavailable(f"there is no reranker: {why}", code="no-reranker")
    return found
