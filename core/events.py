"""What a run says while it happens: one closed union that feeds the SSE stream, the page and the stored trace.

``LMEvent`` is what a language model says while it speaks; ``Event`` is what a strategy says while it works.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from core.types import Answer, Citation, FinishReason, Proposal, Sentence, Step, ToolCall, Trace, Usage

# ---------------------------------------------------------------- language model


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """``logprobs``: one of each token whose text begins in ``text``, a natural logarithm, under the model's own distribution, before
    temperature and the like. Empty where the runtime gives none (``core.protocols.gives_logprobs``).
    """

    text: str
    logprobs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallMade:
    call: ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class LMDone:
    """Always the last event of a stream that ended by itself. ``thought`` is what a reasoning model thought before it answered, which
    is no part of the text; its tokens are counted."""

    finish_reason: FinishReason
    usage: Usage = field(default_factory=Usage)
    thought: str = ""


LMEvent: TypeAlias = TextDelta | ToolCallMade | LMDone

# ---------------------------------------------------------------- run


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:  # SSE "run"
    run_id: str
    strategy: str
    question: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTaken:  # SSE "step"
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSaid:  # SSE "token": a piece of the answer's text
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceChecked:  # SSE "sentence"
    index: int
    sentence: Sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class CitationMade:  # SSE "citation"
    citation: Citation


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageCounted:  # SSE "usage": totals so far
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDone:  # SSE "done"; always last of a run that ended by itself
    answer: Answer
    trace: Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed:  # SSE "error"; always last of a run that broke
    code: str
    message: str
    trace: Trace
    kind: str = ""  # the code of the error's class, where ``code`` is a more particular one; see core.errors


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalWanted:  # SSE "approval": the run waits for a person, at most so many seconds
    run_id: str
    proposal: Proposal
    seconds: float


Event: TypeAlias = (
    RunStarted
    | ApprovalWanted
    | StepTaken
    | TokenSaid
    | SentenceChecked
    | CitationMade
    | UsageCounted
    | RunDone
    | RunFailed
)
