"""Asks a strategy the questions of a data set and keeps what it said; ``eval.qa_scores`` judges it.

Knows neither retrievers nor models: it is handed an asynchronous function from a question to an answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from core.errors import InvalidRequest, OpenbookError
from core.offload import Offload
from core.protocols import Encoder, Verifier
from core.types import Answer, Sample, Trace
from eval.datasets import QaDataset
from eval.progress import Progress, silent
from eval.qa_scores import Outcome, QaResult, score_outcomes

AnswerOne: TypeAlias = Callable[[Sample], Awaitable[tuple[Answer, Trace]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnContexts:
    """Each question is answered from the contexts of its own line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Each question is answered from the contexts of all lines together."""

    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InCollection:
    """Each question is answered from a collection that exists."""

    name: str


QaMode: TypeAlias = OwnContexts | Pooled | InCollection


def check_mode(dataset: QaDataset, mode: QaMode) -> None:
    """Raises InvalidRequest where the questions lack the contexts that ``mode`` reads."""
    if isinstance(mode, InCollection):
        return
    bare = [sample.id for sample in dataset.samples if not sample.contexts]
    if isinstance(mode, Pooled):
        bare = bare if len(bare) == len(dataset.samples) else []
    if bare:
        raise InvalidRequest(
            f"{len(bare)} of {len(dataset.samples)} questions of {dataset.name} have no contexts of their own "
            f"(the first is {bare[0]!r}): name the documents to read with --collection",
            code="usage",
        )


async def run_qa(
    dataset: QaDataset,
    answer: AnswerOne,
    verifier: Verifier,
    *,
    offload: Offload,
    strategy: str,
    mode: QaMode,
    settings_hash: str = "",
    needs_contexts: bool = True,
    concurrency: int = 1,
    encoder: Encoder | None = None,
    progress: Progress = silent,
) -> QaResult:
    """Answers every question, then scores the answers.

    Args:
        dataset: from ``eval.datasets.load_qa``.
        answer: one question in, its answer and trace out. An OpenbookError that it raises is a failed question,
            which is counted and scores 0; any other exception ends the run.
        verifier: judges sentences against what they cite.
        offload: the pool in which the scoring (blocking work) runs.
        strategy: how the result names what was measured.
        mode: what the answers were read from; kept in the result.
        settings_hash: of the settings behind ``answer``; kept in the result.
        needs_contexts: False for a strategy that reads no documents, so that questions without any will do.
        concurrency: questions that may be under way at once. Above 1 the seconds per question are not those of an
            idle machine.
        encoder: for BERTScore; without one there is none.
        progress: called with ("answering", done, n), then ("checking", done, n).

    Raises:
        InvalidRequest: questions without the contexts that ``mode`` reads, or a concurrency below 1.
        OpenbookError: every single question failed; the first reason is named.
    """
    if needs_contexts:
        check_mode(dataset, mode)
    outcomes = await ask_all(dataset.samples, answer, concurrency=concurrency, progress=progress)
    failed = [outcome.error for outcome in outcomes if outcome.error]
    if failed and len(failed) == len(outcomes):
        raise OpenbookError(f"all {len(failed)} questions failed; the first: {failed[0]}", code="all-failed")
    return await offload(
        score_outcomes,
        dataset,
        outcomes,
        verifier,
        strategy=strategy,
        mode=_named(mode),
        settings_hash=settings_hash,
        encoder=encoder,
        progress=progress,
    )


async def ask_all(
    samples: Sequence[Sample], answer: AnswerOne, *, concurrency: int = 1, progress: Progress = silent
) -> list[Outcome]:
    """One outcome per sample, in order. See ``run_qa``."""
    if concurrency < 1:
        raise InvalidRequest(f"concurrency is {concurrency}: it must be 1 or more", code="usage")
    room = asyncio.Semaphore(concurrency)
    done = 0
    progress("answering", 0, len(samples))

    async def ask(sample: Sample) -> Outcome:
        nonlocal done
        async with room:
            started = time.perf_counter()
            try:
                said, trace = await answer(sample)
                outcome = Outcome(answer=said, usage=trace.usage, seconds=time.perf_counter() - started)
            except OpenbookError as e:
                outcome = Outcome(error=e.message, seconds=time.perf_counter() - started)
        done += 1
        progress("answering", done, len(samples))
        return outcome

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(sample)) for sample in samples]
    return [task.result() for task in tasks]


def _named(mode: QaMode) -> str:
    match mode:
        case OwnContexts():
            return "own contexts"
        case Pooled():
            return "pool"
        case InCollection(name=name):
            return f"collection {name}"
