"""Runs in progress: which there are, which wait for a person's yes, and that yes or no."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.api.guard import PrincipalHere, ServicesHere
from app.shapes import proposal_json

router = APIRouter(prefix="/v1", tags=["ask"])


class Word(BaseModel):
    model_config = ConfigDict(extra="forbid")

    yes: bool = Field(description="whether it may be done")
    approval_id: str | None = Field(None, description="which question; null: the oldest of the run")


@router.get("/runs")
async def list_runs(services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Your runs in progress. One that is `waiting` has in `pending` what it would do: tool, arguments, what is expected of it."""
    pending: dict[str, list[dict[str, Any]]] = {}
    for one in services.approvals.of(principal):
        pending.setdefault(one.run_id, []).append(proposal_json(one.proposal))
    return {
        "runs": [
            {
                "run_id": run.run_id,
                "strategy": run.strategy_name,
                "question": run.question,
                "state": "waiting" if run.run_id in pending else "running",
                "pending": pending.get(run.run_id, []),
            }
            for run in services.runs.of(principal)
        ]
    }


@router.post("/runs/{run_id}/approve")
async def approve_run(run_id: str, body: Word, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Says yes or no to what a run waits to do. Only the person who asked the run's question can."""
    said = services.approvals.say(principal, run_id, body.approval_id, body.yes)
    return {"run_id": run_id, "yes": body.yes, **proposal_json(said.proposal)}
