"""What becomes of a sentence that its passages do not support, by policy.

    mark     it is said, and shown as unsupported
    repair   it is rewritten once from its evidence; if that is not supported either, a quotation takes its place; if none
             speaks of the same, it is left out
    strict   it is left out

Sentences are said in their order: with ``repair`` those behind an unsupported one wait until the model has finished,
because it can be asked to rewrite only then. What was left out or replaced goes to the trace, whole.

Markers keep the numbers of the draft, so that trace and answer mean the same by [2]; where a sentence was left out, a
number may be missing from the answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from core.events import CitationMade, Event, RunDone, SentenceChecked, TokenSaid
from core.types import Citation, Sentence
from core.wording import plural

AnswerPolicy: TypeAlias = Literal["mark", "repair", "strict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A judged sentence with the text that it stands in: ``piece`` begins at ``start`` of the draft and holds the white
    space before the sentence and the markers behind it. Offsets of sentence and citations are the draft's."""

    piece: str
    start: int
    sentence: Sentence
    citations: tuple[Citation, ...]

    @property
    def acceptable(self) -> bool:
        return self.sentence.verdict in ("supported", "not_a_claim", "unverified")

    @property
    def gap(self) -> str:
        """The white space before it."""
        return self.piece[: len(self.piece) - len(self.piece.lstrip())]


# What takes the place of a sentence (nothing leaves it out), and what is told of how that came.
Mend: TypeAlias = Callable[[Held], Awaitable[tuple[Sequence[Held], Sequence[Event]]]]


@dataclass(slots=True)
class Gate:
    """Lets sentences through; one per answer."""

    policy: Literal["repair", "strict"]
    text: str = ""  # said so far
    sentences: list[Sentence] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    left_out: int = 0
    replaced: int = 0
    _waiting: list[Held] = field(default_factory=list)

    def add(self, held: Held) -> None:
        self._waiting.append(held)

    @property
    def states_something(self) -> bool:
        return any(s.verdict != "not_a_claim" for s in self.sentences)

    def ready(self) -> Iterator[Event]:
        """Says what can be said by now: up to the first sentence that must be mended.

        What claims nothing waits for the first claim: "Here is what I found:" alone is no answer.
        """
        while self._waiting:
            claim = next((i for i, h in enumerate(self._waiting) if h.sentence.verdict != "not_a_claim"), None)
            if claim is None and not self.states_something:
                return
            if claim is not None and not self._waiting[claim].acceptable:
                if self.policy == "repair":
                    return
                self.left_out += 1
                del self._waiting[claim]
                continue
            yield from self._say(self._waiting.pop(0))

    async def settle(self, mend: Mend | None) -> AsyncGenerator[Event, None]:
        """Says the rest; ``mend`` is asked for every sentence that is not supported, None leaves them out."""
        waiting, self._waiting = self._waiting, []
        for held in waiting:
            if held.acceptable:
                self._waiting.append(held)
                continue
            mended: list[Held] = []
            if mend is not None:
                found, told = await mend(held)
                mended = [h for h in found if h.acceptable]
                for event in told:
                    yield event
            self.replaced += bool(mended)
            self.left_out += not mended
            self._waiting += mended
            for event in self.ready():
                yield event
        for event in self.ready():
            yield event
        if self.left_out == 0 and not self.states_something:
            # Nothing was claimed and nothing withheld: "I don't know."
            for held in self._waiting:
                for event in self._say(held):
                    yield event
        self._waiting = []

    def note(self) -> str:
        """For people, what was done; empty if nothing."""
        done = []
        if self.replaced:
            done.append(f"{plural(self.replaced, 'sentence')} rewritten from the passages")
        if self.left_out:
            done.append(f"{plural(self.left_out, 'sentence')} left out")
        return f"Not supported by the passages: {', '.join(done)}." if done else ""

    def _say(self, held: Held) -> Iterator[Event]:
        piece = held.piece if self.text else held.piece.lstrip()
        moved = len(self.text) - held.start - (len(held.piece) - len(piece))
        self.text += piece
        yield TokenSaid(text=piece)
        for citation in held.citations:
            placed = replace(
                citation, answer_start=citation.answer_start + moved, answer_end=citation.answer_end + moved
            )
            self.citations.append(placed)
            yield CitationMade(citation=placed)
        sentence = replace(held.sentence, start=held.sentence.start + moved, end=held.sentence.end + moved)
        self.sentences.append(sentence)
        yield SentenceChecked(index=len(self.sentences) - 1, sentence=sentence)


async def held_back(events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """What is said is said once it is known whether it is; of an answer that is withheld, only what stands in its place."""
    held: list[Event] = []
    async with aclosing(events) as source:
        async for event in source:
            match event:
                case TokenSaid() | CitationMade() | SentenceChecked():
                    held.append(event)
                    continue
                case RunDone(answer=answer):
                    withheld = answer.abstained and not answer.sentences
                    for said in [TokenSaid(text=answer.text)] if withheld else held:
                        yield said
                case _:
                    pass
            yield event
