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
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.eval_asking import PATIENCE_S, Asking
from app.eval_configs import Configuration, Contexts, searcher
from app.eval_contexts import Reader, samples_of
from app.eval_judging import run_judging
from app.eval_keys import not_stale, prompts_for, result_key
from app.eval_rows import COMMIT_EVERY_S, answer_of, answered_row, overlap_of, searched_rows
from app.eval_runs import EvalRun, question_key, questions_sha256
from app.eval_sets import EvalSet, KeptQuestion
from app.lm_choices import ModelInTurn
from app.strategies import without_lm
from app.while_wanted import while_wanted
from core.errors import Conflict, NotFound, OpenbookError, RunCancelled, StorageFailed
from core.types import Principal

if TYPE_CHECKING:
    from app.services import Services

logger = logging.getLogger(__name__)

_IDLE_S, _LOADING_S = 60.0, 1.0
_RETRY_S = 2.0


class _Stopped(Exception):
    """The evaluation is no longer to be run."""


class Evaluating:
    """One per server; ``run`` is its one task. It lives on the event loop.

    Args:
        patience_s: how long one question waits for a model server that is busy, before its evaluation fails.
    """

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
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
                await _Running(services, run, self._closing, self._patience_s).go()
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
    def __init__(self, services: Services, run: EvalRun, closing: threading.Event, patience_s: float) -> None:
        self._patience_s = patience_s
        self._services = services
        self._runs = services.eval_runs
        self._run = run
        self._principal = Principal(user_id=run.user_id)
        self._closing = closing
        self._began = time.monotonic()  # passages that are chosen for the questions are read long before some are asked
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
        questions = await self._services.offload(not_stale, self._services, self._principal, of, questions)
        if not questions:
            raise NotFound("none of its questions is left: their documents were changed or deleted")
        await self._note_asked(questions)
        keys: list[str] = []
        for configuration in self._run.configurations:
            key = await self._services.offload(
                result_key, self._services, self._principal, of.collection, configuration, questions
            )
            keys.append(key)
            await self._configuration(of, key, configuration, questions, keys)
            after = await self._services.offload(
                result_key, self._services, self._principal, of.collection, configuration, questions
            )
            if after != key:  # so what was found is of neither state
                await self._services.offload(self._runs.forget, key)
                raise Conflict(
                    f"the collection, a prompt or a model was changed while {configuration.label()} was measured: run it again"
                )

    async def _note_asked(self, questions: Sequence[KeptQuestion]) -> None:
        """Those that can no longer be asked are none of its questions any more: neither progress nor a report counts them."""
        ids = [q.question_id for q in questions]
        if ids != list(self._run.questions):
            total = len(ids) * len(self._run.configurations)
            await self._tell("", questions=ids, questions_sha256=questions_sha256(questions), total=total)

    async def _configuration(
        self, of: EvalSet, key: str, configuration: Configuration, questions: Sequence[KeptQuestion], keys: list[str]
    ) -> None:
        offload = self._services.offload
        known, facts = await offload(self._runs.result, key)
        asked = [q for q in questions if configuration.kind == "qa" or q.answerable]
        # What failed is asked again: it says little of the strategy, and may not fail twice.
        there = {name for name, row in known.items() if not row.get("error")}
        missing = [q for q in asked if question_key(q) not in there]
        self._reused += len(asked) - len(missing)
        # Questions that no search can be judged by count as done, so that the bar ends at its end.
        self._done += len(questions) - len(missing)
        await self._tell(configuration.label(), result_keys=list(keys))
        if not missing:
            return
        if configuration.contexts is not None:
            await self._answer_from(configuration.contexts, of, key, configuration, asked, missing, facts)
            await self._check_answered(key, configuration, asked)
            return
        if configuration.kind == "qa":
            await self._answer(of, key, configuration, missing)
            await self._check_answered(key, configuration, asked)
            return
        began = time.perf_counter()
        found = await offload(
            searcher, self._services, self._principal, of.collection, configuration, self._indexing(configuration)
        )
        facts |= {"passages": found.passages, "mean_characters": found.mean_characters}
        facts |= {"index_seconds": round(time.perf_counter() - began, 3)}
        at = 0
        while at < len(missing):
            rows = await offload(searched_rows, self._services, self._principal, configuration, found, missing[at:])
            await offload(self._runs.keep, key, of.collection_id, rows, facts)
            at += len(rows)
            self._done += len(rows)
            await self._tell(configuration.label())

    async def _answer(
        self, of: EvalSet, key: str, configuration: Configuration, missing: Sequence[KeptQuestion]
    ) -> None:
        services, name = self._services, str(configuration.strategy)
        asked_of = await self._asked_of(configuration)
        prompts = await services.offload(prompts_for, services, of.collection, configuration)
        asking = Asking(patience_s=self._patience_s)

        async def row_of(question: KeptQuestion) -> dict[str, Any]:
            asked = configuration.asked(question.question)
            outcome = await answer_of(asked_of, self._principal, of.collection, name, asked, prompts, asking)
            return await services.offload(answered_row, services, name, question, outcome)

        await self._keep_rows(of, key, configuration, missing, row_of, {})

    async def _answer_from(
        self,
        contexts: Contexts,
        of: EvalSet,
        key: str,
        configuration: Configuration,
        everything: Sequence[KeptQuestion],
        missing: Sequence[KeptQuestion],
        facts: dict[str, Any],
    ) -> None:
        """From passages chosen for each question; of those that have none it is kept why. They are chosen among those of
        ``everything``, so that one that broke off goes on with the same."""
        services, name = self._services, str(configuration.strategy)
        samples, left_out = await services.offload(samples_of, services, self._principal, everything, contexts)
        facts["left_out"] = {**facts.get("left_out", {}), **left_out}
        await services.offload(self._runs.keep, key, of.collection_id, {}, facts)
        asked = [q for q in missing if question_key(q) in samples]
        self._done += len(missing) - len(asked)
        await self._tell(configuration.label())
        if not asked:
            return
        asked_of = await self._asked_of(configuration)
        prompts = await services.offload(prompts_for, services, of.collection, configuration)
        report = self._indexing(configuration)
        reader = await services.offload(Reader, asked_of, self._principal, name, prompts, samples, report)
        asking = Asking(patience_s=self._patience_s)

        async def row_of(question: KeptQuestion) -> dict[str, Any]:
            sample = samples[question_key(question)]
            outcome = await reader.ask(replace(sample, question=configuration.asked(sample.question)), asking)
            return await services.offload(answered_row, services, name, question, outcome, sample)

        await self._keep_rows(of, key, configuration, asked, row_of, facts)

    async def _keep_rows(
        self,
        of: EvalSet,
        key: str,
        configuration: Configuration,
        missing: Sequence[KeptQuestion],
        row_of: Callable[[KeptQuestion], Coroutine[Any, Any, dict[str, Any]]],
        facts: Mapping[str, Any],
    ) -> None:
        """A row for each, kept every second or so."""
        services = self._services
        rows: dict[str, Any] = {}
        kept_at = time.monotonic()

        async def keep() -> None:
            nonlocal rows, kept_at
            # An answer may quote what was purged while it was made.
            clean = await services.offload(
                lambda: services.purges.clean(rows, self._principal.user_id, asked_at=self._began)
            )
            await services.offload(self._runs.keep, key, of.collection_id, clean, facts)
            self._done += len(rows)
            rows, kept_at = {}, time.monotonic()
            await self._tell(configuration.label())

        try:
            for question in missing:
                row = await while_wanted(row_of(question), self._check_wanted)
                row["overlap"] = await services.offload(overlap_of, services, self._principal, question)
                rows[question_key(question)] = row
                if time.monotonic() - kept_at > COMMIT_EVERY_S or question is missing[-1]:
                    await keep()
        except OpenbookError:  # what was measured by then is not asked again
            if rows:
                await keep()
            raise

    async def _check_answered(self, key: str, configuration: Configuration, asked: Sequence[KeptQuestion]) -> None:
        """Of all that fail no mean is made (decision 0071)."""
        known, _ = await self._services.offload(self._runs.result, key)
        errors = [known[name]["error"] for name in map(question_key, asked) if name in known]
        if errors and all(errors):
            raise OpenbookError(
                f"{configuration.label()}: all {len(errors):,} questions failed; the first: {errors[0]}",
                code="all-failed",
            )

    async def _asked_of(self, configuration: Configuration) -> Services:
        """The services as they answer; waits for the language model that is asked, while it loads."""
        if configuration.strategy in without_lm(self._services.settings):
            return await self._model.with_model(configuration.model, self._loading(configuration))

        async def tell(text: str) -> None:
            await self._tell(f"{configuration.label()}: {text}")

        return await self._model.with_loaded(configuration.model, self._loading(configuration), tell)

    async def _check_wanted(self) -> None:
        if not await self._services.offload(self._runs.is_running, self._run.eval_id):
            raise _Stopped

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
        if now - self._told_at < COMMIT_EVERY_S:
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
