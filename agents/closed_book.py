"""The language model alone, from memory. Nothing is looked up, so no sentence is checked and none is cited.

It is here to be compared with: what it says may be right, and there is no telling.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from agents.abstain import is_abstention
from agents.cite import Bibliography
from agents.limits import Budget
from agents.looping import is_looping
from agents.prompts import Prompts
from agents.run import Provenance, Recorder, check_question, run_to_end
from agents.saying import fits, mean_logprob
from agents.writer import AnswerWriter
from core.errors import LimitReached
from core.events import Event, LMDone, SentenceChecked, TextDelta, TokenSaid
from core.protocols import LanguageModel
from core.types import Answer, FinishReason, Limits, Message, SamplingParams, Sentence, Usage, Where

PROMPT = "closed_book_system.j2"
_UNCHECKED = "said from the model's memory; no document was consulted"
_TURNS = 6


class ClosedBookStrategy:
    """A ``core.protocols.Strategy`` that searches nothing.

    Args:
        lm: writes the answer.
        prompts: None is the shipped ones.
        max_answer_tokens: of one answer, within the run's limits.
        temperature: of the answer.
        provenance: for the trace.
    """

    name = "closed-book"

    def __init__(
        self,
        *,
        lm: LanguageModel,
        prompts: Prompts | None = None,
        max_answer_tokens: int = 512,
        temperature: float = 0.0,
        provenance: Provenance | None = None,
    ) -> None:
        self._lm = lm
        self._prompts = prompts or Prompts()
        self._max_answer_tokens = max_answer_tokens
        self._temperature = temperature
        self._provenance = provenance or Provenance()

    def run(
        self, question: str, *, history: Sequence[Message], limits: Limits, where: Where, run_id: str
    ) -> AsyncIterator[Event]:
        """Answers ``question``; ``where`` is not used, for nothing is searched."""
        recorder = Recorder(
            run_id=run_id,
            strategy=self.name,
            question=question,
            provenance=self._provenance,
            prompt_hash=self._prompts.hash(PROMPT),
        )
        return run_to_end(recorder, self._work(recorder, question, history, Budget(limits)))

    async def _work(
        self, recorder: Recorder, question: str, history: Sequence[Message], budget: Budget
    ) -> AsyncGenerator[Event, None]:
        asked = check_question(question)
        writer = AnswerWriter(Bibliography(()))  # no passages: every marker is made up, and taken out
        sentences: list[Sentence] = []
        usage, finish, limit, raw = Usage(), _STOP, "", ""
        logprobs: list[float] = []
        began = recorder.now_s()
        try:
            budget.take_step()
            said_by_model = budget.ask(self._lm, await self._messages(asked, history, budget), self._params(budget))
            async with aclosing(said_by_model) as events:
                async for event in events:
                    match event:
                        case TextDelta(text=text, logprobs=more):
                            raw += text
                            logprobs += more
                            writer.feed(text)
                            for said in _show(writer, sentences, final=False):
                                yield said
                            if is_looping(raw):
                                limit = "the model began to repeat itself"
                                break
                        case LMDone(finish_reason=reason, usage=spent, thought=thought):
                            finish, usage = reason, spent
                            if thought:
                                yield recorder.step("plan", thought=thought, started_s=began)
                        case _:
                            yield recorder.step("act", error="the model asked for a tool; none is offered")
            budget.tokens += usage.completion_tokens
        except LimitReached as e:
            limit = e.message
        writer.finish()
        for said in _show(writer, sentences, final=True):
            yield said
        yield recorder.step("answer", observation=raw, usage=usage, started_s=began)
        yield recorder.count(usage)
        abstained = not sentences or is_abstention(writer.text)
        reasons = [_UNCHECKED.capitalize() + "."]
        if limit:
            reasons.append(f"Not finished: {limit}.")
        elif finish == "length":
            reasons.append("Cut off: the answer reached the most tokens that it may have.")
        answer = Answer(
            text=writer.text,
            sentences=tuple(sentences),
            abstained=abstained,
            reason=" ".join(reasons),
            logprob=None if abstained else mean_logprob(logprobs),
        )
        yield recorder.done(answer, "limit" if limit else "abstained" if abstained else "answered")

    def _params(self, budget: Budget) -> SamplingParams:
        budget.check()
        return SamplingParams(
            temperature=self._temperature, max_tokens=max(1, min(self._max_answer_tokens, budget.tokens_left))
        )

    async def _messages(self, asked: str, history: Sequence[Message], budget: Budget) -> list[Message]:
        """As much of the conversation, from its end, as leaves half of the context for the answer."""
        head = [Message(role="system", content=self._prompts.render(PROMPT))]
        turns = [m for m in history if m.role in ("user", "assistant")][-_TURNS:]
        question = Message(role="user", content=asked)
        room = self._lm.context_tokens - self._lm.context_tokens // 2
        while turns and not await budget.bounded(fits(self._lm, [*head, *turns, question], room)):
            turns = turns[1:]
        return [*head, *turns, question]


_STOP: FinishReason = "stop"


def _show(writer: AnswerWriter, sentences: list[Sentence], *, final: bool) -> list[Event]:
    events: list[Event] = []
    while (closed := writer.close(final=final)) is not None:
        if piece := writer.take_closed():
            events.append(TokenSaid(text=piece))
        sentence = Sentence(
            text=closed.text, start=closed.start, end=closed.end, verdict="unverified", score=0.0, reason=_UNCHECKED
        )
        sentences.append(sentence)
        events.append(SentenceChecked(index=len(sentences) - 1, sentence=sentence))
    if piece := writer.take(final=final):
        events.append(TokenSaid(text=piece))
    return events
