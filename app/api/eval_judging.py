"""A language model as judge between two configurations of an evaluation. Its progress, cancelling and resuming are those of evaluations."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from app.api.guard import PrincipalHere, ServicesHere
from app.eval_judging import read_judging, start_judging
from app.eval_runs import Judging
from app.eval_sets import MAX_QUESTIONS

router = APIRouter(prefix="/v1/evals", tags=["evals"])


class Judge(BaseModel):
    model_config = ConfigDict(extra="forbid")

    a: int = Field(0, ge=0, description="a configuration of answering, counted from 0")
    b: int = Field(1, ge=0, description="another one")
    model: str | None = Field(
        None, description="a name of GET /v1/evals/choices; null: the server's own model", examples=["large"]
    )
    n: int | None = Field(
        None, ge=1, le=MAX_QUESTIONS, description="only the first so many that they answer differently; null: all"
    )


@router.post("/{eval_id}/judge", status_code=202)
async def start(eval_id: str, body: Judge, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Lets a language model say, in both orders, which of two answers is better, of each question that two configurations answer
    differently.

    What is answered is a judging with an `eval_id` of its own, by which it is followed, cancelled, resumed and deleted like
    an evaluation. What was replied before is not asked again; one that is under way is answered as it is.
    """
    judging = Judging(of=eval_id, a=body.a, b=body.b, model=body.model)
    run = await services.offload(start_judging, services, principal, eval_id, judging, body.n)
    services.evaluating.wake()
    return run.to_json()


@router.get("/{eval_id}/judge")
async def get(
    eval_id: str,
    services: ServicesHere,
    principal: PrincipalHere,
    a: Annotated[int, Query(ge=0)] = 0,
    b: Annotated[int, Query(ge=0)] = 1,
    model: Annotated[str | None, Query(description="null: whichever was asked last")] = None,
) -> dict[str, Any]:
    """What is judged so far, with intervals, and Cohen's kappa against your blind votes on the same pairs.

    `run` is null where nobody asked yet, `result` until the first is kept; `people.text` says in a sentence what kappa means, or why there is none.
    """
    return await services.offload(read_judging, services, principal, eval_id, a, b, model)
