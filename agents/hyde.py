"""Hypothetical document embeddings: what an answer might look like is nearer to the answer than the question is.

Gao et al. 2022, "Precise zero-shot dense retrieval without relevance labels": n = 8 passages at T = 0.7; searched for is
the mean of their vectors and the query's own. What the passages claim is not believed, shown or quoted: they are a way to
look, and only the vector half of a search uses them.
"""

from __future__ import annotations

import asyncio

from agents.limits import Budget
from agents.prompts import Prompts
from agents.saying import fits, say
from agents.watch import branch
from core.protocols import LanguageModel
from core.types import Message, SamplingParams, Usage

PROMPT = "hyde_user.j2"
N_PASSAGES = 8
PASSAGE_TOKENS = 96
_TEMPERATURE = 0.7
_AT_ONCE = 4  # requests to the model under way: others ask it, too


async def imagine(
    question: str, lm: LanguageModel, prompts: Prompts, budget: Budget, *, n: int = N_PASSAGES
) -> tuple[tuple[str, ...], Usage]:
    """Up to ``n`` passages that might answer, as many as the run's tokens allow; the i-th is drawn with seed i.

    Raises:
        LimitReached: the run's steps or seconds are used up.
    """
    messages = [Message(role="user", content=prompts.render(PROMPT, question=question))]
    n = min(n, budget.tokens_left // PASSAGE_TOKENS)
    if n < 1 or not await budget.bounded(fits(lm, messages, PASSAGE_TOKENS)):
        return (), Usage()
    budget.take_step()
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(seed: int) -> tuple[str, Usage]:
        params = SamplingParams(temperature=_TEMPERATURE, max_tokens=PASSAGE_TOKENS, seed=seed)
        async with turns:
            return await say(lm, messages, params, budget)

    tasks = [asyncio.create_task(one(i), context=branch(i)) for i in range(n)]
    try:
        said = await asyncio.gather(*tasks)
    finally:  # one that failed leaves none of the others behind
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    usage = sum((spent for _, spent in said), Usage())
    budget.spend_tokens(usage.completion_tokens)
    return tuple(text for text, _ in said if text), usage
