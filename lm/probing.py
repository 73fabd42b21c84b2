"""Asks an OpenAI-compatible server what it can do, in six requests of a few words, or seven. Knows no network: it speaks through the runtime, which
learns from every answer (``lm.abilities``).

What is asked for is what no model says by itself, so that heeding can be told from luck.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from core.errors import InvalidRequest, RetryModel
from core.protocols import LanguageModel
from core.types import Message, SamplingParams, ToolSpec
from lm.abilities import Abilities
from lm.complete import complete

_FORM = "water-(7|8)"
_SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"water": {"enum": ["river-7", "lake-8"]}},
        "required": ["water"],
        "additionalProperties": False,
    }
)
_TOOL = ToolSpec(
    name="note",
    description="Notes a word.",
    parameters={
        "type": "object",
        "properties": {"word": {"type": "string"}},
        "required": ["word"],
        "additionalProperties": False,
    },
)
_TOKENS = 32  # of an answer
_THOUGHT_TOKENS = 512  # of a thought before it, once the model has turned out to think
_SEED = 7
_HOT = 1.0  # temperature at which two answers are alike only if the seed was heeded


async def find_out(lm: LanguageModel, abilities: Abilities) -> None:
    """Fills ``abilities``, which are those of ``lm``; what an answer leaves open stays unknown.

    Raises:
        ModelUnavailable, Busy: the server does not answer.
    """
    short = SamplingParams(max_tokens=_TOKENS, thought_tokens=_THOUGHT_TOKENS)
    await _say(lm, "Say hello.", short)  # whether it thinks, and gives log-probabilities
    if abilities.opens_thought is None and abilities.thinks is not True:
        # So long a greeting may be a thought that the template has opened: its end tells.
        await _say(lm, "Say hello.", replace(short, max_tokens=_THOUGHT_TOKENS))
    await _say(lm, "Say hello.", replace(short, regex=_FORM))
    await _say(lm, "Say hello.", replace(short, schema=_SCHEMA))
    await _say(lm, "Say hello.", replace(short, max_tokens=1), [_TOOL])
    hot = replace(short, temperature=_HOT, seed=_SEED)
    one, other = [await _say(lm, "Name some towns.", hot) for _ in range(2)]
    abilities.seed = one == other if one else None


async def _say(lm: LanguageModel, text: str, params: SamplingParams, tools: Sequence[ToolSpec] = ()) -> str:
    try:
        return (await complete(lm, [Message(role="user", content=text)], tools, params)).text
    except (InvalidRequest, RetryModel):  # refused, or a call that broke off: either is an answer to what was asked
        return ""
