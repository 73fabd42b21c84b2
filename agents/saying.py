"""One short thing that the language model is asked on the way to an answer, whole rather than streamed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

from agents.limits import Budget
from core.events import LMDone, TextDelta
from core.protocols import LanguageModel
from core.types import Message, SamplingParams, Usage


async def say(
    lm: LanguageModel, messages: Sequence[Message], params: SamplingParams, budget: Budget
) -> tuple[str, Usage]:
    """What the model says, and what it cost; no tool is offered. The cost is not yet counted in ``budget``.

    Raises:
        LimitReached: the run's seconds are used up.
    """
    said, usage = "", Usage()
    async with aclosing(budget.stream(lm.stream(messages, (), params))) as events:
        async for event in events:
            match event:
                case TextDelta(text=text):
                    said += text
                case LMDone(usage=spent):
                    usage = spent
                case _:
                    pass  # a tool call: none was offered
    return said.strip(), usage


def fits(lm: LanguageModel, messages: Sequence[Message], max_tokens: int) -> bool:
    """Whether the model can read ``messages`` and still say so much."""
    return lm.count_tokens(messages) + max_tokens <= lm.context_tokens
