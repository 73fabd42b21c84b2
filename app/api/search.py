"""Searching: the hit list by itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.api.guard import PrincipalHere, ServicesHere
from app.query_sides import QueryOptions, planned_search
from app.searching import retriever_for
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
    rerank: bool | None = Field(
        None, description="null: as the settings say; true where they name no reranker: late interaction"
    )
    filters: dict[str, list[str]] = Field({}, examples=[{"mime_type": ["application/pdf"]}])
    explain: bool = False
    collapse_duplicates: bool | None = Field(None, description="null: as the settings say")
    hyde: bool | None = Field(None, description="search near imagined answers; null: as the settings say")
    decompose: bool | None = Field(None, description="search for the query's parts; null: as the settings say")


@router.post("/search")
async def search(body: SearchRequest, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
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
    retriever = retriever_for(
        services,
        body.retriever,
        sparse=body.sparse,
        dense=body.dense,
        fusion=body.fusion,
        rerank=body.rerank,
        collapse=body.collapse_duplicates,
    )
    options = QueryOptions(hyde=body.hyde, decompose=body.decompose)
    planned, said = await planned_search(services, principal, body.query, retriever, options)
    hits = await services.offload(planned.search, body.query, body.k, where)
    correction = await services.offload(services.engine.did_you_mean, body.query, where)
    return {
        "hits": [hit_json(h) for h in hits],
        "did_you_mean": correction and correction_json(correction),
    } | ({"plan": said} if said else {})
