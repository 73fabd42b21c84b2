"""Calibrating when a collection's questions are answered, and what was fitted."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from app.api.guard import PrincipalHere, ServicesHere
from app.calibrating import ALWAYS, MAX_QUESTIONS, calibrate
from app.runs import outcome_of
from app.strategies import build_strategy, fitted_with, run_limits
from core.errors import RunCancelled
from core.ids import new_id
from core.types import Answer, Sample, Where
from retrieval.access import require_role

router = APIRouter(prefix="/v1/collections", tags=["collections"])


class KnownQuestion(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1)
    question: str = Field(min_length=1, max_length=4000, examples=["How much did net sales grow?"])
    answers: list[str] = Field([], description="short ones are looked for in what is answered")
    answerable: bool = True


class Calibrate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    questions: list[KnownQuestion] = Field(min_length=1, max_length=MAX_QUESTIONS)
    error: float = Field(0.05, gt=0, lt=1, description="share of the answers that may be wrong, at most")
    strategy: Literal["extract", "rag"] = "extract"
    dataset: str = Field("", max_length=200, description="what the questions are called; kept beside the threshold")
    apply: bool = Field(True, description="keep the threshold for this collection, if one can be vouched for")


@router.post("/{collection}/calibrate")
async def post_calibrate(
    collection: str, body: Calibrate, request: Request, services: ServicesHere, principal: PrincipalHere
) -> dict[str, Any]:
    """Asks every question of the collection and fits the confidence from which at most `error` of the answers are wrong,
    with 95 % confidence. Where too few questions can show that, `refused` says how many more it takes."""

    def allowed() -> None:  # before the work, rather than after it
        with services.database.read() as connection:
            require_role(connection, principal, collection, ("owner",))

    await services.offload(allowed)
    strategy = build_strategy(body.strategy, services, principal, threshold=ALWAYS)
    where = Where(principal=principal, collections=(collection,))
    limits = run_limits(services.settings, body.strategy, side_tokens=0)

    async def ask(sample: Sample) -> Answer:
        if await request.is_disconnected():
            raise RunCancelled("nobody waits for the calibration any more")
        run = strategy.run(sample.question, history=(), limits=limits, where=where, run_id=new_id("r"))
        return (await outcome_of(run)).answer

    samples = [
        Sample(id=q.id, question=q.question, answers=tuple(q.answers), answerable=q.answerable) for q in body.questions
    ]
    fitted = await calibrate(samples, ask, error=body.error, strategy=body.strategy)
    fitted |= {"collection": collection, "dataset": body.dataset, "applied": body.apply and fitted["fitted"]}
    if fitted["applied"]:
        made_with = fitted_with(body.strategy, services)
        await services.offload(services.calibrations.keep, principal, collection, body.strategy, made_with, fitted)
    return fitted


@router.get("/{collection}/calibration")
async def get_calibration(collection: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """What was fitted, with its risk–coverage curve; `encoder` says for which vectors it holds."""
    found = await services.offload(services.calibrations.get, principal, collection)
    return {"collection": collection, "calibrations": found}


@router.delete("/{collection}/calibration", status_code=200)
async def delete_calibration(
    collection: str, services: ServicesHere, principal: PrincipalHere, strategy: str = "extract"
) -> dict[str, Any]:
    """The collection answers from the settings' threshold again. Only the owner may."""
    await services.offload(services.calibrations.forget, principal, collection, strategy)
    threshold = services.settings.extract_threshold if strategy == "extract" else 0.0
    return {"collection": collection, "strategy": strategy, "threshold": threshold}
