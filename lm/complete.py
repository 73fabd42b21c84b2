"""Folds a stream of language model events into one Completion, or into one object of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from core.errors import ModelUnavailable
from core.events import LMDone, LMEvent, TextDelta, ToolCallMade
from core.json_replies import TRIES, Heard, Json, Shape, again, ask_json
from core.protocols import LanguageModel, thinks
from core.types import Completion, Message, SamplingParams, ToolCall, ToolSpec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_THOUGHT_TOKENS = 2048


async def complete(
    lm: LanguageModel,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec] = (),
    params: SamplingParams | None = None,
) -> Completion:
    """Asks ``lm`` and waits for the whole answer. Cancelling the caller stops the generation. A model that thinks has room for that,
    unless ``params`` say how much.

    Raises:
        ModelUnavailable: the stream ended without saying that it is done.
    """
    params = params or SamplingParams()
    if thinks(lm) and not params.thought_tokens:
        params = replace(params, thought_tokens=_THOUGHT_TOKENS)
    text: list[str] = []
    calls: list[ToolCall] = []
    # The protocol says AsyncIterator; every runtime is a generator, and closing it is how one cancels.
    stream = cast("AsyncGenerator[LMEvent, None]", lm.stream(messages, tools, params))
    async with aclosing(stream):
        async for event in stream:
            match event:
                case TextDelta():
                    text.append(event.text)
                case ToolCallMade():
                    calls.append(event.call)
                case LMDone():
                    return Completion(
                        text="".join(text),
                        tool_calls=tuple(calls),
                        finish_reason=event.finish_reason,
                        usage=event.usage,
                        thought=event.thought,
                    )
    raise ModelUnavailable(f"the answer of {lm.name} broke off without an end: ask again")


async def complete_json(
    lm: LanguageModel, shape: Shape, prompt: str, params: SamplingParams, *, tries: int = TRIES
) -> Heard[Json]:
    """Asks ``lm`` for an object of ``shape``, and again where a reply is none; ``params`` are without a form. Raises as ``complete``."""

    async def ask(messages: Sequence[Message], params: SamplingParams) -> str:
        return (await complete(lm, messages, (), params)).text

    def prompted(trouble: str) -> list[Message]:
        return [Message(role="user", content=again(prompt, trouble))]

    def as_it_is(said: Json) -> Json | str:
        return said

    return await ask_json(shape, lm, prompted, as_it_is, ask, params, tries=tries)
