"""Questions of one's own: made from a collection or read from a table, approved one by one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from app.api.guard import PrincipalHere, ServicesHere
from app.eval_configs import all_documents
from app.eval_contamination import contamination_of_set
from app.eval_leaderboard import board_of_set
from app.eval_sets import MAX_QUESTIONS
from app.question_import import imported_questions
from app.question_making import questions_of, sources_of
from app.question_writing import write_questions, writer
from app.services import Services
from core.errors import InvalidRequest
from core.types import Principal
from eval.mapped import read_table
from eval.written import passages_to_ask_of

router = APIRouter(prefix="/v1/evals/sets", tags=["evals"])

MAX_TABLE_CHARACTERS = 10_000_000


class MakeSet(BaseModel):
    model_config = ConfigDict(extra="forbid")

    collection: str
    n: int = Field(100, ge=1, le=1000)
    name: str = Field("", max_length=200)
    seed: int = Field(0, ge=0)
    unanswerable: float = Field(0.1, ge=0, le=0.5, description="share that no document answers")
    written: int = Field(0, ge=0, le=200, description="of them, how many the configured language model writes")
    multi_hop: float = Field(
        0.1, ge=0, le=0.5, description="share that takes two passages: a name that both have, or two numbers to compare"
    )


class ImportSet(BaseModel):
    model_config = ConfigDict(extra="forbid")

    collection: str
    text: str = Field(max_length=MAX_TABLE_CHARACTERS, description="the file, in Unicode")
    form: Literal["csv", "jsonl"] = "csv"
    name: str = Field("", max_length=200)
    mapping: dict[str, str | None] | None = Field(
        None,
        description="question, answers, document → column; null: nothing is kept, and the columns are said",
        examples=[{"question": "Question", "answers": "Answer", "document": "File"}],
    )


class FeedbackSet(BaseModel):
    model_config = ConfigDict(extra="forbid")

    collection: str
    name: str = Field("", max_length=200)


class Decision(BaseModel):
    model_config = ConfigDict(extra="forbid")

    approved: bool | None = Field(description="true, false, or null to take either back")
    question_ids: list[str] | None = Field(None, description="null: all of which nobody has decided")


@router.post("", status_code=201)
async def make(body: MakeSet, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Makes questions of a collection's documents: by rule, the same for the same documents and seed, or some of them
    `written` by the language model, for ten minutes at most.

    Each is tied to the span that answers it and was tried by words and by meaning. Nobody has approved them yet.
    """
    sources = await services.offload(sources_of, services, principal, body.collection, body.seed)
    written = None
    if body.written:
        passages = passages_to_ask_of(sources.documents, sources.splits, body.seed)
        written = await write_questions(writer(services, principal), passages, min(body.written, body.n))

    def work() -> dict[str, Any]:
        questions, origin = questions_of(
            services,
            principal,
            body.collection,
            sources,
            n=body.n,
            seed=body.seed,
            unanswerable=body.unanswerable,
            multi_hop=body.multi_hop,
            written=written,
        )
        made = services.eval_sets.add(principal, body.collection, body.name, questions, origin)
        return _whole(services, principal, made.set_id)

    return await services.offload(work)


@router.post("/import", status_code=201)
async def import_(body: ImportSet, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Reads questions from a table. Without a `mapping` it says the columns, what they seem to be, and the first rows."""

    def work() -> dict[str, Any]:
        table = read_table(body.text, body.form, most=MAX_QUESTIONS)
        if body.mapping is None:
            return {"columns": list(table.columns), "mapping": table.suggested(), "rows": list(table.rows[:3])}
        questions, problems = imported_questions(services, principal, body.collection, table, body.mapping)
        if not questions and problems:
            raise InvalidRequest(f"no row could be taken in; the first: {problems[0]}", code="no-questions")
        origin = {
            "made": "from a table",
            "mapping": body.mapping,
            "left_out": len(problems),
            "problems": problems[:20],
            "whole_document": sum(any(gold.whole for gold in q.gold) for q in questions),
        }
        made = services.eval_sets.add(principal, body.collection, body.name, questions, origin)
        return _whole(services, principal, made.set_id)

    return await services.offload(work)


@router.post("/from-feedback", status_code=201)
async def from_feedback(body: FeedbackSet, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Makes a set of the questions whose answers you gave a thumb in the chat, each once. Nobody has approved them yet."""

    def work() -> dict[str, Any]:
        infos = all_documents(services, principal, body.collection)
        questions = services.feedback.candidates(principal, body.collection, infos)
        if not questions:
            raise InvalidRequest(
                f"no answer from {body.collection!r} has a thumb of yours: give some in the chat", code="no-questions"
            )
        name = body.name or f"{body.collection}, from thumbs"
        made = services.eval_sets.add(principal, body.collection, name, questions, {"made": "from thumbs"})
        return _whole(services, principal, made.set_id)

    return await services.offload(work)


@router.get("")
async def list_sets(
    services: ServicesHere,
    principal: PrincipalHere,
    collection: Annotated[str | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """One page of your own, the newest first; ``next_cursor`` is null on the last."""
    found, following = await services.offload(
        lambda: services.eval_sets.list_sets(principal, limit, collection=collection, after=cursor)
    )
    return {"sets": [s.to_json() for s in found], "next_cursor": following}


@router.get("/{set_id}")
async def get_set(set_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """With its questions, in order."""
    return await services.offload(_whole, services, principal, set_id)


@router.get("/{set_id}/leaderboard")
async def get_leaderboard(
    set_id: str,
    services: ServicesHere,
    principal: PrincipalHere,
    kind: Annotated[Literal["retrieval", "qa"], Query()] = "retrieval",
    metric: Annotated[str | None, Query()] = None,
) -> dict[str, Any]:
    """All that was measured on this set, by whichever evaluation, with the documents and settings of now."""
    return await services.offload(board_of_set, services, principal, set_id, kind, metric)


@router.get("/{set_id}/contamination")
async def get_contamination(set_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Which questions of the set stand, by half of their runs of 8 words, in the collection that they are asked of."""
    return await services.offload(contamination_of_set, services, principal, set_id)


@router.post("/{set_id}/decide")
async def decide(set_id: str, body: Decision, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Approves or rejects questions."""

    def work() -> dict[str, Any]:
        n = services.eval_sets.decide(principal, set_id, body.approved, body.question_ids)
        return {"changed": n, **services.eval_sets.get(principal, set_id).to_json()}

    return await services.offload(work)


@router.delete("/{set_id}", status_code=204)
async def delete(set_id: str, services: ServicesHere, principal: PrincipalHere) -> Response:
    """With its evaluations."""
    await services.offload(services.eval_sets.delete, principal, set_id)
    return Response(status_code=204)


def _whole(services: Services, principal: Principal, set_id: str) -> dict[str, Any]:
    found = services.eval_sets.get(principal, set_id)
    return {**found.to_json(), "questions": [q.to_json() for q in services.eval_sets.questions(principal, set_id)]}
