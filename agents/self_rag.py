"""Self-RAG (Asai et al. 2023) by prompting: the model decides about retrieving and judges what came of it.

The paper trains a model to say reflection tokens; here the same four are asked for in words. Retrieve: yes or no. Relevant, of
each passage: yes or no. Supported, of the answer: fully, partially or no. Useful: 1 to 5. A miss (no relevant passage, an
answer that is not supported, or a use of 2 or less) triggers a new query, at most ``ROUNDS`` in all. The best answer of all
rounds is given: by support, then by use, then the earlier.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agents import context
from agents.desk import AtDesk, Desk, Kit
from agents.saying import Said
from core.errors import LimitReached
from core.types import Hit, Message

PROMPT = "judge.j2"
ROUNDS = 3
_SUPPORT = {"fully": 2, "partially": 1, "no": 0}
_USEFUL_FROM = 3
_WORD_TOKENS = 8
_QUERY_TOKENS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """One answer with its judgements; markers in ``text`` name the desk's passages."""

    text: str
    support: int
    use: int
    logprobs: tuple[float, ...]

    @property
    def hit(self) -> bool:
        return self.support > 0 and self.use >= _USEFUL_FROM


def self_rag(kit: Kit, *, rounds: int = ROUNDS) -> AtDesk:
    """The strategy."""

    async def loop(desk: Desk, question: str, history: Sequence[Message]) -> None:
        await desk.open(question, history)
        best: _Round | None = None
        limit = ""
        try:
            best = await _rounds(desk, rounds)
        except _Met as e:
            best, limit = e.best, e.limit.message
            if best is None:
                raise e.limit from e
        if best is None:
            desk.do_not_know("The model found none of them relevant.", limit=limit)
            return
        await desk.cite(best.text, limit=limit, logprobs=best.logprobs)

    return AtDesk("self-rag", loop, kit, (PROMPT, context.SYSTEM, context.USER))


class _Met(Exception):
    """A limit, and the best answer until then."""

    def __init__(self, limit: LimitReached, best: _Round | None) -> None:
        super().__init__(limit.message)
        self.limit = limit
        self.best = best


async def _rounds(desk: Desk, rounds: int) -> _Round | None:
    best: _Round | None = None
    tried: list[str] = []
    query = desk.question
    try:
        if await _judge(desk, "retrieve", "Retrieve?", default="yes") != "yes":
            said = await _answer(desk, ())
            return _Round(text=said.text, support=0, use=0, logprobs=said.logprobs)
        for _ in range(rounds):
            desk.budget.take_step()
            tried.append(query)
            found = await desk.search(query)
            relevant = [h for h in found if await _judge(desk, "relevant", "Relevant?", [h], default="yes") == "yes"]
            if relevant:
                said = await _answer(desk, relevant)
                text = said.text
                support = _SUPPORT[await _judge(desk, "supported", "Supported?", relevant, answer=text, default="no")]
                use = int(await _judge(desk, "useful", "Useful?", answer=text, default="1"))
                this = _Round(text=text, support=support, use=use, logprobs=said.logprobs)
                if best is None or (this.support, this.use) > (best.support, best.use):
                    best = this
                if this.hit:
                    return best
            query = await _new_query(desk, tried)
            if query.casefold() in {t.casefold() for t in tried}:
                break
    except LimitReached as e:
        raise _Met(e, best) from e
    return best


async def _judge(desk: Desk, ask: str, label: str, hits: Sequence[Hit] = (), *, answer: str = "", default: str) -> str:
    """One of the words that were asked for; ``default`` where the model says none of them."""
    began = desk.recorder.now_s()
    said = await desk.ask(_prompt(desk, ask, hits, answer=answer), max_tokens=_WORD_TOKENS, regex=_FORMS[ask])
    found = re.search(_WORDS[ask], said.text.casefold())
    verdict = found.group() if found else default
    about = f" {desk.shown(hits[0])[:80]}" if ask == "relevant" else ""
    error = "" if found else f"said {said.text.strip()[:60]!r}, which is none of the answers: taken as {default}"
    desk.step("reflect", thought=f"{label}{about} {verdict}", error=error, usage=said.usage, started_s=began)
    return verdict


# What a judgement is written by, where the runtime has grammars; where not, the word is looked for.
_FORMS = {"retrieve": "yes|no", "relevant": "yes|no", "supported": "fully|partially|no", "useful": "[1-5]"}
_WORDS = {
    "retrieve": r"\b(?:yes|no)\b",
    "relevant": r"\b(?:yes|no)\b",
    "supported": r"\b(?:fully|partially|no)\b",
    "useful": r"\b[1-5]\b",
}


def _prompt(desk: Desk, ask: str, hits: Sequence[Hit] = (), *, answer: str = "", tried: Sequence[str] = ()) -> str:
    return desk.kit.prompts.render(
        PROMPT,
        ask=ask,
        mark=desk.mark,
        passages=[desk.shown(h) for h in hits],
        question=desk.question,
        answer=answer,
        tried=tried,
    )


async def _answer(desk: Desk, hits: Sequence[Hit]) -> Said:
    """Written from ``hits``, with markers that name the desk's passages; from memory where there are none."""
    desk.budget.take_step()
    began = desk.recorder.now_s()
    said = await desk.ask(written_from(desk, hits))
    said = replace(said, text=said.text.strip())
    desk.step("plan", thought=said.text, usage=said.usage, started_s=began)
    return said


def written_from(desk: Desk, hits: Sequence[Hit]) -> list[Message]:
    """The prompt of strategy rag over ``hits``, under the numbers that they have at the desk."""
    passages = [context.passage(desk.number(h), h, desk.mark) for h in hits]
    return [
        Message(role="system", content=desk.kit.prompts.render(context.SYSTEM, mark=desk.mark)),
        Message(
            role="user",
            content=desk.kit.prompts.render(context.USER, mark=desk.mark, passages=passages, question=desk.question),
        ),
    ]


async def _new_query(desk: Desk, tried: Sequence[str]) -> str:
    began = desk.recorder.now_s()
    said = await desk.ask(_prompt(desk, "query", tried=tried), stop=("\n",), max_tokens=_QUERY_TOKENS)
    query = said.text.strip().strip('"') or desk.question
    desk.step("reflect", thought=f"A miss; new query: {query}", usage=said.usage, started_s=began)
    return query
