"""Traces: what a run did, again and otherwise, and as spans."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from app.api.guard import PrincipalHere, ServicesHere
from app.replaying import Changes, replay_within
from app.spans import jsonl, otlp

router = APIRouter(prefix="/v1/traces", tags=["traces"])


class ReplayRequest(BaseModel):
    """What is to be otherwise; nothing is: the same again, from the recording alone."""

    model_config = ConfigDict(extra="forbid")

    question: str | None = Field(None, min_length=1)
    strategy: str | None = None
    said: dict[int, str] = Field({}, description="what the model is taken to have said in its n-th call, from 1")


@router.get("/{run_id}")
async def get_trace(
    run_id: str,
    services: ServicesHere,
    principal: PrincipalHere,
    form: Literal["json", "jsonl", "otlp"] = "json",
) -> Response:
    """Every step of a run with what it asked and heard; as JSON lines, or as OpenTelemetry spans in OTLP/JSON."""
    trace = await services.offload(services.traces.get, principal, run_id)
    match form:
        case "jsonl":
            return PlainTextResponse(jsonl(trace), media_type="application/x-ndjson")
        case "otlp":
            return JSONResponse(otlp(trace, await services.offload(services.traces.created_at, principal, run_id)))
        case _:
            return JSONResponse(trace)


@router.post("/{run_id}/replay")
async def replay_trace(
    run_id: str, services: ServicesHere, principal: PrincipalHere, body: ReplayRequest | None = None
) -> dict[str, Any]:
    """Runs it again from what models and searches said then, and says what came out otherwise. Nothing is stored."""
    recorded = await services.offload(services.traces.get, principal, run_id)
    wanted = body or ReplayRequest()
    changes = Changes(question=wanted.question, strategy=wanted.strategy, said=wanted.said)
    return await replay_within(services, principal, recorded, changes, services.settings.max_seconds + 60)
