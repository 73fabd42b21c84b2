"""Multi-hop retrieval by interleaving it with a chain of thought (IRCoT, Trivedi et al. 2022).

The first query is the question. Then, in turns: the model writes the next sentence of its chain of thought over all
passages so far, and that sentence is the next query. At most 15 passages are collected; it ends with the sentence that
has "answer is" in it, or after ``HOPS`` sentences. A separate reader then answers from the passages alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents import context
from agents.desk import AtDesk, Desk, Kit
from core.errors import LimitReached
from core.text import sentence_spans
from core.types import Message

PROMPT = "ircot.j2"
MOST_PASSAGES, HOPS, PER_HOP = 15, 6, 4
_SENTENCE_TOKENS = 96
_END = "answer is"


def multihop(kit: Kit, *, hops: int = HOPS, per_hop: int = PER_HOP) -> AtDesk:
    """The strategy."""

    async def loop(desk: Desk, question: str, history: Sequence[Message]) -> None:
        await desk.open(question, history)
        try:
            await _collect(desk, hops, per_hop)
        except LimitReached as e:
            if not desk.hits or desk.budget.seconds_left <= 0 or desk.budget.tokens_left == 0:
                raise
            desk.step("plan", thought=f"Stopped looking: {e.message}. What was found until then is read.")
        del desk.hits[MOST_PASSAGES:]
        await desk.read(desk.question, tuple(desk.hits))

    return AtDesk("multihop", loop, kit, (PROMPT, context.SYSTEM, context.USER))


async def _collect(desk: Desk, hops: int, per_hop: int) -> None:
    """Fills ``desk.hits``."""
    desk.budget.take_step()
    await desk.search(desk.question, per_hop)
    sentences: list[str] = []
    while desk.hits and len(sentences) < hops:
        desk.budget.take_step()
        began = desk.recorder.now_s()
        said = await desk.ask(await _prompt(desk, sentences), stop=("\nQ:", "\n\n"), max_tokens=_SENTENCE_TOKENS)
        sentence = first_sentence(said.text)
        if not sentence or sentence in sentences:
            why = "the model said the same again" if sentence else "the model had nothing to add"
            desk.step("plan", thought=f"No next query: {why}.", usage=said.usage, started_s=began)
            return
        sentences.append(sentence)
        desk.step("plan", thought=sentence, usage=said.usage, started_s=began)
        if _END in sentence.casefold() or len(desk.hits) >= MOST_PASSAGES:
            return
        await desk.search(sentence, per_hop)
        del desk.hits[MOST_PASSAGES:]


async def _prompt(desk: Desk, sentences: Sequence[str]) -> str:
    """With as many of the passages, the first ones, as the model can read."""
    n = min(len(desk.hits), MOST_PASSAGES)
    while True:
        prompt = desk.kit.prompts.render(
            PROMPT,
            mark=desk.mark,
            passages=[desk.shown(h) for h in desk.hits[:n]],
            question=desk.question,
            sentences=sentences,
        )
        if n <= 1 or await desk.fits([Message(role="user", content=prompt)], _SENTENCE_TOKENS):
            return prompt
        n -= 1


def first_sentence(text: str) -> str:
    """The first sentence of what a model said, in one line; empty if it said nothing."""
    spans = sentence_spans(text)
    return " ".join(text[slice(*spans[0])].split()) if spans else ""
