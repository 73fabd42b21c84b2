"""A language model as judge between two configurations of an evaluation: started, run in its turn, and read beside people's votes.

Replies are kept like what evaluations measure, by what they follow from: judged again, the same answers cost nothing and get the same
verdicts. Part of the wiring.
"""

from __future__ import annotations

import functools
import hashlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from app.eval_results import EvalResult, check_pair, different_answers, read_result
from app.eval_runs import EvalRun, Judging
from app.judging import ask_judge
from app.lm_choices import ModelInTurn, check_choice, choice_facts
from app.while_wanted import while_wanted
from core.errors import Conflict, InvalidRequest, ModelUnavailable, OpenbookError, RunCancelled
from core.types import Principal
from eval.judge import VERSION, Pair, verdicts

if TYPE_CHECKING:
    from app.services import Services
    from core.protocols import LanguageModel

_COMMIT_EVERY_S = 1.0


def start_judging(
    services: Services, principal: Principal, eval_id: str, judging: Judging, most: int | None = None
) -> EvalRun:
    """Lets the judging wait for its turn, of the first ``most`` questions that are answered differently. Whoever calls wakes who runs it.

    Raises:
        NotFound: no such evaluation of this person's.
        InvalidRequest: no two configurations of answering that answer something differently, or no such model.
        Conflict: they have not been measured yet.
        ModelUnavailable: there is no language model, or not this one.
    """
    result = read_result(services.eval_runs, services.eval_sets, principal, eval_id)
    pairs = pairs_of(result, judging.a, judging.b)[:most]
    if not pairs:
        raise InvalidRequest("the two answer every question alike, so there is nothing to judge", code="no-pairs")
    if judging.model is not None:
        check_choice(services.settings, judging.model)
    elif services.settings.lm_runtime == "none":
        listed = ", ".join(services.settings.lm_choices)
        others = f", or name one of lm_choices as `model`: {listed}" if listed else ""
        raise ModelUnavailable(
            f"a judge is a language model, and there is none: choose one in the settings (lm_runtime){others}"
        )
    return services.eval_runs.start_judging(principal, result.run, judging, [pair.id for pair in pairs])


def read_judging(
    services: Services, principal: Principal, eval_id: str, a: int, b: int, model: str | None = None
) -> dict[str, Any]:
    """The document of ``GET /v1/evals/{id}/judge``: what is judged so far, by ``model`` or by whichever was started last.

    Raises:
        NotFound, InvalidRequest, Conflict: as ``start_judging``; a model that is gone from the settings is known if it judged this.
    """
    result = read_result(services.eval_runs, services.eval_sets, principal, eval_id)
    pairs = pairs_of(result, a, b)
    labels = services.eval_votes.labels(principal, eval_id, a, b)
    found = [
        run
        for run in services.eval_runs.judgings(principal, eval_id)
        if run.judging is not None and {run.judging.a, run.judging.b} == {a, b} and model in (None, run.judging.model)
    ]
    if model is not None and not found:
        check_choice(services.settings, model)
    run = found[0] if found else None
    judged = None
    if run is not None and run.judging is not None and run.result_keys:
        rows, _ = services.eval_runs.result(run.result_keys[0])
        judged = verdicts(pairs, rows, run.judging.judge, labels).to_json()
    return {
        "kind": "judging",
        "eval_id": eval_id,
        "a": a,
        "b": b,
        "n_pairs": len(pairs),
        "n_votes": len(labels.keys() & {pair.id for pair in pairs}),
        "run": run.to_json() if run is not None else None,
        "result": judged,
    }


def pairs_of(result: EvalResult, a: int, b: int) -> list[Pair]:
    """The questions that two configurations answer differently.

    Raises:
        InvalidRequest: no two configurations of answering.
        Conflict: they have not been measured yet.
    """
    if any(c.kind != "qa" for c in result.run.configurations):
        raise InvalidRequest("a judge compares answers: evaluate two strategies", code="usage")
    check_pair(result, a, b)
    found = [(q, different_answers(result, a, b, q.question_id)) for q in result.questions]
    return [Pair(id=q.question_id, question=q.question, a=said[0], b=said[1]) for q, said in found if said is not None]


async def run_judging(services: Services, run: EvalRun, closing: threading.Event) -> None:
    """Asks what is not known of it, and keeps each second what was replied.

    Args:
        closing: set when the server stops; what works in a thread looks at it.

    Raises:
        RunCancelled: it is no longer to be run.
        NotFound: whoever asked may no longer read the collection.
        Conflict: the answers were purged meanwhile.
        OpenbookError: what it needs is gone, or the model failed.
    """
    turn = ModelInTurn(services)
    try:
        await _Judging(services, run, closing).go(turn)
    finally:
        await turn.close()


class _Judging:
    def __init__(self, services: Services, run: EvalRun, closing: threading.Event) -> None:
        if run.judging is None:
            raise InvalidRequest(f"{run.eval_id!r} is an evaluation, and judges nothing")
        self._services = services
        self._run, self._judging = run, run.judging
        self._principal = Principal(user_id=run.user_id)
        self._closing = closing
        self._kept_at = time.monotonic()
        self._unkept: dict[str, Any] = {}
        self._of: tuple[str, ...] = ()  # keys of the two results

    async def go(self, turn: ModelInTurn) -> None:
        services, judging = self._services, self._judging
        result = await services.offload(
            read_result, services.eval_runs, services.eval_sets, self._principal, judging.of
        )
        wanted = set(self._run.questions)
        pairs = [pair for pair in pairs_of(result, judging.a, judging.b) if pair.id in wanted]
        self._of = tuple(result.measured[i].key for i in (judging.a, judging.b))
        lm = await self._model(turn)
        key = await services.offload(_key, services, lm, judging, result)
        known: dict[str, Any] = (await services.offload(services.eval_runs.result, key))[0]
        await self._note(
            judging=asdict(replace(judging, judge=lm.name)),
            result_keys=[key],
            total=len(pairs),
            stage=f"asking {lm.name}",
        )
        reused: int | None = None

        async def keep(done: int, new: Mapping[str, Mapping[str, Any]]) -> None:
            nonlocal reused
            reused = done if reused is None else reused
            known.update(new)
            self._unkept.update(new)
            if new and done < len(pairs) and time.monotonic() - self._kept_at < _COMMIT_EVERY_S:
                return
            await self._commit(key, result.of.collection_id)
            await self._note(done=done, reused=reused)

        try:
            await while_wanted(
                ask_judge(lm, pairs, known, keep), functools.partial(services.offload, self._check_wanted)
            )
        except OpenbookError:
            await self._commit(key, result.of.collection_id)
            raise

    def _check_wanted(self) -> None:
        if not self._services.eval_runs.is_running(self._run.eval_id):
            raise RunCancelled("the judging was cancelled")
        self._services.eval_sets.get(self._principal, self._run.set_id)  # NotFound where they may no longer read it
        if not self._services.eval_runs.are_kept(self._of):
            raise _gone()

    async def _model(self, turn: ModelInTurn) -> LanguageModel:
        async def tell(stage: str) -> None:
            await self._note(stage=stage)

        here = await turn.with_loaded(self._judging.model, self._loading, tell)
        if here.models.lm is None:
            raise ModelUnavailable("there is no language model to ask: choose one in the settings (lm_runtime)")
        return here.models.lm.for_user(self._run.user_id)

    def _loading(self, text: str) -> None:
        """From a thread."""
        if self._closing.is_set() or not self._services.eval_runs.note(self._run.eval_id, stage=text):
            raise RunCancelled("the judging was cancelled, or the server stops")

    async def _note(self, **values: Any) -> None:
        if not await self._services.offload(self._services.eval_runs.note, self._run.eval_id, **values):
            raise RunCancelled("the judging was cancelled")

    async def _commit(self, key: str, collection_id: int) -> None:
        runs = self._services.eval_runs
        if not await self._services.offload(runs.keep_judged, key, collection_id, self._unkept, self._of):
            raise _gone()
        self._unkept, self._kept_at = {}, time.monotonic()


def _gone() -> Conflict:
    return Conflict(
        "what it judges is no longer there, since a document was purged or the collection changed: run the evaluation again",
        code="not-measured",
    )


def _key(services: Services, lm: LanguageModel, judging: Judging, result: EvalResult) -> str:
    """Names what a model replies about two configurations' answers: it follows from these, the model and how it runs."""
    settings = services.settings
    own = {k: v for k, v in settings.recorded().items() if k.startswith("lm_")} | {"base_url": settings.lm_base_url}
    facts = {
        "judging": VERSION,
        "answers": sorted(result.measured[i].key for i in (judging.a, judging.b)),
        "judge": lm.name,
        "model": own if judging.model is None else choice_facts(settings, judging.model),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
