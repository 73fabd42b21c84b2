"""A bounded, fair queue in front of a language model. Knows who waits, not what is asked.

At most ``running`` requests are with the model and at most ``waiting`` wait. Among the users who wait, places are
given in turn, and to each user's own requests in order: one person with ten questions does not hold up another with
one. Belongs to one event loop, so it needs no lock.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from core.around import AroundLM
from core.errors import Busy, InvalidRequest
from core.events import LMEvent
from core.protocols import LanguageModel
from core.types import LOCAL_USER_ID, Message, SamplingParams, ToolSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_FIRST_GUESS_S = 5.0  # of how long a request takes, before any has ended


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatus:
    running: int
    waiting: int
    max_running: int
    max_waiting: int


class LMQueue(AroundLM):
    """A LanguageModel that lets only so many requests through to ``lm``.

    ``for_user`` gives the same queue as seen by one person; the queue itself speaks for the local user.

    Raises (from ``stream``):
        Busy: the queue is full; ``retry_after_s`` says when a place may be free.
    """

    def __init__(self, lm: LanguageModel, *, max_waiting: int, max_running: int = 1) -> None:
        if max_waiting < 0 or max_running < 1:
            raise InvalidRequest(f"a queue of {max_waiting} waiting and {max_running} running: use ≥ 0 and ≥ 1")
        super().__init__(lm)
        self._max_waiting = max_waiting
        self._max_running = max_running
        self._running = 0
        self._turns: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()  # users in the order of their turn
        self._mean_s = _FIRST_GUESS_S

    def status(self) -> QueueStatus:
        waiting = sum(map(len, self._turns.values()))
        return QueueStatus(
            running=self._running, waiting=waiting, max_running=self._max_running, max_waiting=self._max_waiting
        )

    def check(self) -> None:
        """Raises Busy if a request would be refused now, so that a server can say so before it begins to stream."""
        now = self.status()
        if now.running >= now.max_running and now.waiting >= now.max_waiting:
            wait = math.ceil(self._mean_s * (now.waiting + 1) / now.max_running)
            raise Busy(
                f"{now.running} requests are with the language model and {now.waiting} wait, which is all that may:"
                f" try again in {wait} s",
                retry_after_s=max(1, wait),
            )

    def for_user(self, user_id: str) -> LanguageModel:
        return _UserView(self, user_id)

    def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], params: SamplingParams
    ) -> AsyncIterator[LMEvent]:
        return self.stream_for(LOCAL_USER_ID, messages, tools, params)

    async def stream_for(
        self, user_id: str, messages: Sequence[Message], tools: Sequence[ToolSpec], params: SamplingParams
    ) -> AsyncGenerator[LMEvent, None]:
        """``stream`` for one person; closing it, waiting or running, frees its place."""
        await self._enter(user_id)
        began = time.monotonic()
        try:
            stream = cast("AsyncGenerator[LMEvent, None]", self._lm.stream(messages, tools, params))
            async with aclosing(stream):
                async for event in stream:
                    yield event
        finally:
            self._mean_s = 0.8 * self._mean_s + 0.2 * (time.monotonic() - began)
            self._leave()

    async def _enter(self, user_id: str) -> None:
        if self._running < self._max_running and not self._turns:
            self._running += 1
            return
        self.check()
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.setdefault(user_id, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave()  # the place was given in the same moment: pass it on
            else:
                self._forget(user_id, place)
            raise

    def _leave(self) -> None:
        self._running -= 1
        while self._turns and self._running < self._max_running:
            user_id, places = self._turns.popitem(last=False)
            place = places.popleft()
            if places:
                self._turns[user_id] = places  # to the end: the others come first now
            if not place.done():
                self._running += 1
                place.set_result(None)

    def _forget(self, user_id: str, place: asyncio.Future[None]) -> None:
        places = self._turns.get(user_id)
        if places is not None and place in places:
            places.remove(place)
            if not places:
                del self._turns[user_id]


class _UserView(AroundLM):
    """One person's view of a queue."""

    def __init__(self, queue: LMQueue, user_id: str) -> None:
        super().__init__(queue)
        self._queue = queue
        self._user_id = user_id

    def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], params: SamplingParams
    ) -> AsyncIterator[LMEvent]:
        return self._queue.stream_for(self._user_id, messages, tools, params)
