"""Searching: the hit list by itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.api.guard import PrincipalHere, ServicesHere
from app.shapes import correction_json, hit_json
from core.errors import InvalidRequest
from core.types import Where

router = APIRouter(prefix="/v1", tags=["search"])

Collections = Annotated[list[str], Field(examples=[["filings"]], description="empty: all that you may read")]


class SearchRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    query: str = Field(examples=["net sales in the third quarter"])
    collections: Collections = []
    k: int = Field(10, ge=1, le=1000)
    retriever: Literal["bm25", "tfidf", "dense", "late", "hybrid"] | None = None
    sparse: Literal["tantivy", "rank-bm25", "reference"] | None = None
    dense: Literal["auto", "exact", "hnsw"] | None = None
    fusion: Literal["convex", "rrf"] | None = None
    rerank: bool | None = None
    filters: dict[str, list[str]] = Field({}, examples=[{"mime_type": ["application/pdf"]}])
    explain: bool = False
    collapse_duplicates: bool | None = Field(None, description="null: as the settings say")


@router.post("/search")
async def search(body: SearchRequest, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    if body.rerank:
        raise InvalidRequest("there is no reranker in this version: leave 'rerank' out", code="no-reranker")
    if len(body.query) > services.settings.max_question_characters:
        raise InvalidRequest(
            f"the query has {len(body.query):,} characters and may have {services.settings.max_question_characters:,}",
            code="query-too-long",
        )
    where = Where(
        principal=principal,
        collections=tuple(body.collections),
        filters={field: tuple(values) for field, values in body.filters.items()},
    )
    retriever = services.engine.retriever(
        body.retriever or services.settings.retriever,
        sparse=body.sparse,
        dense=body.dense,
        fusion=body.fusion,
        collapse=body.collapse_duplicates,
    )
    hits = await services.offload(retriever.search, body.query, body.k, where)
    correction = await services.offload(services.engine.did_you_mean, body.query, where)
    return {"hits": [hit_json(h) for h in hits], "did_you_mean": correction and correction_json(correction)}
