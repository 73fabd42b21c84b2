"""Conversations, kept."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from app.api.ask import RunLimits, keep_trace, run_events, whole_answer
from app.api.guard import PrincipalHere, ServicesHere
from app.api.search import Collections
from app.api.sse import EventStream
from app.asking import begin
from app.feedback import Thumb
from app.query_sides import QueryOptions
from app.runs import Run
from app.shapes import answer_json, chat_json, message_json
from core.events import RunDone, RunFailed

router = APIRouter(prefix="/v1/chats", tags=["chats"])


class NewChat(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = Field("", max_length=200, description="empty: named after its first question")
    collections: Collections = []
    strategy: str = ""


class ChatChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str | None = Field(None, min_length=1, max_length=200)
    collections: list[str] | None = None
    strategy: str | None = None


class NewFeedback(BaseModel):
    model_config = ConfigDict(extra="forbid")

    good: bool
    reason: str = Field("", max_length=2000, description="what was good or wrong, in the person's words")


class NewMessage(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: str
    strategy: str | None = None
    collections: list[str] | None = None
    stream: bool = False
    answer_policy: Literal["mark", "repair", "strict"] | None = None
    limits: RunLimits = RunLimits()


@router.post("", status_code=201)
async def create_chat(body: NewChat, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    def create() -> dict[str, Any]:
        strategy = body.strategy or services.settings.strategy
        chat = services.chats.create(principal, title=body.title, collections=body.collections, strategy=strategy)
        return chat_json(chat)

    return await services.offload(create)


@router.get("")
async def list_chats(services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    found = await services.offload(services.chats.list_chats, principal)
    return {"chats": [chat_json(c) for c in found]}


@router.get("/{chat_id}")
async def get_chat(chat_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    chat = await services.offload(services.chats.get, principal, chat_id)
    messages = await services.offload(services.chats.messages, principal, chat_id)
    thumbs = await services.offload(services.feedback.of, principal, [m.message_id for m in messages])
    return {
        **chat_json(chat),
        "messages": [{**message_json(m), "feedback": _thumb(thumbs.get(m.message_id))} for m in messages],
    }


@router.put("/{chat_id}/messages/{message_id}/feedback")
async def give_feedback(
    chat_id: str, message_id: str, body: NewFeedback, services: ServicesHere, principal: PrincipalHere
) -> dict[str, Any]:
    """A thumb on an answer. It counts once per person: another one takes its place."""

    def give() -> dict[str, Any] | None:
        return _thumb(services.feedback.give(principal, chat_id, message_id, body.good, body.reason))

    return await services.offload(give) or {}


@router.delete("/{chat_id}/messages/{message_id}/feedback", status_code=204)
async def take_feedback_back(
    chat_id: str, message_id: str, services: ServicesHere, principal: PrincipalHere
) -> Response:
    await services.offload(services.chats.get, principal, chat_id)
    await services.offload(services.feedback.take_back, principal, message_id)
    return Response(status_code=204)


def _thumb(found: Thumb | None) -> dict[str, Any] | None:
    return None if found is None else {"good": found.good, "reason": found.reason}


@router.patch("/{chat_id}")
async def change_chat(
    chat_id: str, body: ChatChange, services: ServicesHere, principal: PrincipalHere
) -> dict[str, Any]:
    def change() -> dict[str, Any]:
        chat = services.chats.update(
            principal, chat_id, title=body.title, collections=body.collections, strategy=body.strategy
        )
        return chat_json(chat)

    return await services.offload(change)


@router.delete("/{chat_id}", status_code=204)
async def delete_chat(chat_id: str, services: ServicesHere, principal: PrincipalHere) -> Response:
    await services.offload(services.chats.delete, principal, chat_id)
    return Response(status_code=204)


@router.post("/{chat_id}/messages")
async def ask_in_chat(
    chat_id: str, body: NewMessage, request: Request, services: ServicesHere, principal: PrincipalHere
) -> Response:
    """Asks in the conversation. Question and answer are kept; a reader who leaves stops the run, and what had
    been said is kept as a partial answer."""
    chat = await services.offload(services.chats.get, principal, chat_id)
    history = await services.offload(services.chats.history, principal, chat_id)

    async def keep(run: Run) -> None:
        await keep_trace(services, principal, run)
        outcome, problem = run.outcome, ""
        if isinstance(outcome, RunDone):
            content, answer, partial = outcome.answer.text, answer_json(outcome.answer, outcome.trace), False
        else:
            content, answer, partial = run.text, None, True
            problem = outcome.message if isinstance(outcome, RunFailed) else ""
        content, answer = services.purges.clean(content), services.purges.clean(answer)
        if answer is not None:
            content = answer["answer"]

        def append() -> None:
            services.chats.append(
                principal,
                chat_id,
                role="assistant",
                content=content,
                answer=answer,
                partial=partial,
                run_id=run.run_id,
                problem=problem,
            )

        await services.offload(append)

    async def question_kept(_run: Run) -> None:
        await services.offload(lambda: services.chats.append(principal, chat_id, role="user", content=body.question))

    run = begin(
        services,
        principal,
        question=body.question,
        collections=chat.collections if body.collections is None else tuple(body.collections),
        strategy=body.strategy or chat.strategy,
        limits=body.limits,
        history=tuple(history),
        on_end=keep,
        on_begin=question_kept,
        options=QueryOptions(policy=body.answer_policy),
    )
    return EventStream(run_events(run)) if body.stream else await whole_answer(run, request)
