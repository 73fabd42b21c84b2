"""Questions that the configured language model writes, one passage after the other, within a time. Part of the wiring."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.errors import ModelUnavailable, OpenbookError
from core.protocols import LanguageModel
from core.types import Principal, SamplingParams
from eval.questions import MadeQuestion
from eval.written import NO_JSON, SHAPE, Asked, read_question
from lm.complete import complete_json

if TYPE_CHECKING:
    from app.services import Services

WITHIN_S = 600.0  # whoever asked waits for it
_TRIES = 2  # passages that are asked about for each question that is wanted
_TRIES_OF_ONE = 2  # replies of one passage, where the first is no JSON
_MAX_TOKENS = 160  # of a reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """``not_kept``: reason → how many replies. ``late``: time was up before there were enough."""

    by: str
    questions: tuple[MadeQuestion, ...]
    asked: int
    not_kept: dict[str, int] = field(default_factory=dict)
    late: bool = False


def writer(services: Services, principal: Principal) -> LanguageModel:
    """Raises ModelUnavailable where there is no language model."""
    queue = services.models.lm
    if queue is None:
        raise ModelUnavailable(
            "questions are written by a language model, and there is none: choose one in the settings (lm_runtime), or "
            "have them made by rule"
        )
    return queue.for_user(principal.user_id)


async def write_questions(lm: LanguageModel, passages: Sequence[Asked], n: int, within_s: float = WITHIN_S) -> Written:
    """Asks for a question of each passage until ``n`` can be used.

    Raises:
        OpenbookError: the model failed.
    """
    ends = time.monotonic() + within_s
    params = SamplingParams(temperature=0.0, max_tokens=_MAX_TOKENS)
    kept: list[MadeQuestion] = []
    why: Counter[str] = Counter()
    asked = 0
    for passage in passages[: _TRIES * n]:
        if len(kept) >= n or time.monotonic() > ends:
            break
        asked += 1
        try:
            heard = await complete_json(lm, SHAPE, passage.prompt, params, tries=_TRIES_OF_ONE)
        except OpenbookError as e:
            if e.code != "prompt-too-long":
                raise
            why["the passage is too long for the model"] += 1
            continue
        # What a question says is no reason to ask again: the next passage is as good.
        found = NO_JSON if heard.value is None else read_question(heard.value, passage)
        if isinstance(found, str):
            why[found] += 1
        else:
            kept.append(found)
    late = len(kept) < n and time.monotonic() > ends
    return Written(by=lm.name, questions=tuple(kept), asked=asked, not_kept=dict(why), late=late)
