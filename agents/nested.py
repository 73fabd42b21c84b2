"""A strategy run within another's run: its steps join the trace, and what it says is held back until somebody decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from agents.desk import AtDesk, Desk, Kit
from agents.limits import Budget
from agents.run import Recorder, check_question
from core.errors import OpenbookError, error_of
from core.events import (
    ApprovalWanted,
    CitationMade,
    Event,
    RunDone,
    RunFailed,
    RunStarted,
    SentenceChecked,
    StepTaken,
    TokenSaid,
    UsageCounted,
)
from core.protocols import Strategy
from core.types import Answer, Limits, Message, Usage, Where

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Nested:
    """One inner run. After ``run`` it has the answer, and ``say`` gives out what was held back."""

    def __init__(self, strategy: Strategy, recorder: Recorder, budget: Budget, emit: Callable[[Event], None]) -> None:
        self.strategy = strategy
        self.answer: Answer | None = None
        self.stop_reason = "error"
        self._recorder = recorder
        self._budget = budget
        self._emit = emit
        self._held: list[Event] = []

    async def run(self, question: str, history: Sequence[Message], where: Where) -> None:
        """Runs it with what is left of the outer run's budget, which is charged with what it used.

        Raises:
            OpenbookError: it failed; of the class that it failed with.
        """
        limits = self._budget.left()
        try:
            await self._run(question, history, limits, where)
        finally:
            self._budget.charge(limits)

    async def _run(self, question: str, history: Sequence[Message], limits: Limits, where: Where) -> None:
        stream = self.strategy.run(question, history=history, limits=limits, where=where, run_id=self._recorder.run_id)
        first, counted = len(self._recorder), Usage()
        async with aclosing(cast("AsyncGenerator[Event, None]", stream)) as events:
            async for event in events:
                match event:
                    case StepTaken(step=step):
                        parent = None if step.parent_index is None else first + step.parent_index
                        self._emit(self._recorder.again(step, parent))
                    case UsageCounted(usage=usage):
                        counted = self._count(counted, usage)
                    case TokenSaid() | CitationMade() | SentenceChecked():
                        self._held.append(event)
                    case RunDone(answer=answer, trace=trace):
                        self.answer, self.stop_reason = answer, trace.stop_reason
                    case RunFailed(code=code, message=message, kind=kind):
                        raise error_of(code, message, kind)
                    case ApprovalWanted():  # now, not when the answer is decided about: a person is waited for
                        self._emit(event)
                    case RunStarted():
                        pass  # the outer run has said that it began

    def _count(self, before: Usage, now: Usage) -> Usage:
        new = Usage(
            prompt_tokens=now.prompt_tokens - before.prompt_tokens,
            completion_tokens=now.completion_tokens - before.completion_tokens,
            duration_s=now.duration_s - before.duration_s,
        )
        self._emit(self._recorder.count(new))
        return now

    def say(self) -> None:
        """Gives out the answer, token by token as it came."""
        for event in self._held:
            self._emit(event)


def with_fallback(kit: Kit, inner: AtDesk, spare: Callable[[], Strategy]) -> AtDesk:
    """``inner`` under its own name; where its answer fails its check, what ``spare`` says is given instead, and it is said."""

    async def loop(desk: Desk, question: str, history: Sequence[Message]) -> None:
        desk.asked = desk.question = check_question(question)
        first = Nested(inner, desk.recorder, desk.budget, desk.emit)
        await first.run(question, history, desk.where)
        if first.answer is None:
            raise OpenbookError(f"strategy {inner.name!r} ended without an answer")
        passed, why = holds(first.answer)
        if not passed and desk.budget.seconds_left > 0:
            desk.step(
                "reflect", thought=f"The model's answer failed its check: {why}. Looking for a sentence to quote."
            )
            left, fresh = desk.budget.left(), Limits()
            room = replace(
                left, max_steps=fresh.max_steps, max_tokens=fresh.max_tokens
            )  # a quote costs next to nothing
            second = Nested(spare(), desk.recorder, Budget(room), desk.emit)
            await second.run(question, history, desk.where)
            if second.answer is not None and not second.answer.abstained:
                second.say()
                reason = f"Quoted: the model's answer failed its check ({why})."
                desk.finish(replace(second.answer, reason=reason), second.stop_reason)
                return
        first.say()
        answer = first.answer
        if not passed and not answer.abstained:
            reason = f"{answer.reason} The model's answer failed its check ({why}), and no sentence answers by itself."
            answer = replace(answer, reason=reason.strip())
        desk.finish(answer, first.stop_reason)

    return AtDesk(inner.name, loop, kit, inner.prompts)


def holds(answer: Answer) -> tuple[bool, str]:
    """Whether an answer passes its check, and why not: it must say something, and no sentence may go unsupported."""
    if answer.abstained:
        return False, "it did not find the answer"
    claims = [s for s in answer.sentences if s.verdict not in ("not_a_claim", "unverified")]
    wrong = [s for s in claims if s.verdict in ("unsupported", "contradicted")]
    if wrong:
        return False, f"{len(wrong)} of {len(claims)} sentences are not supported by the passages"
    if not claims:
        return False, "nothing that it says can be checked"
    return True, "every sentence is supported, at least in part"
