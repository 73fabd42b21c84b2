"""Traces: which runs there were, what one did, again and otherwise, and as spans."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from app.api.guard import PrincipalHere, ServicesHere
from app.replaying import Changes, replay_within
from app.shapes import trace_line_json
from app.spans import jsonl, otlp
from app.trace_diff import differences
from app.traces import TraceFilter
from core.errors import NotFound

router = APIRouter(prefix="/v1/traces", tags=["traces"])


class ReplayRequest(BaseModel):
    """What is to be otherwise; nothing is: the same again, from the recording alone."""

    model_config = ConfigDict(extra="forbid")

    question: str | None = Field(None, min_length=1)
    strategy: str | None = None
    said: dict[int, str] = Field({}, description="what the model is taken to have said in its n-th call, from 1")


@router.get("")
async def list_traces(
    services: ServicesHere,
    principal: PrincipalHere,
    strategy: str | None = None,
    chat: Annotated[
        str | None, Query(description="only runs of this conversation, those of its other versions too")
    ] = None,
    since: Annotated[datetime | None, Query(description="ended then or later")] = None,
    until: Annotated[datetime | None, Query(description="ended before")] = None,
    q: Annotated[str, Query(max_length=200, description="words that the question must all have")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """One page of your runs, the last first, with the conversation that each belongs to; ``next_cursor`` is null on the last."""

    def read() -> dict[str, Any]:
        of_chat = None if chat is None else services.chats.runs_of(principal, chat)
        which = TraceFilter(strategy=strategy, since=since, until=until, words=q, run_ids=of_chat)
        found, following = services.traces.list_traces(principal, which, limit, cursor)
        told = services.chats.told_by(principal, [line.run_id for line in found])
        return {
            "traces": [trace_line_json(line, told.get(line.run_id)) for line in found],
            "next_cursor": following,
            "strategies": services.traces.strategies(principal),
        }

    return await services.offload(read)


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


@router.get("/{run_id}/diff")
async def diff_traces(
    run_id: str,
    services: ServicesHere,
    principal: PrincipalHere,
    other: Annotated[str, Query(description="the run that this one is compared with")],
) -> dict[str, Any]:
    """What another run did differently; times are no difference."""
    was = await services.offload(services.traces.get, principal, run_id)
    now = await services.offload(services.traces.get, principal, other)
    return {"run_a": run_id, "run_b": other, "differences": differences(was, now)}


@router.delete("/{run_id}", status_code=204)
async def delete_trace(run_id: str, services: ServicesHere, principal: PrincipalHere) -> Response:
    """Forgets what the run asked and heard. An answer in a conversation stays, without its steps."""

    def delete() -> None:
        with services.database.write() as connection:
            if not services.traces.delete(connection, principal, [run_id]):
                raise NotFound(f"no run {run_id!r}", code="unknown-run")

    await services.offload(delete)
    return Response(status_code=204)


@router.post("/{run_id}/replay")
async def replay_trace(
    run_id: str, services: ServicesHere, principal: PrincipalHere, body: ReplayRequest | None = None
) -> dict[str, Any]:
    """Runs it again from what models and searches said then, and says what came out otherwise. Nothing is stored."""
    recorded = await services.offload(services.traces.get, principal, run_id)
    wanted = body or ReplayRequest()
    changes = Changes(question=wanted.question, strategy=wanted.strategy, said=wanted.said)
    return await replay_within(services, principal, recorded, changes, services.settings.max_seconds + 60)
