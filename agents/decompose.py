"""A question that asks several things is searched for each of them, and the lists become one.

The language model proposes the parts. A part that shares no word with the question is thrown away: it is the model's
own idea. The question itself is always searched, too, so a bad split costs room in the list and no more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agents.lexical import terms
from agents.limits import Budget
from agents.prompts import Prompts
from agents.saying import fits, say
from core.protocols import LanguageModel
from core.types import WHOLE, Hit, Message, SamplingParams, StagePart, Usage

DECOMPOSE_PROMPTS = ("decompose_system.j2", "decompose_user.j2")
MOST = 3
PARTS_TOKENS = 128
STAGE = "parts"  # how hits name the fusion of the parts' lists
_MAX_CHARACTERS = 300
_RRF_K = 60
_BULLET = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,2}[.):])\s*")


async def sub_questions(
    question: str, lm: LanguageModel, prompts: Prompts, budget: Budget
) -> tuple[tuple[str, ...], Usage]:
    """At most three parts of ``question``, none where it is simple or the model does not understand the task.

    Raises:
        LimitReached: the run's steps or seconds are used up.
    """
    messages = [
        Message(role="system", content=prompts.render(DECOMPOSE_PROMPTS[0], most=MOST)),
        Message(role="user", content=prompts.render(DECOMPOSE_PROMPTS[1], question=question)),
    ]
    if budget.tokens_left < PARTS_TOKENS or not await budget.bounded(fits(lm, messages, PARTS_TOKENS)):
        return (), Usage()
    budget.take_step()
    said, usage = await say(lm, messages, SamplingParams(temperature=0.0, max_tokens=PARTS_TOKENS), budget)
    budget.spend_tokens(usage.completion_tokens)
    return read_parts(said, question), usage


def read_parts(said: str, question: str) -> tuple[str, ...]:
    """The lines of ``said`` that are parts of ``question``: bullets taken off, repeats and inventions left out."""
    asked = set(terms(question))
    found: dict[str, str] = {" ".join(question.casefold().split()): ""}
    for line in said.splitlines():
        part = _BULLET.sub("", line).strip().strip('"').strip()
        key = " ".join(part.casefold().split())
        if not part or len(part) > _MAX_CHARACTERS or key in found or not asked & set(terms(part)):
            continue
        found[key] = part
    return tuple(part for part in found.values() if part)[:MOST]


def fuse(lists: Sequence[Sequence[Hit]], k: int) -> list[Hit]:
    """Reciprocal rank fusion over passages: Σ over the lists of 1 / (60 + rank), rank from 1 (Cormack et al. 2009).

    A hit keeps the stages of the list in which it stood highest, but for what put it first there, which these scores do not have; ties go to the earlier list, then to its order.
    """
    scores: dict[str, float] = {}
    best: dict[str, Hit] = {}
    for hits in lists:
        for rank, hit in enumerate(hits, start=1):
            one = hit.chunk.chunk_id
            scores[one] = scores.get(one, 0.0) + 1.0 / (_RRF_K + rank)
            if one not in best or hit.rank < best[one].rank:
                best[one] = hit
    ranked = sorted(scores, key=lambda one: -scores[one])[:k]
    return [
        replace(
            best[one],
            rank=rank,
            score=scores[one],
            source=STAGE,
            parts={
                **{name: part for name, part in best[one].parts.items() if name != WHOLE},
                STAGE: StagePart(rank=rank, score=scores[one]),
            },
        )
        for rank, one in enumerate(ranked, start=1)
    ]
