"""Runs evaluations one after another, beside the answering of people: searches and answers, scored question by question.

Nothing is kept here that a restart would miss: every second or so the rows that are done are committed, and an evaluation
that was interrupted goes on after the last of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from agents.prompts import Prompts
from app.eval_configs import Configuration, Contexts, Searcher, all_documents, searcher
from app.eval_contexts import Reader, samples_of
from app.eval_judging import run_judging
from app.eval_keys import prompts_for, result_key
from app.eval_runs import EvalRun, question_key
from app.eval_sets import EvalSet, KeptQuestion
from app.lm_choices import ModelInTurn
from app.query_sides import query_side
from app.strategies import STRATEGIES, build_strategy, run_limits
from core.errors import Conflict, NotFound, NotReady, OpenbookError, RunCancelled, StorageFailed
from core.events import RunDone, RunFailed
from core.ids import new_id
from core.types import Principal, Sample, Where
from eval.datasets import QaDataset
from eval.metrics.context import context_precision
from eval.qa_scores import Outcome, score_outcomes
from eval.slices import word_overlap
from eval.spans import FoundSpan, holds, span_metrics

if TYPE_CHECKING:
    from app.services import Services

logger = logging.getLogger(__name__)

_COMMIT_EVERY_S = 1.0
_IDLE_S, _LOADING_S = 60.0, 1.0
_RETRY_S = 2.0


class _Stopped(Exception):
    """The evaluation is no longer to be run."""


class Evaluating:
    """One per server; ``run`` is its one task. It lives on the event loop."""

    def __init__(self) -> None:
        self._wake = asyncio.Event()
        self._closing = threading.Event()  # what works in a thread is not cancelled with the task

    def wake(self) -> None:
        """Something waits."""
        self._wake.set()

    async def run(self, services: Services) -> None:
        """Runs what waits until it is cancelled."""
        try:
            await self._run(services)
        finally:
            self._closing.set()

    async def _run(self, services: Services) -> None:
        while True:
            taken = None
            self._wake.clear()  # before looking, so that none that comes meanwhile is missed
            ready = services.search_ready and services.models.verifier is not None
            if ready:
                try:
                    taken = await services.offload(services.eval_runs.take)
                except StorageFailed as e:
                    logger.error("no evaluation could be begun: %s", e.message)
                    await asyncio.sleep(_RETRY_S)
            if taken is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), timeout=_IDLE_S if ready else _LOADING_S)
                continue
            await self._one(services, taken)

    async def _one(self, services: Services, run: EvalRun) -> None:
        try:
            if run.judging is not None:
                await run_judging(services, run, self._closing)
            else:
                await _Running(services, run, self._closing).go()
        except (_Stopped, RunCancelled):
            return
        except OpenbookError as e:
            await _end(services, run, "failed", e.message)
        except Exception:  # whatever one evaluation meets, the next one is to run
            logger.exception("the evaluation %s broke", run.eval_id)
            await _end(services, run, "failed", "it broke on a defect: the server's log has the details")
        else:
            await _end(services, run, "done", "")


async def _end(services: Services, run: EvalRun, state: Any, error: str) -> None:
    try:
        await services.offload(services.eval_runs.end, run.eval_id, state, error)
    except StorageFailed as e:  # the next start finds it running, and goes on with it
        logger.error("the end of the evaluation %s could not be noted: %s", run.eval_id, e.message)


class _Running:
    def __init__(self, services: Services, run: EvalRun, closing: threading.Event) -> None:
        self._services = services
        self._runs = services.eval_runs
        self._run = run
        self._principal = Principal(user_id=run.user_id)
        self._closing = closing
        self._done = self._reused = 0
        self._told_at = 0.0
        self._model = ModelInTurn(services)

    async def go(self) -> None:
        """Raises what breaks it off; a model that was loaded for it is gone afterwards."""
        try:
            await self._all()
        finally:
            await self._model.close()

    async def _all(self) -> None:
        of = await self._services.offload(self._services.eval_sets.get, self._principal, self._run.set_id)
        everything = await self._services.offload(self._services.eval_sets.questions, self._principal, self._run.set_id)
        by_id = {q.question_id: q for q in everything}
        questions = [by_id[i] for i in self._run.questions if i in by_id]
        questions = await self._services.offload(_not_stale, self._services, self._principal, of, questions)
        if not questions:
            raise NotFound("none of its questions is left: their documents were changed or deleted")
        keys: list[str] = []
        for configuration in self._run.configurations:
            key = await self._services.offload(
                result_key, self._services, self._principal, of.collection, configuration
            )
            keys.append(key)
            await self._configuration(of, key, configuration, questions, keys)
            after = await self._services.offload(
                result_key, self._services, self._principal, of.collection, configuration
            )
            if after != key:  # so what was found is of neither state
                await self._services.offload(self._runs.forget, key)
                raise Conflict(
                    f"the collection, a prompt or a model was changed while {configuration.label()} was measured: run it again"
                )

    async def _configuration(
        self, of: EvalSet, key: str, configuration: Configuration, questions: Sequence[KeptQuestion], keys: list[str]
    ) -> None:
        offload = self._services.offload
        known, facts = await offload(self._runs.result, key)
        asked = [q for q in questions if configuration.kind == "qa" or q.answerable]
        missing = [q for q in asked if question_key(q) not in known]
        self._reused += len(asked) - len(missing)
        # Questions that no search can be judged by count as done, so that the bar ends at its end.
        self._done += len(questions) - len(missing)
        await self._tell(configuration.label(), result_keys=list(keys))
        if not missing:
            return
        if configuration.contexts is not None:
            await self._answer_from(configuration.contexts, of, key, configuration, asked, missing)
            return
        if configuration.kind == "qa":
            await self._answer(of, key, configuration, missing)
            return
        began = time.perf_counter()
        found = await offload(
            searcher, self._services, self._principal, of.collection, configuration, self._indexing(configuration)
        )
        facts |= {"passages": found.passages, "mean_characters": found.mean_characters}
        facts |= {"index_seconds": round(time.perf_counter() - began, 3)}
        at = 0
        while at < len(missing):
            rows = await offload(_searched, self._services, self._principal, configuration, found, missing[at:])
            await offload(self._runs.keep, key, of.collection_id, rows, facts)
            at += len(rows)
            self._done += len(rows)
            await self._tell(configuration.label())

    async def _answer(
        self, of: EvalSet, key: str, configuration: Configuration, missing: Sequence[KeptQuestion]
    ) -> None:
        services, name = self._services, str(configuration.strategy)
        asked_of = await self._model.with_model(configuration.model, self._loading(configuration))
        prompts = await services.offload(prompts_for, services, of.collection, configuration)

        async def row_of(question: KeptQuestion) -> dict[str, Any]:
            asked = configuration.asked(question.question)
            outcome = await _asked(asked_of, self._principal, of.collection, name, asked, prompts)
            return await services.offload(_answered, services, name, question, outcome)

        await self._keep_rows(of, key, configuration, missing, row_of)

    async def _answer_from(
        self,
        contexts: Contexts,
        of: EvalSet,
        key: str,
        configuration: Configuration,
        everything: Sequence[KeptQuestion],
        missing: Sequence[KeptQuestion],
    ) -> None:
        """From passages chosen for each question; those that have none are done without a row. They are chosen among those of
        ``everything``, so that one that broke off goes on with the same."""
        services, name = self._services, str(configuration.strategy)
        samples = await services.offload(samples_of, services, self._principal, everything, contexts)
        asked = [q for q in missing if question_key(q) in samples]
        self._done += len(missing) - len(asked)
        await self._tell(configuration.label())
        if not asked:
            return
        asked_of = await self._model.with_model(configuration.model, self._loading(configuration))
        prompts = await services.offload(prompts_for, services, of.collection, configuration)
        report = self._indexing(configuration)
        reader = await services.offload(Reader, asked_of, self._principal, name, prompts, samples, report)

        async def row_of(question: KeptQuestion) -> dict[str, Any]:
            sample = samples[question_key(question)]
            outcome = await reader.ask(replace(sample, question=configuration.asked(sample.question)))
            return await services.offload(_answered, services, name, question, outcome, sample)

        await self._keep_rows(of, key, configuration, asked, row_of)

    async def _keep_rows(
        self,
        of: EvalSet,
        key: str,
        configuration: Configuration,
        missing: Sequence[KeptQuestion],
        row_of: Callable[[KeptQuestion], Awaitable[dict[str, Any]]],
    ) -> None:
        """A row for each, kept every second or so."""
        services = self._services
        rows: dict[str, Any] = {}
        kept_at = time.monotonic()
        for question in missing:
            row = await row_of(question)
            row["overlap"] = await services.offload(_overlap, services, self._principal, question)
            rows[question_key(question)] = row
            if time.monotonic() - kept_at > _COMMIT_EVERY_S or question is missing[-1]:
                # An answer may quote what was purged while it was made.
                clean = await services.offload(services.purges.clean, rows, self._principal.user_id)
                await services.offload(self._runs.keep, key, of.collection_id, clean, {})
                self._done += len(rows)
                rows, kept_at = {}, time.monotonic()
                await self._tell(configuration.label())

    def _indexing(self, configuration: Configuration) -> Callable[[int, int], None]:
        def report(done: int, total: int) -> None:
            self._tell_now_and_then(
                f"{configuration.label()}: indexing" + (f" {done:,} of {total:,} passages" if total > 1 else "")
            )

        return report

    def _loading(self, configuration: Configuration) -> Callable[[str], None]:
        return lambda text: self._tell_now_and_then(f"{configuration.label()}: {text}")

    def _tell_now_and_then(self, stage: str) -> None:
        """From a thread. Raises RunCancelled where the work is for nothing by now."""
        if self._closing.is_set():
            raise RunCancelled("the server stops")
        now = time.monotonic()
        if now - self._told_at < _COMMIT_EVERY_S:
            return
        self._told_at = now
        if not self._runs.note(self._run.eval_id, stage=stage):
            raise RunCancelled("the evaluation was cancelled")

    async def _tell(self, stage: str, **values: Any) -> None:
        going = await self._services.offload(
            self._runs.note, self._run.eval_id, stage=stage, done=self._done, reused=self._reused, **values
        )
        if not going:
            raise _Stopped


def _not_stale(
    services: Services, principal: Principal, of: EvalSet, questions: Sequence[KeptQuestion]
) -> list[KeptQuestion]:
    """Without those whose document is gone, or has another text by now, in which their span means nothing."""
    now = {d.doc_id: d.sha256 for d in all_documents(services, principal, of.collection)}
    return [q for q in questions if all(g.doc_id in now and g.sha256 in ("", now[g.doc_id]) for g in q.gold)]


def _searched(
    services: Services,
    principal: Principal,
    configuration: Configuration,
    found: Searcher,
    questions: Sequence[KeptQuestion],
) -> dict[str, Any]:
    """A row for each of the first questions, as many as a second allows."""
    rows: dict[str, Any] = {}
    began = time.monotonic()
    for question in questions:
        if rows and time.monotonic() - began > _COMMIT_EVERY_S:
            break
        started = time.perf_counter()
        hits = found.find(configuration.asked(question.question))
        seconds = time.perf_counter() - started
        rows[question_key(question)] = {
            "metrics": span_metrics([hit.span for hit in hits], question.gold),
            "seconds": seconds,
            "overlap": _overlap(services, principal, question),
            "found": [
                {**_shown(hit.span, hit.title, question), "parts": {name: asdict(p) for name, p in hit.parts.items()}}
                for hit in hits
            ],
        }
    return rows


def _overlap(services: Services, principal: Principal, question: KeptQuestion) -> float | None:
    """How many of its words stand where it is answered."""
    spans = [g for g in question.gold if g.end]
    texts = [services.store.get_document(principal, g.doc_id).text[g.start : g.end] for g in spans]
    return word_overlap(question.question, "\n".join(texts)) if texts else None


def _shown(span: FoundSpan, title: str, question: KeptQuestion) -> dict[str, Any]:
    return {**asdict(span), "title": title, "holds": any(holds(span, gold) for gold in question.gold)}


async def _asked(
    services: Services, principal: Principal, collection: str, strategy: str, question: str, prompts: Prompts
) -> Outcome:
    """What became of a question; a failure is an outcome, unless nothing can be asked at all."""
    made = build_strategy(strategy, services, principal, collections=[collection], prompts=prompts)
    where = Where(principal=principal, collections=(collection,))
    limits = run_limits(
        services.settings, strategy, query_side(services.settings, writes=STRATEGIES[strategy][2]).tokens
    )
    started = time.perf_counter()
    outcome: RunDone | RunFailed | None = None
    try:
        async for event in made.run(question, history=(), limits=limits, where=where, run_id=new_id("r")):
            if isinstance(event, RunDone | RunFailed):
                outcome = event
    except NotReady:
        raise
    except OpenbookError as e:
        return Outcome(error=e.message, seconds=time.perf_counter() - started)
    seconds = time.perf_counter() - started
    match outcome:
        case RunDone(answer=answer, trace=trace):
            return Outcome(answer=answer, usage=trace.usage, seconds=seconds)
        case RunFailed(message=message):
            return Outcome(error=message, seconds=seconds)
        case None:
            return Outcome(error="it ended without an answer", seconds=seconds)


def _answered(
    services: Services, strategy: str, question: KeptQuestion, outcome: Outcome, given: Sample | None = None
) -> dict[str, Any]:
    """``given``: what it was answered from, where that was chosen for it; such passages have no place in a document."""
    sample = given or Sample(
        id=question.question_id,
        question=question.question,
        answers=question.answers,
        answerable=question.answerable,
    )
    data = QaDataset(name="", samples=(sample,), sha256="")
    scored = score_outcomes(
        data, [outcome], services.verifier, strategy=strategy, mode="collection", encoder=services.encoder
    )
    answer = outcome.answer
    metrics = dict(scored.per_query[sample.id])
    if (
        given is None and answer is not None and answer.hits and question.gold and question.answerable
    ):  # the spans are known here
        read = [FoundSpan(doc_id=h.chunk.doc_id, start=h.chunk.start, end=h.chunk.end) for h in answer.hits]
        held = sum(any(holds(r, g) for r in read) for g in question.gold)
        metrics |= {
            "context_precision": context_precision([any(holds(r, g) for g in question.gold) for r in read]),
            "context_recall": held / len(question.gold),
        }
    return {
        "metrics": metrics,
        "unscored": {m: why for m, reasons in scored.unscored.items() for why in reasons if metrics[m] is None},
        "seconds": outcome.seconds,
        "tokens": [outcome.usage.prompt_tokens, outcome.usage.completion_tokens],
        "confidence": answer.confidence if answer is not None else None,
        "answer": answer.text if answer is not None else "",
        # Places only: whoever may no longer see what a sentence says finds nothing of it here.
        "sentences": [[s.start, s.end, s.verdict] for s in (answer.sentences if answer is not None else ())],
        "abstained": outcome.abstained,
        "error": outcome.error,
        "found": [
            _shown(FoundSpan(doc_id=c.doc_id, start=c.start, end=c.end), c.title, question)
            for c in (answer.citations if answer is not None and given is None else ())
        ],
    }
