"""One short thing that the language model is asked on the way to an answer, whole rather than streamed; or several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agents.limits import Budget
from agents.looping import is_looping
from agents.watch import branch
from core.events import LMDone, TextDelta, ToolCallMade
from core.offload import apart
from core.protocols import LanguageModel
from core.types import FinishReason, Message, SamplingParams, ToolCall, ToolSpec, Usage

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One whole answer of a model. ``logprobs`` are those of its tokens, empty where the runtime gives none."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish: FinishReason = "stop"
    usage: Usage = field(default_factory=Usage)
    logprobs: tuple[float, ...] = ()
    thought: str = ""  # of a reasoning model, before its answer


async def listen(
    lm: LanguageModel,
    messages: Sequence[Message],
    params: SamplingParams,
    budget: Budget,
    tools: Sequence[ToolSpec] = (),
) -> Said:
    """Everything the model says to one request, white space and all; it is cut off where it only repeats itself.

    What it cost is not yet counted in ``budget``.

    Raises:
        LimitReached: the run's seconds are used up.
    """
    text, calls, usage = "", [], Usage()
    logprobs: list[float] = []
    finish: FinishReason = "stop"
    thought = ""
    pieces = 0
    async with aclosing(budget.ask(lm, messages, params, tools)) as events:
        async for event in events:
            match event:
                case TextDelta(text=piece, logprobs=more):
                    text += piece
                    pieces += 1
                    logprobs += more
                    if is_looping(text):
                        usage = Usage(completion_tokens=pieces)
                        break
                case ToolCallMade(call=call):
                    calls.append(call)
                case LMDone(finish_reason=finish, usage=usage, thought=thought):
                    pass
    return Said(
        text=text, tool_calls=tuple(calls), finish=finish, usage=usage, logprobs=tuple(logprobs), thought=thought
    )


def mean_logprob(logprobs: Sequence[float]) -> float | None:
    """Of so many tokens; None of none."""
    return sum(logprobs) / len(logprobs) if logprobs else None


async def say(
    lm: LanguageModel, messages: Sequence[Message], params: SamplingParams, budget: Budget
) -> tuple[str, Usage]:
    """What the model says without the white space around it, and what it cost; no tool is offered. See ``listen``."""
    said = await listen(lm, messages, params, budget)
    return said.text.strip(), said.usage


async def tokens_in(lm: LanguageModel, messages: Sequence[Message]) -> int:
    """How many tokens the model reads them as. Counting waits for a model that is busy or is being loaded, so it is not done in the event
    loop (docs/decisions/0020)."""
    return await apart(lm.count_tokens, messages)


async def fits(lm: LanguageModel, messages: Sequence[Message], max_tokens: int) -> bool:
    """Whether the model can read ``messages`` and still say so much."""
    return await tokens_in(lm, messages) + max_tokens <= lm.context_tokens


async def together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What each comes to, in order. Where one fails the others are cancelled and waited for, and its error is raised: nothing
    goes on speaking behind a run that has ended."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work, context=branch(n)) for n, work in enumerate(works)]
    except ExceptionGroup as e:
        raise e.exceptions[0] from None
    return [task.result() for task in tasks]
