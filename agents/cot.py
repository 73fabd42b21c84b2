"""Chain of thought, zero-shot and few-shot, and self-consistency over it.

Zero-shot (Kojima et al. 2022) asks twice: "Q: … A: Let's think step by step." gives the reasoning, and the same with the
reasoning and "Therefore, the answer is" behind it gives the answer. Few-shot (Wei et al. 2022) asks once, after
worked examples (those most like the question), and the answer is what follows "the answer is". Self-consistency (Wang et al. 2022) samples n chains and
takes the majority of their answers, normalised; ties go to the higher mean log-probability, then to the earlier.

Where a collection is asked, its best passages stand before the question, marked as data; the papers had none.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agents import context
from agents.abstain import is_abstention
from agents.desk import AtDesk, Desk, Kit
from agents.examples import nearest
from agents.prompts import Prompts
from agents.saying import mean_logprob, together
from core.errors import LimitReached
from core.text import fold
from core.types import Hit, Message, Usage

PROMPT = "cot.j2"
EXAMPLES = "cot_examples.json"
SAMPLES, TEMPERATURE = 10, 0.7
SHOWN = 4  # of the worked examples, those most like the question
_ANSWER_TOKENS = 64
_ANSWER_IS = re.compile(r"\banswer is:?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One worked example."""

    question: str
    reasoning: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One chain of thought. ``logprob`` is the mean over its tokens, reasoning and answer, None where the runtime gives none;
    ``answer_logprobs`` are those of the answer, empty where it was not asked for by itself."""

    reasoning: str
    answer: str
    usage: Usage
    logprob: float | None = None
    answer_logprobs: tuple[float, ...] = ()


def load_examples(prompts: Prompts) -> tuple[Example, ...]:
    """The worked examples of ``prompts``."""
    return tuple(Example(**e) for e in json.loads(prompts.source(EXAMPLES)))


def cot(kit: Kit, *, examples: Sequence[Example] = ()) -> AtDesk:
    """The strategy; few-shot where ``examples`` are given."""

    async def loop(desk: Desk, question: str, history: Sequence[Message]) -> None:
        await desk.open(question, history)
        found = await passages_for(desk)
        desk.budget.take_step()
        began = desk.recorder.now_s()
        chain = await think(desk, found, examples)
        desk.step("plan", thought=chain.reasoning, usage=chain.usage, started_s=began)
        await desk.cite(chain.answer, logprobs=chain.answer_logprobs)

    return AtDesk("cot", loop, kit, (PROMPT, EXAMPLES) if examples else (PROMPT,))


def self_consistency(
    kit: Kit, *, n: int = SAMPLES, temperature: float = TEMPERATURE, examples: Sequence[Example] = ()
) -> AtDesk:
    """The strategy: ``n`` chains side by side, and a vote."""

    async def loop(desk: Desk, question: str, history: Sequence[Message]) -> None:
        await desk.open(question, history)
        found = await passages_for(desk)
        desk.budget.take_step()
        began = desk.recorder.now_s()
        limit = ""

        async def sample(seed: int) -> Chain | None:
            nonlocal limit
            try:
                chain = await think(desk, found, examples, temperature=temperature, seed=seed)
            except LimitReached as e:
                limit = e.message  # the chains that are done still vote
                return None
            thought = f"{chain.reasoning}\nAnswer: {chain.answer}"
            desk.step("expand", thought=thought, usage=chain.usage, started_s=began)
            return chain

        chains = [c for c in await together(sample(seed) for seed in range(n)) if c is not None]
        if not chains:
            raise LimitReached(limit or "no sample was made")
        winner, votes = vote(chains)
        counted = ", ".join(f"{count} × {answer or '(no answer)'}" for answer, count in votes)
        desk.step("plan", thought=f"{len(chains)} of {n} samples voted: {counted}.")
        await desk.cite(winner.answer, limit=limit, logprobs=winner.answer_logprobs)

    return AtDesk("self-consistency", loop, kit, (PROMPT, EXAMPLES) if examples else (PROMPT,))


async def think(
    desk: Desk,
    passages: Sequence[str],
    examples: Sequence[Example] = (),
    *,
    temperature: float = 0.0,
    seed: int | None = None,
) -> Chain:
    """One chain of thought about the desk's question."""

    shown = nearest(desk.question, examples, SHOWN, lambda e: e.question)

    def prompt(reasoning: str | None = None) -> str:
        return desk.kit.prompts.render(
            PROMPT,
            mark=desk.mark,
            passages=passages,
            examples=shown,
            question=desk.question,
            reasoning=reasoning,
        )

    first = await desk.ask(prompt(), stop=("\nQ:",), temperature=temperature, seed=seed)
    reasoning = first.text.strip()
    said = list(_ANSWER_IS.finditer(reasoning))
    if examples:
        answer = reasoning[said[-1].end() :] if said else reasoning.split("\n")[-1]
        return Chain(reasoning=reasoning, answer=tidy(answer), usage=first.usage, logprob=mean_logprob(first.logprobs))
    second = await desk.ask(
        prompt(reasoning), stop=("\n",), max_tokens=_ANSWER_TOKENS, temperature=temperature, seed=seed
    )
    return Chain(
        reasoning=reasoning,
        answer=tidy(second.text),
        usage=first.usage + second.usage,
        logprob=mean_logprob(first.logprobs + second.logprobs),
        answer_logprobs=second.logprobs,
    )


def tidy(answer: str) -> str:
    """The first line of an answer, without what the prompt said already."""
    line = answer.strip().split("\n")[0]
    found = _ANSWER_IS.search(line)
    return (line[found.end() :] if found else line).strip(" :")


def vote(chains: Sequence[Chain]) -> tuple[Chain, list[tuple[str, int]]]:
    """The first chain of the answer that most gave, and each answer with its votes, most first.

    An abstention has a vote only where nothing else was said.
    """
    groups: dict[str, list[Chain]] = {}
    for chain in chains:
        groups.setdefault(normalised(chain.answer), []).append(chain)
    speaking = {key: group for key, group in groups.items() if key and not is_abstention(group[0].answer)} or groups

    def weight(group: Sequence[Chain]) -> tuple[int, float]:
        known = [c.logprob for c in group if c.logprob is not None]
        return len(group), sum(known) / len(known) if known else -math.inf

    best = max(speaking.values(), key=weight)  # the earliest of equals
    ordered = sorted(groups.values(), key=len, reverse=True)
    return best[0], [(group[0].answer, len(group)) for group in ordered]


def normalised(answer: str) -> str:
    """An answer as votes are counted: folded, without articles, punctuation and the separators of thousands."""
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", fold(answer))
    text = re.sub(r"\b(?:a|an|the)\b|\[\d+\]", " ", text)
    text = re.sub(r"(?<!\d)\.|\.(?!\d)|[^\w\s.%-]", " ", text)
    return " ".join(text.split())


async def passages_for(desk: Desk) -> list[str]:
    """Searches; what stands before the question: as many of the best passages as leave half of the context free."""
    desk.budget.take_step()
    shown: list[str] = []
    found: list[Hit] = await desk.search(desk.question)
    for hit in found:
        text = f"passage {desk.shown(hit)}"
        trial = Message(role="user", content="\n".join([*shown, text, desk.question]))
        if not await desk.fits([trial], desk.kit.lm.context_tokens // 2):
            break
        shown.append(text)
    del desk.hits[len(shown) :]  # what was not shown cannot be what the answer rests on
    return [context.inert(text) for text in shown]
