"""The one place where the bounds of a run are checked: steps, tokens, seconds, tool calls, cost.

A limit is not a failure. The strategy that meets ``LimitReached`` gives what it has so far and says which limit it met.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

from agents.watch import LimitsWatched, Watch
from core.errors import LimitReached
from core.events import LMDone, LMEvent, TextDelta
from core.offload import apart
from core.protocols import LanguageModel, thinks
from core.types import Limits, Message, SamplingParams, ToolSpec, Usage

T = TypeVar("T")
LATE = "limit-seconds"  # the code of a limit that is one of time
_SLACK_S = 0.05  # between two that are late at the same time
THOUGHT_TOKENS, THOUGHT_SHARES = 2048, 4  # before one answer, of a model that thinks


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsWithin(LimitsWatched):
    """Those of a run within another. ``budgets``: what is made of them, for the outer run to be charged with."""

    budgets: list[Budget] = field(default_factory=list, compare=False, repr=False)


class Budget:
    """What is left of a run's ``Limits``. One per run; used by one task at a time.

    Args:
        limits: the bounds.
        clock: seconds, monotonic; given by tests.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._clock = clock
        given = limits.watch if isinstance(limits, LimitsWatched) else None
        self._watch = given or Watch(max_seconds=limits.max_seconds)
        self._began = clock()
        self.steps = 0
        self.tokens = 0
        self.thought_tokens = 0  # in the room that thoughts have of their own
        self.tool_calls = 0
        self.cost = 0.0
        self.paused_s = 0.0  # while which the clock stood
        if isinstance(limits, LimitsWithin):
            limits.budgets.append(self)

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._began

    @property
    def seconds_left(self) -> float:
        """As this look at the clock finds them; a replay counts the looks (``agents.watch``)."""
        return self._watch.look(self._on_the_clock())

    def _on_the_clock(self) -> float:
        return self.limits.max_seconds - self.elapsed_s

    @property
    def tokens_left(self) -> int:
        return max(0, self.limits.max_tokens - self.tokens)

    def take_step(self) -> None:
        """Counts one step; raises LimitReached before the step that would be one too many."""
        self.check()
        if self.steps >= self.limits.max_steps:
            raise self._no_step()
        self.steps += 1

    def spend_tokens(self, n: int) -> None:
        """Counts completion tokens; raises LimitReached when more than the limit have been spent."""
        self.tokens += n
        if self.tokens > self.limits.max_tokens:
            raise LimitReached(
                f"stopped after {self.limits.max_tokens} tokens, the limit of a run", code="limit-tokens"
            )

    def take_tool_call(self) -> None:
        """Counts one call of a tool; raises LimitReached before the one that would be one too many."""
        self.check()
        if self.tool_calls >= self.limits.max_tool_calls:
            raise LimitReached(
                f"stopped after {self.limits.max_tool_calls} tool calls, the limit of a run", code="limit-tool-calls"
            )
        self.tool_calls += 1

    def tokens_for(self, wanted: int) -> int:
        """How many of ``wanted`` completion tokens may still be asked for; raises LimitReached if none."""
        self.check()
        if self.tokens_left == 0:
            self.spend_tokens(1)
        return min(wanted, self.tokens_left)

    async def ask(
        self, lm: LanguageModel, messages: Sequence[Message], params: SamplingParams, tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[LMEvent, None]:
        """What ``lm`` says, within the run's seconds and its cost; tokens are the caller's to count.

        A model that thinks before it answers has room for that beside ``params.max_tokens``, so that eight tokens of an answer are
        eight tokens of an answer.

        Where the run has a cost limit, the answer is no longer than what is left can pay, and that much is set aside while
        it is said, so that several that speak at once cannot cost more than the run may.

        Raises:
            LimitReached: the seconds are used up, or the prompt alone costs more than is left, code "limit-cost".
        """
        bounded = self.limits.max_cost is not None
        prompt = await self.bounded(apart(lm.count_tokens, messages)) if bounded else 0
        thought = self._thought_room(lm)
        if bounded:
            payable = self._payable(prompt, params.max_tokens + thought)
            params = replace(params, max_tokens=min(params.max_tokens, payable))
            thought = min(thought, payable - params.max_tokens)
        most = Usage(prompt_tokens=prompt, completion_tokens=params.max_tokens + thought)
        aside = self.limits.cost(most) if bounded else 0.0
        self.cost += aside
        self.thought_tokens += thought  # set aside
        params = replace(params, thought_tokens=thought)
        usage: Usage | None = None
        pieces, said, thoughts = 0, 0, 0  # the latter two in characters
        try:
            async with aclosing(self.stream(lm.stream(messages, tools, params))) as events:
                async for event in events:
                    match event:
                        case TextDelta(text=text):
                            pieces += 1
                            said += len(text)
                        case LMDone(usage=usage, thought=before):
                            thoughts = len(before)
                    yield event
        finally:  # of an answer that was cut off, what was heard of it
            # What was thought counts as that, and not as said: the thought's share of the text, and whatever goes beyond the
            # answer's own room.
            beyond = 0
            if usage is not None:
                share = round(usage.completion_tokens * thoughts / max(1, said + thoughts))
                beyond = max(0, min(thought, max(share, usage.completion_tokens - params.max_tokens)))
            self.thought_tokens += beyond - thought
            self.tokens -= beyond
            self.cost += self.limits.cost(usage or Usage(prompt_tokens=prompt, completion_tokens=pieces)) - aside

    def _thought_room(self, lm: LanguageModel) -> int:
        """How many tokens ``lm`` may think before one answer, if it does that: no more than a share of what is left, so that of several that
        speak at once each has some."""
        left = max(0, self.limits.max_thought_tokens - self.thought_tokens)
        return min(THOUGHT_TOKENS, left // THOUGHT_SHARES) if thinks(lm) else 0

    def _payable(self, prompt_tokens: int, wanted: int) -> int:
        """How many of ``wanted`` completion tokens can be paid for after the prompt; raises LimitReached if none can."""
        if self.limits.max_cost is None:
            return wanted
        left = self.limits.max_cost - self.cost - self.limits.cost(Usage(prompt_tokens=prompt_tokens))
        one = self.limits.cost(Usage(completion_tokens=1))
        payable = wanted if left >= wanted * one else int(left / one) if one else 0
        if left < 0 or payable < 1:
            raise LimitReached(
                f"stopped after a cost of {self.cost:.4g}: the next request would pass {self.limits.max_cost:g}, the limit "
                "of a run",
                code="limit-cost",
            )
        return payable

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The clock stands while a person is waited for, who has a bound of their own."""
        began = self._clock()
        try:
            yield
        finally:
            self._stood(self._clock() - began)

    def _stood(self, seconds: float) -> None:
        self._began += seconds
        self.paused_s += seconds

    def left(self) -> LimitsWithin:
        """What a run within this one may still use; ``charge`` takes what it used from this one."""
        cost = self.limits.max_cost
        return LimitsWithin(
            max_cost=None if cost is None else max(0.0, cost - self.cost),
            max_steps=max(0, self.limits.max_steps - self.steps),
            max_tokens=self.tokens_left,
            max_thought_tokens=max(0, self.limits.max_thought_tokens - self.thought_tokens),
            max_seconds=max(0.0, self.seconds_left),
            max_tool_calls=max(0, self.limits.max_tool_calls - self.tool_calls),
            prompt_price=self.limits.prompt_price,
            completion_price=self.limits.completion_price,
            watch=self._watch,
        )

    def require(self) -> None:
        """Raises LimitReached where nothing is left of the steps, tokens or seconds."""
        self.tokens_for(1)
        if self.steps >= self.limits.max_steps:
            raise self._no_step()

    def charge(self, within: LimitsWithin) -> None:
        """Counts what a run within this one has used, and takes it from ``within``, so that nothing is counted twice."""
        for used in within.budgets:
            self.steps += used.steps
            self.tokens += used.tokens
            self.thought_tokens += used.thought_tokens
            self.tool_calls += used.tool_calls
            self.cost += used.cost
            self._stood(used.paused_s)
        within.budgets.clear()

    def check(self) -> None:
        """Raises LimitReached when the seconds are used up."""
        if self.seconds_left <= 0:
            raise self._late()

    async def bounded(self, work: Awaitable[T]) -> T:
        """Awaits ``work`` for as long as the run may last; it is cancelled, and LimitReached raised, after that."""
        left, watch = self.seconds_left, self._watch
        look, n_look = watch.last, watch.n_looks
        if watch.replaying and look in watch.broken:
            _discard(work)
            raise self._late()
        try:
            # A replay waits for nothing, and does not begin to where the run had given up.
            async with asyncio.timeout(None if watch.replaying else max(0.0, left)):
                return await work
        except asyncio.CancelledError:
            if self._on_the_clock() <= _SLACK_S:  # by one that awaits this and is late
                watch.broken[look] = n_look
            raise
        except TimeoutError:
            if not watch.broken_within(n_look):  # else it was something awaited within
                watch.broken[look] = n_look
            raise self._late() from None

    async def stream(self, events: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        """Passes ``events`` on, each awaited no longer than the run may last; the source is always closed."""
        # Each item has its own timeout: one around the loop would be entered and left in different tasks' turns.
        async with aclosing(_closable(events)) as source:
            while True:
                try:
                    event = await self.bounded(anext(source))
                except StopAsyncIteration:
                    return
                yield event

    def _no_step(self) -> LimitReached:
        return LimitReached(f"stopped after {self.limits.max_steps} steps, the limit of a run", code="limit-steps")

    def _late(self) -> LimitReached:
        return LimitReached(f"stopped after {self._watch.max_seconds:g} seconds, the limit of a run", code=LATE)


def _discard(work: Awaitable[T]) -> None:
    """Nobody will await it."""
    if isinstance(work, asyncio.Future):
        work.cancel()
    elif asyncio.iscoroutine(work):
        work.close()


class _Closable(AsyncIterator[T]):
    """An async iterator that can be closed whether or not its source is a generator."""

    def __init__(self, source: AsyncIterator[T]) -> None:
        self._source = source

    def __aiter__(self) -> _Closable[T]:
        return self

    async def __anext__(self) -> T:
        return await anext(self._source)

    async def aclose(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await cast("Callable[[], Awaitable[None]]", close)()


def _closable(source: AsyncIterator[T]) -> _Closable[T]:
    return _Closable(source)
