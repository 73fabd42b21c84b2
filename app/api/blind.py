"""Two answers to one question of a conversation, without saying which is which, and a vote."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from app.api.ask import RunLimits, failure, left_or_ended
from app.api.guard import PrincipalHere, ServicesHere
from app.api.in_chat import HowToAnswer, Said, begin_in_chat, keep_said
from app.api.sse import EventStream, event_bytes
from app.chat_tables import ChatMessage
from app.chat_votes import Choice, Pair, mark, way_of
from app.runs import Run
from app.strategies import unwatched
from core.errors import Conflict
from core.events import RunDone, RunFailed
from core.types import Message

router = APIRouter(prefix="/v1/chats", tags=["chats"])


class Compare(BaseModel):
    model_config = ConfigDict(extra="forbid")

    collections: list[str] | None = Field(None, description="null: those of the conversation", examples=[["filings"]])
    answer_policy: str | None = Field(None, pattern="^(mark|repair|strict)$", examples=["mark"])
    only_files: bool = Field(False, description="ask only the files of this conversation, no collection")
    stream: bool = Field(False, description="events: `run` with the id to stop it by, then `compared` or `error`")
    limits: RunLimits = RunLimits()


class VoteOnAnswers(BaseModel):
    model_config = ConfigDict(extra="forbid")

    choice: Choice = Field(description="of the two as they were shown", examples=["1"])


@router.get("/votes")
async def get_chat_votes(
    services: ServicesHere, principal: PrincipalHere, only: Literal["all", "from_start"] = "all"
) -> dict[str, Any]:
    """Bradley–Terry strengths of the ways to answer, from your votes in conversations that you still have. With
    `only=from_start` from those alone in which neither answer had been seen before."""
    return await services.offload(services.chat_votes.standing, principal, only == "from_start")


@router.post("/{chat_id}/messages/{message_id}/compare")
async def compare(
    chat_id: str, message_id: str, body: Compare, request: Request, services: ServicesHere, principal: PrincipalHere
) -> Response:
    """Answers a question once more, in another way that is drawn at random, and shows both answers in random order without
    saying which is which. `compared` is null where both say the same. A pair that waits for its vote is shown again. One that is
    stopped, or breaks off, leaves the conversation as it was."""
    asked = await services.offload(services.chats.question_of, principal, chat_id, message_id)
    pair = await services.offload(services.chat_votes.pair_of, principal, chat_id, asked.message_id)
    if pair is not None and pair.kept is not None:
        raise Conflict("you have voted on the answers to this question: a vote is kept once")
    if pair is not None:
        return EventStream(_told(pair)) if body.stream else JSONResponse(_compared(pair))
    history: list[Message] = await services.offload(services.chats.history, principal, chat_id, asked.message_id)

    def draw() -> tuple[ChatMessage, str]:
        return services.chat_votes.draw(principal, chat_id, message_id, unwatched(services))

    older, way = await services.offload(draw)
    how = HowToAnswer(**body.model_dump(exclude={"stream"}), strategy=way)

    async def keep(said: Said) -> None:
        if said.answer is not None and older.answer is not None:
            marked = mark(said.answer, older.answer, older.message_id, (way_of(older.answer), way), from_start=False)
            await keep_said(services, principal, chat_id, dataclasses.replace(said, answer=marked))

    run = await begin_in_chat(chat_id, how, asked.content, history, asked.message_id, services, principal, keep)

    async def made() -> Pair | None:
        found: Pair | None = await services.offload(services.chat_votes.pair_of, principal, chat_id, asked.message_id)
        return found

    if body.stream:
        return EventStream(_as_events(run, made))
    await left_or_ended(run, request)
    return JSONResponse(_compared(await made())) if isinstance(run.outcome, RunDone) else failure(run.outcome)


def _compared(pair: Pair | None) -> dict[str, Any]:
    return {"compared": pair.to_json() if pair is not None else None}


async def _told(pair: Pair) -> AsyncIterator[bytes]:
    yield event_bytes("compared", _compared(pair))


async def _as_events(run: Run, made: Callable[[], Awaitable[Pair | None]]) -> AsyncIterator[bytes]:
    """Its id at once, and nothing of what is said before both answers are there: who sees one grow knows which is the newer.
    A reader who leaves stops the run."""
    try:
        yield event_bytes("run", {"run_id": run.run_id})
        await run.wait()
        match run.outcome:
            case RunDone():
                yield event_bytes("compared", _compared(await made()))
            case RunFailed(code=code, message=message):
                yield event_bytes("error", {"code": code, "message": message, "run_id": run.run_id})
            case None:
                yield event_bytes("error", {"code": "cancelled", "message": "stopped", "run_id": run.run_id})
    finally:
        run.cancel()
        await run.wait()


@router.post("/{chat_id}/messages/{message_id}/vote", status_code=201)
async def vote(
    chat_id: str, message_id: str, body: VoteOnAnswers, services: ServicesHere, principal: PrincipalHere
) -> dict[str, Any]:
    """Which of the two answers to a question is better. Kept once; the ways are said in return."""
    voted = await services.offload(services.chat_votes.vote, principal, chat_id, message_id, body.choice)
    return {"compared": voted.to_json()}
