"""Best of n, chosen by the verifier: several answers to one question, and the one that its passages support best is given.

The first answer is the greedy one and the others are sampled, so that n = 1 is the strategy itself and more can only be taken
where the verifier prefers it: ties go to the earlier. The verifier never sees a right answer. Each candidate is a step of kind
"expand" with what it was found worth.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from agents import context
from agents.abstain import is_abstention
from agents.cot import EXAMPLES, TEMPERATURE, Example, passages_for, think
from agents.cot import PROMPT as COT_PROMPT
from agents.desk import AtDesk, Desk, Kit
from agents.saying import together
from agents.self_rag import written_from
from agents.support import support_of
from core.errors import LimitReached
from core.types import Message, Usage

_ABSTAINED = 0.25  # worth more than an answer that nothing supports, less than one with half of its sentences supported


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One answer. ``worth`` is the share of its sentences that are supported; ``score`` their mean score, for ties."""

    text: str
    usage: Usage
    logprobs: tuple[float, ...] = ()  # of the tokens of ``text``, where they are known
    worth: float = 0.0
    score: float = 0.0


Draft = Callable[[float, int | None], Awaitable[Candidate]]  # temperature and seed → a candidate without its worth


def best_of_rag(kit: Kit, n: int, *, temperature: float = TEMPERATURE) -> AtDesk:
    """Strategy ``rag`` with ``n`` drafts, all from the passages of one search."""

    async def loop(desk: Desk, question: str, history: Sequence[Message]) -> None:
        await desk.open(question, history)
        desk.budget.take_step()
        found = await desk.search(desk.question)
        if not found:
            desk.do_not_know("")
            return
        room = min(desk.kit.max_answer_tokens, desk.kit.lm.context_tokens // 4)
        while len(found) > 1 and not await desk.fits(written_from(desk, found), room):
            found = found[:-1]
        del desk.hits[len(found) :]  # what was not shown cannot be what the answer rests on

        async def draft(t: float, seed: int | None) -> Candidate:
            said = await desk.ask(written_from(desk, found), temperature=t, seed=seed)
            return Candidate(text=said.text.strip(), usage=said.usage, logprobs=said.logprobs)

        await _best(desk, draft, n, temperature)

    return AtDesk("rag", loop, kit, (context.SYSTEM, context.USER))


def best_of_cot(kit: Kit, n: int, *, examples: Sequence[Example] = (), temperature: float = TEMPERATURE) -> AtDesk:
    """Strategy ``cot`` with ``n`` chains; their answers are judged, not their reasoning."""

    async def loop(desk: Desk, question: str, history: Sequence[Message]) -> None:
        await desk.open(question, history)
        shown = await passages_for(desk)

        async def draft(t: float, seed: int | None) -> Candidate:
            chain = await think(desk, shown, examples, temperature=t, seed=seed)
            return Candidate(text=chain.answer, usage=chain.usage, logprobs=chain.answer_logprobs)

        await _best(desk, draft, n, temperature)

    return AtDesk("cot", loop, kit, (COT_PROMPT, EXAMPLES) if examples else (COT_PROMPT,))


async def _best(desk: Desk, draft: Draft, n: int, temperature: float) -> None:
    """Ends the run with the best of ``n`` drafts; those that a limit left unsaid are not waited for."""
    desk.budget.take_step()
    began = desk.recorder.now_s()
    limit = ""

    async def one(number: int) -> Candidate | None:
        nonlocal limit
        try:
            said = await (draft(0.0, None) if number == 0 else draft(temperature, number))
        except LimitReached as e:
            limit = e.message
            return None
        return await desk.kit.offload(judged, desk, said)

    made = await together(one(number) for number in range(n))
    candidates = [c for c in made if c is not None]
    if not candidates:
        raise LimitReached(limit or "no answer was made")
    for c in candidates:
        desk.step("expand", thought=f"Worth {c.worth:.2f} ({c.score:.2f}): {c.text}", usage=c.usage, started_s=began)
    best = best_of(candidates)
    desk.step("plan", thought=f"Answer {best + 1} of {len(candidates)} is taken: its passages support it best.")
    await desk.cite(candidates[best].text, limit=limit, logprobs=candidates[best].logprobs)


def best_of(candidates: Sequence[Candidate]) -> int:
    """The index of the one that is given: the earliest of equals."""
    return max(range(len(candidates)), key=lambda i: (candidates[i].worth, candidates[i].score))


def judged(desk: Desk, said: Candidate) -> Candidate:
    """A candidate with its worth. Calls the verifier."""
    if not said.text:
        return said
    if is_abstention(said.text):
        return replace(said, worth=_ABSTAINED)
    claims = support_of(said.text, desk.hits, desk.kit.verifier)
    if not claims:
        return said
    share = sum(c.verdict.label == "supported" for c in claims) / len(claims)
    mean = sum(c.verdict.score for c in claims) / len(claims)
    return replace(said, worth=share, score=mean)
