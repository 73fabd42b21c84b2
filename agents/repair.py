"""Mends one unsupported sentence from its evidence: rewritten once by the model, or replaced by a quotation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agents.abstain import says_unknown
from agents.cite import Bibliography
from agents.context import Passage, inert
from agents.evidence import best_span, evidence_text
from agents.gate import Held
from agents.lexical import terms
from agents.limits import Budget
from agents.prompts import Prompts
from agents.saying import fits, say
from agents.writer import AnswerWriter, ClosedSentence
from core.offload import Offload
from core.protocols import LanguageModel, Verifier
from core.types import Citation, Message, SamplingParams, Sentence, Usage

SYSTEM, USER = "repair_system.j2", "repair_user.j2"

MAX_TOKENS = 120  # of one rewritten sentence
_MAX_SENTENCES = 2  # that one may become
_EVIDENCE = 2  # passages shown, where the sentence cites none
_SPEAKS_OF_IT = 0.5  # share of the sentence's terms that a quotation must have to stand in for it

Judge = Callable[[AnswerWriter, ClosedSentence], tuple[Sentence, list[Citation]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """``said`` is what the model wrote, whether or not it was of use."""

    held: tuple[Held, ...]
    how: str  # for the trace
    said: str = ""
    usage: Usage = field(default_factory=Usage)


class Repairer:
    """Mends the sentences of one answer.

    Args:
        question: standalone.
        passages: as the model saw them.
        bibliography: of the answer; what is cited anew is numbered on.
        judge: attributes and judges a sentence that a writer has closed.
    """

    def __init__(
        self,
        *,
        question: str,
        passages: Sequence[Passage],
        mark: str,
        bibliography: Bibliography,
        judge: Judge,
        lm: LanguageModel,
        verifier: Verifier,
        prompts: Prompts,
        offload: Offload,
        budget: Budget,
    ) -> None:
        self._question = question
        self._passages = {p.number: p for p in passages}
        self._mark = mark
        self._bibliography = bibliography
        self._judge = judge
        self._lm = lm
        self._verifier = verifier
        self._prompts = prompts
        self._offload = offload
        self._budget = budget
        self._quoted: set[tuple[int, int, int]] = set()

    async def mend(self, held: Held) -> Mended:
        """What takes the place of ``held``; nothing where neither way leads to something supported.

        Raises:
            LimitReached: the run's seconds are used up.
        """
        claim = " ".join(held.sentence.text.split())
        evidence = await self._offload(self._evidence, held, claim)
        said, usage = await self._rewritten(claim, evidence)
        if said and not says_unknown(said):
            pieces = await self._offload(self._read, held.gap, said)
            if pieces:
                return Mended(held=pieces, how=f"Rewritten as: {said}", said=said, usage=usage)
        quoted = await self._offload(self._quotation, held.gap, claim, evidence)
        how = "Replaced by a quotation." if quoted else "Left out: nothing in the passages speaks of the same."
        return Mended(held=quoted, how=how, said=said, usage=usage)

    def _evidence(self, held: Held, claim: str) -> list[Passage]:
        cited = {self._bibliography.quoted(n).hit.chunk.chunk_id for n in held.sentence.citations}
        found = [p for p in self._passages.values() if p.hit.chunk.chunk_id in cited]
        if found:
            return found
        scored = [
            (-self._verifier.check(claim, [evidence_text(p.hit)]).score, p.number) for p in self._passages.values()
        ]
        return [self._passages[number] for _, number in sorted(scored)[:_EVIDENCE]]

    async def _rewritten(self, claim: str, evidence: Sequence[Passage]) -> tuple[str, Usage]:
        room = min(MAX_TOKENS, self._budget.tokens_left)
        messages = (
            Message(role="system", content=self._prompts.render(SYSTEM, mark=self._mark)),
            Message(
                role="user",
                content=self._prompts.render(
                    USER,
                    mark=self._mark,
                    passages=evidence,
                    question=self._question,
                    sentence=inert(claim, self._mark),
                ),
            ),
        )
        if not evidence or room < 1 or not await self._budget.bounded(fits(self._lm, messages, room)):
            return "", Usage()
        said, usage = await say(self._lm, messages, SamplingParams(max_tokens=room), self._budget)
        self._budget.tokens += usage.completion_tokens
        return said, usage

    def _read(self, gap: str, said: str) -> tuple[Held, ...]:
        """The rewritten sentences; none unless every one of them that claims something is supported."""
        writer = AnswerWriter(self._bibliography)
        writer.feed(said)
        writer.finish()
        found: list[Held] = []
        start = 0
        while (closed := writer.close(final=True)) is not None:
            sentence, citations = self._judge(writer, closed)
            piece = writer.text[start : writer.closed_to]
            found.append(_held(piece, start, gap if not found else "", sentence, citations))
            start = writer.closed_to
        if len(found) > _MAX_SENTENCES or any(h.sentence.verdict != "supported" for h in found):
            return ()
        return tuple(found)

    def _quotation(self, gap: str, claim: str, evidence: Sequence[Passage]) -> tuple[Held, ...]:
        wanted = set(terms(claim))
        for passage in evidence:
            text = passage.hit.chunk.text
            a, b = best_span(claim, text)
            quote = text[a:b]
            shared = len(wanted & set(terms(quote))) / max(1, len(wanted))
            key = (passage.number, a, b)
            if shared < _SPEAKS_OF_IT or key in self._quoted:
                continue
            writer = AnswerWriter(self._bibliography)
            # As it stands: what looks like a marker in it is the document's.
            closed = ClosedSentence(start=0, end=len(quote), text=quote, claim=quote, markers=[])
            closed.markers.append(self._bibliography.cite(passage.number, quote))
            sentence, citations = self._judge(writer, closed)
            if sentence.verdict != "supported":
                continue
            self._quoted.add(key)
            return (_held(f"{quote} [{closed.markers[0]}]", 0, gap, sentence, citations),)
        return ()


def _held(piece: str, start: int, gap: str, sentence: Sentence, citations: Sequence[Citation]) -> Held:
    return Held(piece=gap + piece, start=start - len(gap), sentence=sentence, citations=tuple(citations))
