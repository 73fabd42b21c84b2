"""Conversations, kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from app import attachments
from app.api.ask import run_events, whole_answer
from app.api.etags import IfMatch, Tagged, check_unchanged, tag_of_json
from app.api.guard import PrincipalHere, ServicesHere
from app.api.in_chat import HowToAnswer, begin_in_chat, keep_question
from app.api.search import Collections
from app.api.sse import EventStream
from app.chat_export import as_markdown
from app.chat_tables import Chat, ChatMessage
from app.chat_votes import Pair
from app.feedback import Thumb
from app.intake import job_json
from app.services import Services
from app.shapes import chat_json, message_json
from core.types import Message, Principal

router = APIRouter(prefix="/v1/chats", tags=["chats"], route_class=Tagged)


# What an export is, for the OpenAPI document.
CHAT_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/markdown": {
                "example": "# How much did net sales grow?\n\n**How much did net sales grow?**\n\nBy 2 percent. [1]\n"
            },
            "application/json": {
                "example": {"chat_id": "h5c0e", "title": "How much did net sales grow?", "messages": []}
            },
        }
    }
}


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


class NewMessage(HowToAnswer):
    question: str


class NewQuestion(NewMessage):
    only_keep: bool = Field(
        False,
        description="keep the question and answer nothing yet: `regenerate`, by the `message_id` that is returned, answers it",
    )


@router.post("", status_code=201)
async def create_chat(body: NewChat, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    def create() -> dict[str, Any]:
        strategy = body.strategy or services.settings.strategy
        chat = services.chats.create(principal, title=body.title, collections=body.collections, strategy=strategy)
        return chat_json(chat)

    return await services.offload(create)


@router.get("")
async def list_chats(
    services: ServicesHere,
    principal: PrincipalHere,
    limit: Annotated[int, Query(ge=1, le=200)] = 200,
    cursor: str | None = None,
    q: Annotated[str, Query(max_length=200, description="words that the title or the messages must all have")] = "",
) -> dict[str, Any]:
    """One page of your conversations, those used last first; ``next_cursor`` is null on the last."""

    def read() -> tuple[list[Chat], str | None]:
        return services.chats.list_chats(principal, limit, words=q, after=cursor)

    found, following = await services.offload(read)
    return {"chats": [chat_json(c) for c in found], "next_cursor": following}


@router.get("/{chat_id}")
async def get_chat(
    chat_id: str, response: Response, services: ServicesHere, principal: PrincipalHere
) -> dict[str, Any]:
    found = await services.offload(whole_chat, services, principal, chat_id)
    response.headers["ETag"] = tag_of_json(found)
    return found


def whole_chat(services: Services, principal: Principal, chat_id: str) -> dict[str, Any]:
    """The conversation as it is shown to its owner."""
    chat = services.chats.get(principal, chat_id)
    messages = services.chats.messages(principal, chat_id)
    files = attachments.attached_files(services, principal, chat_id)
    thumbs = services.feedback.of(principal, [m.message_id for m in messages])
    pairs = services.chat_votes.pairs_in(principal, chat_id)
    shown = [{**_shown(m, pairs.get(m.message_id)), "feedback": _thumb(thumbs.get(m.message_id))} for m in messages]
    return {**chat_json(chat), "files": [job_json(job) for job in files], "messages": shown}


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


def _shown(message: ChatMessage, pair: Pair | None) -> dict[str, Any]:
    """Of two answers that nobody has seen yet, nothing is said but what the pair says until there is a vote."""
    unseen = pair is not None and pair.from_start and pair.kept is None
    hidden = {"content": "", "answer": None, "run_id": None} if unseen else {}
    return {**message_json(message), **hidden, "compared": pair.to_json() if pair is not None else None}


def _thumb(found: Thumb | None) -> dict[str, Any] | None:
    return None if found is None else {"good": found.good, "reason": found.reason}


@router.patch("/{chat_id}")
async def change_chat(
    chat_id: str, body: ChatChange, services: ServicesHere, principal: PrincipalHere, if_match: IfMatch = None
) -> dict[str, Any]:
    """With `If-Match`, the `ETag` of the conversation, nothing is changed where it is not as it was read."""

    def unchanged() -> None:
        if if_match is not None:
            check_unchanged(if_match, tag_of_json(whole_chat(services, principal, chat_id)))

    def change() -> dict[str, Any]:
        chat = services.chats.update(
            principal, chat_id, title=body.title, collections=body.collections, strategy=body.strategy, check=unchanged
        )
        return chat_json(chat)

    return await services.offload(change)


@router.delete("/{chat_id}", status_code=204)
async def delete_chat(chat_id: str, services: ServicesHere, principal: PrincipalHere, purge: bool = False) -> Response:
    """Deletes the conversation with its files and the traces of its runs; with `purge=true` until no byte of them is left
    in the data directory, which takes as long as the database is large."""

    def delete() -> None:
        attachments.delete_chat(services, principal, chat_id, purge=purge)

    await services.offload(delete)
    await services.announce_jobs()
    return Response(status_code=204)


@router.post("/{chat_id}/messages")
async def ask_in_chat(
    chat_id: str, body: NewQuestion, request: Request, services: ServicesHere, principal: PrincipalHere
) -> Response:
    """Asks in the conversation. Question and answer are kept; a reader who leaves stops the run, and what had
    been said is kept as a partial answer. With `only_keep` the question waits, for files that come with it, say."""
    if body.only_keep:
        message_id = await services.offload(keep_question, chat_id, body, body.question, services, principal)
        return JSONResponse({"message_id": message_id})
    history = await services.offload(services.chats.history, principal, chat_id)

    def ask(searched: Collection[int]) -> str:
        return services.chats.ask(principal, chat_id, body.question, searched=searched)

    return await _answered(chat_id, body, body.question, history, ask, request, services, principal)


@router.post("/{chat_id}/messages/{message_id}/edit")
async def edit_question(
    chat_id: str, message_id: str, body: NewMessage, request: Request, services: ServicesHere, principal: PrincipalHere
) -> Response:
    """Asks another question in the place of one, and answers it. The older one stays, with all that followed it: it is
    among the question's ``versions``, and ``select`` shows it again."""
    asked = await services.offload(services.chats.question_of, principal, chat_id, message_id)
    history = await services.offload(services.chats.history, principal, chat_id, asked.message_id)

    def ask(searched: Collection[int]) -> str:
        return services.chats.ask(principal, chat_id, body.question, instead_of=asked.message_id, searched=searched)

    return await _answered(chat_id, body, body.question, history, ask, request, services, principal)


@router.post("/{chat_id}/messages/{message_id}/regenerate")
async def answer_again(
    chat_id: str, message_id: str, body: HowToAnswer, request: Request, services: ServicesHere, principal: PrincipalHere
) -> Response:
    """Answers a question again (named by itself or by one of its answers), in another way if ``strategy`` says so, or by
    another language model if ``model`` does. The older answer stays, among the new one's ``versions``."""
    asked = await services.offload(services.chats.question_of, principal, chat_id, message_id)
    history = await services.offload(services.chats.history, principal, chat_id, asked.message_id)

    return await _answered(chat_id, body, asked.content, history, asked.message_id, request, services, principal)


@router.post("/{chat_id}/messages/{message_id}/select")
async def show_version(
    chat_id: str, message_id: str, services: ServicesHere, principal: PrincipalHere
) -> dict[str, Any]:
    """Shows the thread that goes through this message, and returns the conversation as it is then."""
    await services.offload(services.chats.select, principal, chat_id, message_id)
    return await services.offload(whole_chat, services, principal, chat_id)


@router.get("/{chat_id}/export", response_class=Response, responses=CHAT_FILE)
async def export_chat(
    chat_id: str,
    services: ServicesHere,
    principal: PrincipalHere,
    form: Annotated[Literal["markdown", "json"], Query(alias="format")] = "markdown",
) -> Response:
    """The conversation as a file: Markdown of the thread that is shown, with its sources, or JSON of all versions."""
    chat = await services.offload(services.chats.get, principal, chat_id)
    if form == "markdown":
        shown = await services.offload(services.chats.messages, principal, chat_id)
        return chat_file(chat_id, "md", "text/markdown; charset=utf-8", as_markdown(chat, shown))
    said = await services.offload(services.chats.all_messages, principal, chat_id)
    whole = {**chat_json(chat), "messages": [message_json(m) for m in said]}
    return chat_file(chat_id, "json", "application/json", json.dumps(whole, ensure_ascii=False, indent=2))


def chat_file(chat_id: str, suffix: str, media_type: str, text: str) -> Response:
    named = {"Content-Disposition": f'attachment; filename="openbook-{chat_id}.{suffix}"'}
    return Response(text, media_type=media_type, headers=named)


async def _answered(
    chat_id: str,
    how: HowToAnswer,
    question: str,
    history: Sequence[Message],
    ask: str | Callable[[Collection[int]], str],
    request: Request,
    services: Services,
    principal: Principal,
) -> Response:
    """Answers in the conversation; ``ask`` as for ``begin_in_chat``."""
    run = await begin_in_chat(chat_id, how, question, history, ask, services, principal)
    return EventStream(run_events(run)) if how.stream else await whole_answer(run, request)
