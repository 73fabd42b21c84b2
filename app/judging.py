"""A language model asked which of two answers is better, one reply after the other; both ``openbook eval judge`` and the server ask here.

Knows how to ask, not where replies are kept: it is handed what is known, and hands over what is new.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from core.errors import Busy, TooLarge
from core.protocols import LanguageModel
from core.types import SamplingParams
from eval.judge import SHAPE, Pair, Replies, is_known, kept_reply, prompts_of, reply_key
from lm.complete import complete_json

# Told (pairs known by now, what is new: replies by name); what it raises ends the asking. It has to put what is new where ``known`` looks.
Keep: TypeAlias = Callable[[int, Mapping[str, Mapping[str, Any]]], Awaitable[None]]

_MAX_TOKENS = 40  # of a verdict


async def ask_judge(lm: LanguageModel, pairs: Sequence[Pair], known: Replies, keep: Keep) -> int:
    """Asks in both orders about every pair of which that is not known, at temperature 0.

    Args:
        known: replies by ``reply_key``, as they are kept.

    Returns:
        How many replies were new.

    Raises:
        OpenbookError: the model failed; what was kept by then is known the next time.
    """
    left = [pair for pair in pairs if not is_known(pair, lm.name, known)]
    done, asked = len(pairs) - len(left), 0
    await keep(done, {})
    for pair in left:
        new: dict[str, Mapping[str, Any]] = {}
        for prompt in prompts_of(pair):
            key = reply_key(lm.name, prompt)
            if key not in known:  # else another pair has the same question with the same answers
                new[key] = await _reply(lm, prompt, functools.partial(keep, done, {}))
        done, asked = done + 1, asked + len(new)
        await keep(done, new)
    return asked


async def _reply(lm: LanguageModel, prompt: str, meanwhile: Callable[[], Awaitable[None]]) -> Mapping[str, Any]:
    params = SamplingParams(temperature=0.0, max_tokens=_MAX_TOKENS)
    while True:
        try:
            return {"reply": kept_reply((await complete_json(lm, SHAPE, prompt, params)).reply)}
        except Busy as e:  # people who wait for an answer come first
            await asyncio.sleep(e.retry_after_s)
            await meanwhile()
        except TooLarge as e:
            if e.code != "prompt-too-long":
                raise
            return {"reply": "", "too_long": True}
