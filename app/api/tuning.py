"""Fitting a collection's fusion on questions whose documents are known, and taking it back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.api.guard import PrincipalHere, ServicesHere
from app.tuning import MAX_QUESTIONS, Question, refusal, tune_collection
from core.clock import now_iso
from core.errors import OpenbookError
from retrieval.access import require_role
from retrieval.fusion_weights import keep_weights, weights_of

router = APIRouter(prefix="/v1/collections", tags=["collections"])


class JudgedQuestion(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1)
    query: str = Field(min_length=1, examples=["net sales in the third quarter"])
    docs: dict[str, Annotated[int, Field(ge=1)]] = Field(
        min_length=1,
        examples=[{"10-Q 2023": 1}],
        description="doc_id, file name or title of each document that answers, with its grade of 1 or more",
    )


class Tuning(BaseModel):
    model_config = ConfigDict(extra="forbid")

    questions: list[JudgedQuestion] = Field(min_length=1, max_length=MAX_QUESTIONS)
    dataset: str = Field("", max_length=200, description="what the questions are called; kept beside the weights")
    apply: bool = Field(False, description="keep what was fitted for this collection, if its gain can be shown")
    seed: int = Field(0, ge=0)


@router.post("/{collection}/tune")
async def tune(collection: str, body: Tuning, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Fits how the lists of hybrid search are fused, and says what that gains on questions that it has not seen.

    Applied only if asked for, and only if the gain can be shown: else `applied` is false and `refused` says why.
    """
    engine, settings = services.engine, services.settings
    questions = [Question(id=q.id, query=q.query, docs=q.docs) for q in body.questions]

    def work() -> dict[str, Any]:
        if body.apply:  # before the work, rather than after it
            with services.database.read() as connection:
                require_role(connection, principal, collection, ("owner",))
        tuned = tune_collection(engine, settings, principal, collection, questions, seed=body.seed)
        refused: OpenbookError | None = None
        if body.apply:
            if tuned.choice.shown:
                kept = tuned.chosen.to_json() | {
                    "evidence": tuned.evidence() | {"dataset": body.dataset, "at": now_iso()}
                }
                with services.database.write() as connection:
                    change = keep_weights(connection, principal, collection, kept)
                engine.publish(change)
            else:
                refused = refusal(tuned)
        return tuned.to_json() | {
            "collection": collection,
            "dataset": body.dataset,
            "applied": body.apply and refused is None,
            "refused": refused.message if refused else None,
        }

    return await services.offload(work)


@router.delete("/{collection}/fusion")
async def reset(collection: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """The collection is fused as the settings say again. Only the owner may."""
    engine = services.engine

    def work() -> dict[str, Any]:
        with services.database.write() as connection:
            change = keep_weights(connection, principal, collection, None)
        engine.publish(change)
        return {"collection": collection, "fusion": weights_of(services.settings).to_json()}

    return await services.offload(work)
