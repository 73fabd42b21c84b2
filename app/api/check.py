"""Checking a claim: supported, refuted or not enough, with the passages."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.api.guard import PrincipalHere, ServicesHere
from app.api.search import Collections
from app.asking import check_collections
from app.checking import build_checker, checked_json
from core.errors import InvalidRequest
from core.types import Where

router = APIRouter(prefix="/v1", tags=["check"])


class CheckRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    claim: str = Field(examples=["Net sales grew by 12 percent in 2023."])
    collections: Collections = []
    filters: dict[str, list[str]] = {}


@router.post("/check")
async def check(body: CheckRequest, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """`verdict` is "supported", "refuted" or "not enough". Each passage says in its own `verdict` what it alone says to
    the sentence; `conflicts` says where sources disagree. Offsets of `sentences` are into the claim."""
    most = services.settings.max_question_characters
    if len(body.claim) > most:
        raise InvalidRequest(
            f"the claim has {len(body.claim):,} characters and may have {most:,}: check it in parts",
            code="claim-too-long",
        )
    where = Where(
        principal=principal,
        collections=tuple(body.collections),
        filters={field: tuple(values) for field, values in body.filters.items()},
    )
    checker = build_checker(services, principal)

    def work() -> dict[str, Any]:
        check_collections(services, principal, where.collections)
        began = time.perf_counter()
        checked = checker.check(body.claim, where)
        return checked_json(checked, time.perf_counter() - began)

    async with services.checks.turn(principal.user_id):
        return await services.offload(work)
