"""Searching: the hit list by itself."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from app.api.guard import PrincipalHere, ServicesHere
from app.query_sides import QueryOptions, planned_search
from app.retrievers import reranker_for
from app.search_shapes import found_json
from app.searching import SearchChoices
from app.shapes import correction_json
from core.errors import InvalidRequest
from core.types import Where

router = APIRouter(prefix="/v1", tags=["search"])

Collections = Annotated[list[str], Field(examples=[["filings"]], description="empty: all that you may read")]


class DateRange(BaseModel):
    """Both ends are included; a year or a month is all of it."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    first: str | None = Field(None, alias="from", examples=["2024"])
    last: str | None = Field(None, alias="to", examples=["2024-06-30"])


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
        None,
        description="null: as the settings say, and not where another retriever than hybrid is named; true where they name no "
        "reranker: late interaction",
    )
    filters: dict[str, str | list[str] | DateRange] = Field(
        {}, examples=[{"type": ["pdf"], "language": "en", "path": "reports/", "date": {"from": "2024", "to": "2025"}}]
    )
    explain: bool = Field(False, description="adds where the scores come from, and what was nearly found")
    collapse_duplicates: bool | None = Field(None, description="null: as the settings say; so for those below")
    max_per_document: int | None = Field(None, ge=0, le=1000, description="hits of one document; 0: no bound")
    mmr_lambda: float | None = Field(None, ge=0, le=1, description="maximal marginal relevance; 1: off")
    highlight: Literal["off", "words", "tokens"] | None = None
    hyde: bool | None = Field(None, description="search near imagined answers; null: as the settings say")
    decompose: bool | None = Field(None, description="search for the query's parts; null: as the settings say")


@router.post("/search")
async def search(body: SearchRequest, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    if len(body.query) > services.settings.max_question_characters:
        raise InvalidRequest(
            f"the query has {len(body.query):,} characters and may have {services.settings.max_question_characters:,}",
            code="query-too-long",
        )
    where = Where(principal=principal, collections=tuple(body.collections), filters=_flat(body.filters))
    choices = SearchChoices(
        retriever=body.retriever,
        sparse=body.sparse,
        dense=body.dense,
        fusion=body.fusion,
        collapse_duplicates=body.collapse_duplicates,
        max_per_document=body.max_per_document,
        mmr_lambda=body.mmr_lambda,
        highlight=body.highlight,
        explain=body.explain,
    )
    options = QueryOptions(hyde=body.hyde, decompose=body.decompose)
    plan, said = await planned_search(services, principal, body.query, options, body.collections)
    async with services.searches.turn(principal.user_id):
        began_ns = time.time_ns()
        found, cached = await services.offload(
            services.searching.search,
            services.engine,
            body.query,
            body.k,
            where,
            replace(choices, plan=plan),
            reranker_for(services, body.rerank, body.retriever),
        )
        services.telemetry.searched(
            found.stages, len(found.hits), cached=cached, began_ns=began_ns, seconds=found.seconds
        )
        correction = await services.offload(services.engine.did_you_mean, body.query, where)
    return {
        **found_json(
            found, cached=cached, counts=services.searching.counts() if services.settings.identity == "none" else None
        ),
        "did_you_mean": correction and correction_json(correction),
        **({"plan": said} if said else {}),
    }


@router.get("/search/facets")
async def facets(
    services: ServicesHere, principal: PrincipalHere, collection: Annotated[list[str] | None, Query()] = None
) -> dict[str, Any]:
    """What the documents of these collections can be filtered by: types, languages, tags with their numbers of documents."""
    found = await services.offload(services.store.facets, principal, collection or [])
    days = sorted(found.pop("date"))
    return {**found, "date": {"from": days[0], "to": days[-1]} if days else None}


def _flat(filters: dict[str, str | list[str] | DateRange]) -> dict[str, tuple[str, ...]]:
    """A range becomes one filter for each of its ends."""
    flat: dict[str, tuple[str, ...]] = {}
    for field, value in filters.items():
        match value:
            case DateRange():
                ends = {f"{field}.from": value.first, f"{field}.to": value.last}
                flat.update({name: (end,) for name, end in ends.items() if end is not None})
            case str():
                flat[field] = (value,)
            case _:
                flat[field] = tuple(value)
    return flat
