"""Lets the language model make a follow-up standalone, and keeps its hands off the question when it fails at that."""

from __future__ import annotations

from collections.abc import Sequence

from agents.context import inert
from agents.followup import standalone_by_rule
from agents.lexical import terms
from agents.limits import Budget
from agents.prompts import Prompts
from agents.saying import fits, say
from core.protocols import LanguageModel
from core.types import Message, SamplingParams, Usage

CONDENSE_PROMPTS = ("condense_system.j2", "condense_user.j2")
_TURNS = 4
_TURN_CHARACTERS = 400
_MAX_TOKENS = 64
_MAX_CHARACTERS = 400


async def rewrite(
    question: str, history: Sequence[Message], lm: LanguageModel, prompts: Prompts, budget: Budget
) -> tuple[str, Usage]:
    """The standalone question, and what it cost. Falls back to the rule where the model's answer is no rewriting."""
    budget.take_step()
    turns = [
        {"role": m.role, "content": inert(" ".join(m.content.split())[:_TURN_CHARACTERS])}
        for m in history[-_TURNS:]
        if m.role in ("user", "assistant")
    ]
    messages = [
        Message(role="system", content=prompts.render(CONDENSE_PROMPTS[0])),
        Message(role="user", content=prompts.render(CONDENSE_PROMPTS[1], turns=turns, question=question)),
    ]
    by_rule = standalone_by_rule(question, history)
    if budget.tokens_left < _MAX_TOKENS or not await budget.bounded(fits(lm, messages, _MAX_TOKENS)):
        return by_rule, Usage()
    said, usage = await say(lm, messages, SamplingParams(temperature=0.0, max_tokens=_MAX_TOKENS), budget)
    budget.spend_tokens(usage.completion_tokens)
    rewritten = said.strip('"').strip()
    return (rewritten if _is_rewriting(question, rewritten, history) else by_rule), usage


def _is_rewriting(question: str, rewritten: str, history: Sequence[Message]) -> bool:
    """One line, of reasonable length, that keeps the question's words and takes the others from the conversation."""
    if not rewritten or "\n" in rewritten or len(rewritten) > _MAX_CHARACTERS:
        return False
    asked, got = set(terms(question)), set(terms(rewritten))
    said = set().union(*(terms(m.content) for m in history)) if history else set[str]()
    kept = len(asked & got) >= 0.5 * len(asked)
    invented = len(got - asked - said) > 0.34 * max(1, len(got))
    return bool(got) and kept and not invented
