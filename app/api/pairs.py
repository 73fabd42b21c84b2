"""A question that is answered twice from the start, unseen, for a vote on two answers without names."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from app.api.ask import RunLimits, failure, left_or_ended
from app.api.guard import PrincipalHere, ServicesHere
from app.api.in_chat import HowToAnswer, Keep, Said, begin_in_chat, forget_run, keep_said
from app.api.sse import EventStream, event_bytes
from app.chat_votes import Pair, mark, way_name
from app.lm_choices import check_choice
from app.runs import Run
from app.services import Services
from app.strategies import MAY_ASK, STRATEGIES, check_strategy, unwatched
from app.two_answers import TwoAnswers
from core.errors import InvalidRequest, NotFound

MAX_WAYS = 50

router = APIRouter(prefix="/v1/chats", tags=["chats"])


class WayToAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: str
    model: str | None = Field(
        None, max_length=200, description="one of the `models` of /v1/strategies; null: the server's own"
    )

    @property
    def name(self) -> str:
        return way_name(self.strategy, self.model)


class AskTwice(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: str = Field(examples=["How much did net sales grow?"])
    ways: list[WayToAnswer] | None = Field(
        None,
        max_length=MAX_WAYS,
        description="two of these are drawn; null: of all strategies that can be had, by the server's own model",
        examples=[[{"strategy": "extract"}, {"strategy": "rag"}]],
    )
    instead_of: str | None = Field(None, description="a question of the conversation that it is asked in the place of")
    collections: list[str] | None = Field(None, description="null: those of the conversation", examples=[["filings"]])
    answer_policy: str | None = Field(None, pattern="^(mark|repair|strict)$", examples=["mark"])
    only_files: bool = Field(False, description="ask only the files of this conversation, no collection")
    stream: bool = Field(False, description="events: `run` for each answer that begins, then `compared` or `error`")
    limits: RunLimits = RunLimits()


@router.post("/{chat_id}/pairs")
async def ask_twice(
    chat_id: str, body: AskTwice, request: Request, services: ServicesHere, principal: PrincipalHere
) -> Response:
    """Asks in the conversation, and has two answers given, in two ways that are drawn at random, of which nothing is shown before
    both are there: then their texts in random order, without names, for a vote. `compared` is null where both say the same. If one
    is stopped or breaks off, the other is kept as an ordinary answer."""
    if body.instead_of is None:
        before = None
    else:
        before = (await services.offload(services.chats.question_of, principal, chat_id, body.instead_of)).message_id
    history = await services.offload(services.chats.history, principal, chat_id, before)
    drawn = await services.offload(_draw, services, body.ways)
    asked: list[str] = []  # the question's id, once it is kept
    begun: list[Run] = []

    def ask(searched: Collection[int]) -> str:
        asked.append(services.chats.ask(principal, chat_id, body.question, instead_of=before, searched=searched))
        return asked[0]

    async def begin(n: int, keep: Keep) -> Run:
        how = HowToAnswer(
            **body.model_dump(exclude={"question", "ways", "instead_of", "stream"}),
            strategy=drawn[n].strategy,
            model=drawn[n].model,
        )
        if begun:
            await services.other_models.given_back(begun[0].run_id)
        run = await begin_in_chat(
            chat_id, how, body.question, history, asked[0] if asked else ask, services, principal, keep
        )
        begun.append(run)
        return run

    async def keep(first: Said, second: Said | None) -> None:
        try:
            first_id = await keep_said(services, principal, chat_id, first)
        except NotFound:  # the conversation was deleted meanwhile
            if second is not None:
                await forget_run(services, principal, second.run_id)
            raise
        if second is not None and first.answer is not None and second.answer is not None:
            ways = (drawn[0].name, drawn[1].name)
            answer = mark(second.answer, first.answer, first_id, ways, from_start=True)
            await keep_said(services, principal, chat_id, dataclasses.replace(second, answer=answer))

    async def made() -> dict[str, Any]:
        pair: Pair | None = await services.offload(services.chat_votes.pair_of, principal, chat_id, asked[0])
        return {"compared": pair.to_json() if pair is not None else None}

    two = TwoAnswers[Said](begin, lambda said: said.answer is not None, keep)
    await two.start()
    if body.stream:
        return EventStream(_as_events(two, made))
    await left_or_ended(two, request)
    if two.error is not None:
        raise two.error
    return JSONResponse(await made()) if two.done else failure(None)


def _draw(services: Services, wanted: Sequence[WayToAnswer] | None) -> tuple[WayToAnswer, WayToAnswer]:
    """Two different ones, each pair and each order as likely.

    Raises:
        InvalidRequest: fewer than two, or one that there is not, or that waits for a person's yes.
        ModelUnavailable: the file of a model is not there.
    """
    here = unwatched(services)
    ways = [WayToAnswer(strategy=name) for name in here] if wanted is None else list(dict.fromkeys(wanted))
    for way in ways:
        check_strategy(way.strategy)
        # Another model makes up for the server's own that is missing.
        if way.strategy not in here and (
            way.model is None or (services.settings.mcp_servers and way.strategy in MAY_ASK)
        ):
            raise InvalidRequest(f"strategy {way.strategy!r} cannot be drawn just now: choose of {', '.join(here)}")
        if way.model is not None:
            check_choice(services.settings, way.model)
    ways = list(
        dict.fromkeys(way if STRATEGIES[way.strategy].needs_lm else WayToAnswer(strategy=way.strategy) for way in ways)
    )
    if len(ways) < 2:
        raise InvalidRequest(
            "two different ways to answer are needed: choose more of them, or none to have them drawn of all; a language model makes "
            "more (GET /v1/strategies says what is missing)",
            code="one-way",
        )
    first, second = secrets.SystemRandom().sample(ways, 2)
    return first, second


async def _as_events(two: TwoAnswers[Said], made: Callable[[], Awaitable[dict[str, Any]]]) -> AsyncIterator[bytes]:
    """The id of each run as it begins, to stop it by, and nothing of what is said. A reader who leaves stops both."""
    run_id = ""
    try:
        async for run in two.runs():
            run_id = run.run_id
            yield event_bytes("run", {"run_id": run_id})
        await two.wait()
        if two.error is not None:
            yield event_bytes("error", {"code": two.error.code, "message": two.error.message, "run_id": run_id})
        elif two.done:
            yield event_bytes("compared", await made())
        else:
            yield event_bytes("error", {"code": "cancelled", "message": "stopped", "run_id": run_id})
    finally:
        two.cancel()
        await two.wait()
