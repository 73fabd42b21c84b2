"""Asking: a question becomes a checked answer, whole or as it is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Literal, Protocol

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from app.api.guard import PrincipalHere, ServicesHere
from app.api.problem import problem, status_of
from app.api.search import Collections
from app.api.sse import EventStream, event_bytes
from app.asking import begin
from app.query_sides import QueryOptions
from app.runs import Hook, Run
from app.services import Services
from app.shapes import answer_json, event_json, trace_json
from core.errors import InvalidRequest, error_of
from core.events import RunDone, RunFailed
from core.types import Limits, Message, Principal

router = APIRouter(prefix="/v1", tags=["ask"])

DISCONNECT_LOOK_S = 0.5


class Turn(BaseModel):
    role: Literal["user", "assistant"]
    content: str


class RunLimits(BaseModel):
    """Bounds of this run, within those of the server."""

    model_config = ConfigDict(extra="forbid")

    max_steps: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    max_seconds: float | None = Field(None, gt=0)
    max_tool_calls: int | None = Field(None, ge=0)
    max_cost: float | None = Field(None, gt=0)

    def within(self, bounds: Limits) -> Limits:
        if self.max_cost is not None and not (bounds.prompt_price or bounds.completion_price):
            raise InvalidRequest(
                "max_cost needs a price: set lm_prompt_price and lm_completion_price, per million tokens",
                code="no-price",
            )
        costs = [c for c in (self.max_cost, bounds.max_cost) if c is not None]
        return replace(
            bounds,
            max_cost=min(costs) if costs else None,
            max_steps=min(self.max_steps or bounds.max_steps, bounds.max_steps),
            max_tokens=min(self.max_tokens or bounds.max_tokens, bounds.max_tokens),
            max_seconds=min(self.max_seconds or bounds.max_seconds, bounds.max_seconds),
            max_tool_calls=min(
                bounds.max_tool_calls if self.max_tool_calls is None else self.max_tool_calls, bounds.max_tool_calls
            ),
        )


class AskRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: str = Field(examples=["How much did net sales grow?"])
    collections: Collections = []
    strategy: str | None = Field(None, examples=["extract"])
    stream: bool = False
    limits: RunLimits = RunLimits()
    history: list[Turn] = Field([], max_length=200)
    filters: dict[str, list[str]] = {}
    query_rewrite: Literal["auto", "off", "rule", "lm"] | None = Field(None, description="null: as the settings say")
    hyde: bool | None = Field(None, description="search near imagined answers; null: as the settings say")
    decompose: bool | None = Field(None, description="search for the question's parts; null: as the settings say")
    answer_policy: Literal["mark", "repair", "strict"] | None = Field(
        None, description="what becomes of a written sentence that is not supported; null: as the settings say"
    )


@router.post("/ask")
async def ask(body: AskRequest, request: Request, services: ServicesHere, principal: PrincipalHere) -> Response:
    """The answer as JSON, or with ``"stream": true`` as server-sent events:
    run, step, token, sentence, citation, usage, then done or error."""
    run = begin(
        services,
        principal,
        question=body.question,
        collections=tuple(body.collections),
        filters={field: tuple(values) for field, values in body.filters.items()},
        strategy=body.strategy,
        limits=body.limits,
        history=tuple(Message(role=t.role, content=t.content) for t in body.history),
        on_end=keeper(services, principal),
        options=QueryOptions(
            rewrite=body.query_rewrite, hyde=body.hyde, decompose=body.decompose, policy=body.answer_policy
        ),
    )
    return EventStream(run_events(run)) if body.stream else await whole_answer(run, request)


def keeper(services: Services, principal: Principal) -> Hook:
    """What a run outside a conversation leaves behind: its trace."""

    async def keep(run: Run) -> None:
        await keep_trace(services, principal, run)

    return keep


async def keep_trace(services: Services, principal: Principal, run: Run) -> None:
    trace = services.purges.clean(trace_json(run.trace()), principal.user_id, asked_at=run.asked_at)
    await services.offload(services.traces.save, principal, trace)


async def run_events(run: Run) -> AsyncIterator[bytes]:
    """The run as server-sent events; a reader who leaves stops the run."""
    try:
        async for event in run.events():
            name, data = event_json(event)
            yield event_bytes(name, data)
        if run.outcome is None:
            yield event_bytes("error", {"code": "cancelled", "message": "stopped", "run_id": run.run_id})
    finally:
        run.cancel()
        await run.wait()


async def whole_answer(run: Run, request: Request) -> Response:
    """Waits for the answer; a reader who leaves stops the run."""
    await left_or_ended(run, request)
    match run.outcome:
        case RunDone(answer=answer, trace=trace):
            return JSONResponse(answer_json(answer, trace))
        case outcome:
            return failure(outcome)


class UnderWay(Protocol):
    """A run, or several that are one to their reader."""

    async def wait(self, timeout_s: float | None = None) -> bool: ...
    def cancel(self) -> None: ...


async def left_or_ended(run: UnderWay, request: Request) -> None:
    """Waits until the run has ended, and stops it when its reader leaves."""
    try:
        while not await run.wait(DISCONNECT_LOOK_S):
            if await request.is_disconnected():
                break
    finally:
        run.cancel()
        await run.wait()


def failure(outcome: RunFailed | None) -> Response:
    """Of a run that broke, or was stopped (None)."""
    if outcome is None:
        return problem(409, "cancelled", "the run was stopped")
    status = status_of(error_of(outcome.code, outcome.message, outcome.kind))
    return problem(status, outcome.code, outcome.message)


@router.post("/runs/{run_id}/cancel", status_code=202)
async def cancel_run(run_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    services.runs.cancel(principal, run_id)
    return {"run_id": run_id, "state": "cancelling"}
