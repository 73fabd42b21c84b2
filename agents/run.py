"""The shape that every run shares: what is said first, what is recorded, what is said last.

A strategy writes its work as an async generator of events and wraps it in ``run_to_end``. The order of events is then
the same for all: RunStarted, then steps, tokens, citations, sentences and usage, then exactly one RunDone or RunFailed.
Closing the outer generator closes the inner one and, through it, the language model's stream.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agents.abstain import I_DO_NOT_KNOW
from core.errors import InvalidRequest, LimitReached, OpenbookError, RunCancelled
from core.events import Event, RunDone, RunFailed, RunStarted, StepTaken, TokenSaid, UsageCounted
from core.types import Answer, Hit, Step, StepKind, ToolCall, Trace, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a trace says of the installation: a hash of the settings, and the state of the index at the start of a run."""

    settings_hash: str = ""
    index_version: Callable[[], str] = lambda: ""


class Recorder:
    """Collects the steps of one run and builds its trace."""

    def __init__(
        self, *, run_id: str, strategy: str, question: str, provenance: Provenance, prompt_hash: str = ""
    ) -> None:
        self.run_id = run_id
        self.strategy = strategy
        self.question = question
        self.usage = Usage()
        self._provenance = provenance
        self._index_version = provenance.index_version()
        self._prompt_hash = prompt_hash
        self._steps: list[Step] = []
        self._began = time.monotonic()

    def now_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    def step(
        self,
        kind: StepKind,
        *,
        thought: str = "",
        tool_call: ToolCall | None = None,
        observation: str = "",
        error: str = "",
        usage: Usage | None = None,
        started_s: float | None = None,
        parent_index: int | None = None,
        note: bool = False,
    ) -> StepTaken:
        """Records a step that ends now; ``started_s`` is what ``now_s`` said when it began."""
        now = self.now_s()
        began = now if started_s is None else started_s
        step = Step(
            index=len(self._steps),
            kind=kind,
            parent_index=parent_index,
            thought=thought,
            tool_call=tool_call,
            observation=observation,
            error=error,
            note=note,
            usage=usage or Usage(),
            started_s=began,
            duration_s=now - began,
        )
        self._steps.append(step)
        return StepTaken(step=step)

    def again(self, step: Step, parent_index: int | None) -> StepTaken:
        """Records a step of a run within this one, at its place here."""
        shifted = replace(step, index=len(self._steps), parent_index=parent_index)
        self._steps.append(shifted)
        return StepTaken(step=shifted)

    def __len__(self) -> int:
        return len(self._steps)

    def count(self, usage: Usage) -> UsageCounted:
        """Adds to the run's totals."""
        self.usage = self.usage + usage
        return UsageCounted(usage=self.usage)

    def trace(self, answer: Answer | None, stop_reason: str) -> Trace:
        return Trace(
            run_id=self.run_id,
            strategy=self.strategy,
            question=self.question,
            steps=tuple(self._steps),
            answer=answer,
            stop_reason=stop_reason,
            settings_hash=self._provenance.settings_hash,
            prompt_hash=self._prompt_hash,
            index_version=self._index_version,
            usage=self.usage,
            duration_s=self.now_s(),
        )

    def done(self, answer: Answer, stop_reason: str) -> RunDone:
        """The last event of a run that ended by itself; ``stop_reason`` as in ``core.types.Trace``."""
        answer = replace(answer, run_id=self.run_id)
        return RunDone(answer=answer, trace=self.trace(answer, stop_reason))

    def failed(self, code: str, message: str, stop_reason: str = "error", *, kind: str = "") -> RunFailed:
        return RunFailed(code=code, message=message, trace=self.trace(None, stop_reason), kind=kind)


async def run_to_end(recorder: Recorder, work: AsyncGenerator[Event, None]) -> AsyncIterator[Event]:
    """Puts RunStarted before ``work`` and RunFailed after it if it breaks; ``work`` ends with RunDone."""
    try:
        yield RunStarted(run_id=recorder.run_id, strategy=recorder.strategy, question=recorder.question)
        async with aclosing(work) as events:
            async for event in events:
                yield event
    except RunCancelled as e:
        yield recorder.failed(e.code, e.message, "cancelled", kind=type(e).code)
    except OpenbookError as e:
        yield recorder.failed(e.code, e.message, kind=type(e).code)
    except Exception:
        # A defect of ours: the person gets an end of the stream and one line, the log gets the rest.
        logger.exception("run %s broke", recorder.run_id)
        yield recorder.failed("internal", "the answer failed because of a defect in Openbook; its log says where")
    finally:
        await work.aclose()


def cut_short(recorder: Recorder, limit: LimitReached, hits: Sequence[Hit]) -> list[Event]:
    """The end of a run that met a limit before it had anything to say."""
    reason = f"Not finished: {limit.message}."
    answer = Answer(text=I_DO_NOT_KNOW, abstained=True, reason=reason, hits=tuple(hits))
    return [TokenSaid(text=I_DO_NOT_KNOW), recorder.done(answer, "limit")]


def check_question(question: str) -> str:
    """The question without the white space around it; raises InvalidRequest if nothing is asked."""
    asked = question.strip()
    if not any(c.isalnum() for c in asked):
        raise InvalidRequest("the question is empty: ask something in words", code="empty-question")
    return asked


def describe_hits(hits: Sequence[Hit]) -> str:
    """One line per hit, as steps show them."""
    if not hits:
        return "Nothing was found."
    lines = []
    for hit in hits:
        page = f", page {hit.chunk.page}" if hit.chunk.page is not None else ""
        lines.append(f"{hit.rank}. {' '.join(hit.title.split())}{page} ({hit.source} {hit.score:.3f})")
    return "\n".join(lines)


def pieces(text: str, size: int = 24) -> Sequence[str]:
    """``text`` cut for streaming: joined again they are ``text``."""
    cut: list[str] = []
    start = 0
    while start < len(text):
        end = text.find(" ", start + size)
        end = len(text) if end < 0 else end + 1
        cut.append(text[start:end])
        start = end
    return cut
