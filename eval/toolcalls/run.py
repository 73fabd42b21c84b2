"""Asks a model every question and judges its calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from core.errors import InvalidRequest, OpenbookError
from core.types import Completion, Message, ToolSpec
from eval.progress import Progress, silent
from eval.toolcalls.cases import ToolCase, ToolDataset
from eval.toolcalls.matching import Call, judge_calls
from eval.toolcalls.text import parse_calls, prompted

Ask: TypeAlias = Callable[[Sequence[Message], Sequence[ToolSpec]], Awaitable[Completion]]
Mode: TypeAlias = Literal["native", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """What became of one question. ``state`` is "right", "wrong", "unparsable" or "failed"."""

    case: ToolCase
    state: Literal["right", "wrong", "unparsable", "failed"]
    reason: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallsResult:
    """Shares in [0, 1]. ``accuracy`` is over all questions, ``mean_accuracy`` the mean over the categories."""

    dataset: str
    dataset_sha256: str
    model: str
    mode: Mode
    outcomes: tuple[ToolOutcome, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The document of `eval toolcalls --json`, which `eval compare` reads back."""
        by_category = {name: share(found) for name, found in self.categories().items()}
        return {
            "kind": "toolcalls",
            "dataset": self.dataset,
            "dataset_sha256": self.dataset_sha256,
            "model": self.model,
            "mode": self.mode,
            "n": len(self.outcomes),
            "accuracy": share(self.outcomes),
            "mean_accuracy": sum(by_category.values()) / len(by_category),
            "by_category": by_category,
            "unparsable": sum(o.state == "unparsable" for o in self.outcomes),
            "failed": sum(o.state == "failed" for o in self.outcomes),
            "seconds": self.seconds,
            "per_query": {o.case.id: {"accuracy": float(o.state == "right")} for o in self.outcomes},
            "answers": {o.case.id: {"state": o.state, "reason": o.reason, "said": o.said} for o in self.outcomes},
        }

    def categories(self) -> Mapping[str, list[ToolOutcome]]:
        found: dict[str, list[ToolOutcome]] = {}
        for outcome in self.outcomes:
            found.setdefault(outcome.case.category, []).append(outcome)
        return found


def share(outcomes: Sequence[ToolOutcome]) -> float:
    """Of right ones."""
    return sum(o.state == "right" for o in outcomes) / len(outcomes)


async def run_toolcalls(
    dataset: ToolDataset,
    ask: Ask,
    *,
    model: str,
    mode: Mode,
    concurrency: int = 1,
    progress: Progress = silent,
) -> ToolCallsResult:
    """Asks every question once.

    Args:
        ask: messages and tools in, a completion out. An OpenbookError that it raises is a failed question.
        mode: "native" hands the functions over as tools, "text" describes them and parses what is written.
        concurrency: questions under way at once.
        progress: called with ("asking", done, n).

    Raises:
        InvalidRequest: no questions, or a concurrency below 1.
        OpenbookError: every single question failed; the first reason is named.
    """
    if not dataset.cases:
        raise InvalidRequest(f"{dataset.name} has no questions", code="bad-dataset")
    if concurrency < 1:
        raise InvalidRequest(f"concurrency is {concurrency}: it must be 1 or more", code="usage")
    room, done, began = asyncio.Semaphore(concurrency), 0, time.perf_counter()
    progress("asking", 0, len(dataset.cases))

    async def one(case: ToolCase) -> ToolOutcome:
        nonlocal done
        async with room:
            outcome = await _asked(case, ask, mode)
        done += 1
        progress("asking", done, len(dataset.cases))
        return outcome

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(case)) for case in dataset.cases]
    outcomes = tuple(task.result() for task in tasks)
    failed = [o.reason for o in outcomes if o.state == "failed"]
    if len(failed) == len(outcomes):
        raise OpenbookError(f"all {len(failed)} questions failed; the first: {failed[0]}", code="all-failed")
    return ToolCallsResult(
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        model=model,
        mode=mode,
        outcomes=outcomes,
        seconds=time.perf_counter() - began,
    )


async def _asked(case: ToolCase, ask: Ask, mode: Mode) -> ToolOutcome:
    try:
        said = await (ask(case.messages, case.specs()) if mode == "native" else ask(prompted(case), ()))
    except OpenbookError as e:
        return ToolOutcome(case=case, state="failed", reason=e.message, said="")
    calls: list[Call] | None
    if mode == "native":
        calls = [Call(name=call.name, arguments=call.arguments) for call in said.tool_calls]
        shown = "; ".join(f"{call.name}({dict(call.arguments)})" for call in calls) or said.text
    else:
        calls, shown = parse_calls(said.text), said.text
        if calls is None and not case.accepted:
            # Words in place of calls are a refusal, which is right where no function fits.
            calls = []
    if calls is None:
        return ToolOutcome(case=case, state="unparsable", reason="the answer is no list of calls", said=shown)
    judged = judge_calls(calls, case.accepted, case.functions)
    return ToolOutcome(case=case, state="right" if judged.right else "wrong", reason=judged.reason, said=shown)
