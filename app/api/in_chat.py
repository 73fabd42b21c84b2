"""Answers within a conversation: how they are asked for, and how what they came to is kept."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app import attachments
from app.api.ask import RunLimits, keep_trace
from app.asking import begin, check_asked, check_collections
from app.chat_tables import Chat
from app.notes import notes_of
from app.query_sides import QueryOptions
from app.runs import Run
from app.services import Services
from app.shapes import answer_json, trace_json
from core.errors import NotFound
from core.events import RunDone, RunFailed
from core.types import Message, Principal
from retrieval.access import searched_ids


class HowToAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    strategy: str | None = None
    model: str | None = Field(
        None, max_length=200, description="one of the `models` of /v1/strategies; null: the server's own"
    )
    collections: list[str] | None = None
    stream: bool = False
    answer_policy: Literal["mark", "repair", "strict"] | None = None
    only_files: bool = Field(False, description="ask only the files of this conversation, no collection")
    limits: RunLimits = RunLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a run in a conversation came to: an ``answer``; or, where it was stopped or broke off, the ``content`` that was said
    until then, and why (``problem``), unless a person stopped it. ``searched``: the ids of all that it was looked for in."""

    question_id: str
    run_id: str
    asked_at: float  # of time.monotonic
    content: str
    answer: dict[str, Any] | None
    problem: str
    searched: frozenset[int]


Keep = Callable[[Said], Awaitable[None]]


async def begin_in_chat(
    chat_id: str,
    how: HowToAnswer,
    question: str,
    history: Sequence[Message],
    ask: str | Callable[[Collection[int]], str],
    services: Services,
    principal: Principal,
    keep: Keep | None = None,
) -> Run:
    """Begins an answer within a conversation; its trace is kept in any case.

    Args:
        ask: the id of the question, or what keeps it once the run begins, with the ids of what is searched, and returns its id.
        keep: what becomes of the answer, called before the run ends; not where it was stopped before the question was kept.
            None: it is kept in the conversation at once, as far as it has come.
    """
    asked_at = time.monotonic()
    chat = await services.offload(services.chats.get, principal, chat_id)
    question_id = ask if isinstance(ask, str) else ""

    async def begun(_run: Run) -> None:
        nonlocal question_id
        if not isinstance(ask, str):
            question_id = await services.offload(ask, open_before)

    async def ended(run: Run) -> None:
        if not question_id:  # it was stopped before the question was kept
            return
        run.asked_at = asked_at  # the conversation was read by then, and a model may have been loaded since
        await keep_trace(services, principal, run)
        answer: dict[str, Any] | None = None
        content = ""
        if isinstance(run.outcome, RunDone):
            answer = answer_json(run.outcome.answer, run.outcome.trace) | ({"model": how.model} if how.model else {})
        else:
            content = services.purges.clean(run.text, principal.user_id, trace_json(run.trace()), asked_at=asked_at)
        said = Said(
            question_id=question_id,
            run_id=run.run_id,
            asked_at=asked_at,
            content=content,
            answer=answer,
            problem=run.outcome.message if isinstance(run.outcome, RunFailed) else "",
            # "All that I may read" may have come to mean more while it was answered, or less.
            searched=open_before | await services.offload(ids_of, searched),
        )
        if keep is None:
            await keep_said(services, principal, chat_id, said)
        else:
            await keep(said)

    def ids_of(names: Sequence[str]) -> frozenset[int]:
        return _ids_of(services, principal, names)

    chosen, searched = await services.offload(_searched, chat, how, services, principal)
    open_before = await services.offload(ids_of, searched)
    notes = await services.offload(
        notes_of, services, principal, chat_id, how.strategy or chat.strategy or services.settings.strategy
    )

    def start(here: Services) -> Run:
        return begin(
            here,
            principal,
            question=question,
            collections=() if how.only_files else chosen,
            searched=searched,
            strategy=how.strategy or chat.strategy,
            limits=how.limits,
            history=tuple(history),
            notes=notes,
            on_end=ended,
            on_begin=begun,
            options=QueryOptions(policy=how.answer_policy),
        )

    return await services.other_models.begin(services, how.model, start)


def keep_question(chat_id: str, how: HowToAnswer, question: str, services: Services, principal: Principal) -> str:
    """Keeps a question that is answered later, and returns its message id. The same may read it as will read its answer."""
    check_asked(services.settings, question)
    chat = services.chats.get(principal, chat_id)
    chosen, searched = _searched(chat, how, services, principal)
    check_collections(services, principal, chosen)
    return services.chats.ask(principal, chat_id, question, searched=_ids_of(services, principal, searched))


def _searched(
    chat: Chat, how: HowToAnswer, services: Services, principal: Principal
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The collections that a question is asked of, and all that it is looked for in, the conversation's files included."""
    chosen = chat.collections if how.collections is None else tuple(how.collections)
    return chosen, attachments.searched_in(services, principal, chat.chat_id, chosen, only_files=how.only_files)


def _ids_of(services: Services, principal: Principal, names: Sequence[str]) -> frozenset[int]:
    with services.database.read() as connection:
        return searched_ids(connection, principal, names)


async def keep_said(services: Services, principal: Principal, chat_id: str, said: Said) -> str:
    """Keeps an answer, or the part that was said of it, below its question; returns its message id.

    Raises NotFound where the conversation was deleted meanwhile; then the trace goes after it.
    """

    # Once more, since a document may have been purged while the answer waited for another one.
    answer = said.answer
    if answer is not None:
        answer = services.purges.clean(answer, principal.user_id, asked_at=said.asked_at)

    def append() -> str:
        return services.chats.answer(
            principal,
            chat_id,
            said.question_id,
            content=said.content if answer is None else answer["answer"],
            answer=answer,
            partial=said.answer is None,
            run_id=said.run_id,
            problem=said.problem,
            searched=said.searched,
        )

    try:
        return await services.offload(append)
    except NotFound:
        await forget_run(services, principal, said.run_id)
        raise


async def forget_run(services: Services, principal: Principal, run_id: str) -> None:
    """Deletes the trace of a run whose conversation is gone."""

    def forget() -> None:
        with services.database.write() as connection:
            services.traces.delete(connection, principal, [run_id])

    await services.offload(forget)
