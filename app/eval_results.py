"""What an evaluation found, put together from its rows: means with intervals, comparisons, and each question's way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np

from app.eval_configs import Configuration
from app.eval_runs import EvalRun, EvalRuns, question_key
from app.eval_sets import EvalSet, EvalSets, KeptQuestion
from core.errors import Conflict, InvalidRequest, NotFound
from core.types import Principal
from core.wording import plural, whole_document_note
from eval.compare import BESIDE, LOWER_IS_BETTER, Comparison, compare_runs
from eval.questions import Gold
from eval.saved import SavedRun
from eval.slices import Question, slices
from eval.spans import FoundSpan, recall_curve
from eval.statistics import bootstrap_means, percentile_interval

Rows = Mapping[str, Mapping[str, Any]]  # question_id → row


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """``left_out``: question_id → why it could not be asked in this way."""

    configuration: Configuration
    key: str
    rows: Rows
    facts: Mapping[str, Any]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(next(iter(self.rows.values()))["metrics"]) if self.rows else ()

    @property
    def all_failed(self) -> bool:
        """Of nothing but failures no mean is made (decision 0071)."""
        return bool(self.rows) and all(row.get("error") for row in self.rows.values())

    @property
    def with_values(self) -> frozenset[str]:
        """The metrics that some question has a value of."""
        return frozenset(
            name for row in self.rows.values() for name, value in row["metrics"].items() if value is not None
        )


def first_metric(measured: Sequence[Measured]) -> str:
    """What is shown where none is named: the first metric that all of them which measured anything have a value of, or any; of these
    the first that is not the same for every question in every way, as exact match is 0 wherever answers are sentences, for such a one
    tells nothing apart; those that are compared only where somebody names them come last. What only failed has no say, as it has no place on the board. ""
    where there is none."""
    measured = [m for m in measured if not m.all_failed] or measured
    named = list(dict.fromkeys(name for m in measured for name in m.metrics))
    found = [m.with_values for m in measured if m.rows]
    shared = [n for n in named if all(n in values for values in found)] or [
        n for n in named if any(n in values for values in found)
    ]
    telling = [n for n in shared if _varies(measured, n)]
    return next(iter([n for n in telling if n not in BESIDE] or telling or shared or named), "")


def _varies(measured: Sequence[Measured], metric: str) -> bool:
    values = {row["metrics"].get(metric) for m in measured for row in m.rows.values()}
    return len(values - {None}) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalResult:
    run: EvalRun
    of: EvalSet
    questions: tuple[KeptQuestion, ...]
    measured: tuple[Measured, ...]

    def to_json(self, metric: str | None = None) -> dict[str, Any]:
        """The document of ``GET /v1/evals/{id}/result``; ``metric`` is what stands first in it and what its slices are of, by default
        ``first_metric``.

        Raises:
            InvalidRequest: a metric that none of the configurations has.
        """
        named = list(dict.fromkeys(name for m in self.measured for name in m.metrics))
        if metric is not None and metric not in named:
            raise InvalidRequest(
                f"unknown metric {metric!r}: these have {', '.join(named) or 'none yet'}", code="usage"
            )
        metric = metric or first_metric(self.measured)
        return {
            "kind": "eval",
            **self.run.to_json(),
            "set": self.of.to_json(),
            "configurations": [_summary(m, {q.question_id: q.gold for q in self.questions}) for m in self.measured],
            "metric": metric,
            "slices": _slices(self, metric),
            "notes": _whole_documents(self.questions),
            "lower_is_better": sorted(LOWER_IS_BETTER),
            "questions": [
                {
                    **{k: v for k, v in q.to_json().items() if k not in ("approved",)},
                    "results": [m.rows.get(q.question_id) for m in self.measured],
                }
                for q in self.questions
            ],
        }


def read_result(runs: EvalRuns, sets: EvalSets, principal: Principal, eval_id: str) -> EvalResult:
    """What is measured so far. Raises NotFound."""
    run = runs.get(principal, eval_id)
    if run.judging is not None:
        raise NotFound(
            f"{eval_id!r} measures nothing, it judges answers of {run.judging.of!r}: read /v1/evals/{run.judging.of}/judge",
            code="unknown-eval",
        )
    of = sets.get(principal, run.set_id)
    by_id = {q.question_id: q for q in sets.questions(principal, run.set_id)}
    questions = tuple(by_id[i] for i in run.questions if i in by_id)
    measured = [
        measured_of(runs, configuration, key, questions)
        for configuration, key in zip(run.configurations, run.result_keys, strict=False)
    ]
    return EvalResult(run=run, of=of, questions=questions, measured=tuple(measured))


def measured_of(runs: EvalRuns, configuration: Configuration, key: str, questions: Sequence[KeptQuestion]) -> Measured:
    """What is known under ``key`` of these questions."""
    rows, facts = runs.result(key)
    left_out = facts.pop("left_out", {})

    def mine(known: Mapping[str, Any]) -> dict[str, Any]:
        return {q.question_id: known[name] for q in questions if (name := question_key(q)) in known}

    return Measured(configuration=configuration, key=key, rows=mine(rows), facts=facts, left_out=mine(left_out))


def compare(result: EvalResult, a: int, b: int, *, seed: int = 0) -> Comparison:
    """Configuration ``b`` against ``a``, both counted from 0, question by question, corrected by Holm over the metrics.

    Raises:
        InvalidRequest: there is no such configuration, or the two cannot be compared.
        Conflict: it has not been measured yet.
    """
    check_pair(result, a, b)
    return compare_runs(
        _saved(result, a),
        _saved(result, b),
        # Not every question has passages of its own, nor can every answer be put in another's place.
        intersect=result.run.state != "done" or any(c.contexts for c in result.run.configurations),
        seed=seed,
        n_bootstrap=2_000,
    )


def check_pair(result: EvalResult, a: int, b: int) -> None:
    """Whether there is something to compare; raises as ``compare``."""
    n = len(result.run.configurations)
    if not (0 <= a < n and 0 <= b < n) or a == b:
        raise InvalidRequest(
            f"a = {a}, b = {b}: name two of the {plural(n, 'configuration')}, counted from 0", code="usage"
        )
    if max(a, b) >= len(result.measured) or not all(result.measured[i].rows for i in (a, b)):
        raise Conflict("these configurations have not been measured yet: wait for the end", code="not-measured")


def different_answers(result: EvalResult, a: int, b: int, question_id: str) -> tuple[str, str] | None:
    """What two configurations answered to a question; None where it is the same, or where one of them was not asked, or failed."""
    rows = [result.measured[i].rows.get(question_id) for i in (a, b)]
    texts = tuple(str(row.get("answer") or "") for row in rows if row is not None and not row.get("error"))
    return (texts[0], texts[1]) if len(texts) == 2 and texts[0] != texts[1] else None


def _saved(result: EvalResult, index: int) -> SavedRun:
    measured = result.measured[index]
    return SavedRun(
        path=f"configuration {index}",
        label=measured.configuration.label(),
        kind=measured.configuration.kind,
        data=result.of.name,
        data_sha256=result.run.questions_sha256,
        per_query={question_id: row["metrics"] for question_id, row in measured.rows.items()},
    )


def _slices(result: EvalResult, metric: str) -> list[dict[str, Any]]:
    """Means of a metric by kind, length, document, and words that the passage has."""
    if not result.measured or not all(m.metrics for m in result.measured):
        return []
    values = [
        {q: row["metrics"][metric] for q, row in m.rows.items() if row["metrics"].get(metric) is not None}
        for m in result.measured
    ]
    first = result.measured[0].rows
    questions = {
        q.question_id: Question(
            kind=q.kind,
            document=q.gold[0].title if q.gold else "",
            text=q.question,
            overlap=first.get(q.question_id, {}).get("overlap"),
        )
        for q in result.questions
    }
    return [{**s, "metric": metric} for s in slices(questions, values)]


def _whole_documents(questions: Sequence[KeptQuestion]) -> list[str]:
    """How many of the questions name a document alone, of which any passage counts; none where all name passages."""
    n = sum(any(gold.whole for gold in q.gold) for q in questions)
    return [whole_document_note(n, len(questions))] if n else []


def _summary(measured: Measured, golds: Mapping[str, Sequence[Gold]]) -> dict[str, Any]:
    rows = list(measured.rows.values())
    read = [sum(f["end"] - f["start"] for f in row["found"]) for row in rows]
    failed = Counter(row["error"] for row in rows if row.get("error"))
    left_out = Counter(measured.left_out.values())
    return {
        **measured.configuration.to_json(),
        "key": measured.key,
        "n": len(rows),
        "n_failed": failed.total(),
        "failed": dict(failed),
        "left_out": dict(left_out),
        "notes": _notes(failed, left_out),
        "metrics": {name: _mean([] if measured.all_failed else rows, name) for name in measured.metrics},
        "unscored": {name: found for name in measured.metrics if (found := _unscored(rows, name))},
        "recall_curve": _recall_curve(measured.rows, golds) if measured.configuration.kind == "retrieval" else None,
        "seconds_per_question": fmean(row["seconds"] for row in rows) if rows else None,
        "seconds_per_question_p95": float(np.percentile([row["seconds"] for row in rows], 95)) if rows else None,
        "tokens_per_question": fmean(sum(row.get("tokens", (0, 0))) for row in rows) if rows else None,
        "characters_read": fmean(read) if read else None,
        **measured.facts,
    }


def _notes(failed: Counter[str], left_out: Counter[str]) -> list[str]:
    """What a mean does not show of the questions that it is of, in sentences."""
    told = ((failed, "failed, which counts as not answered"), (left_out, "left out"))
    return [
        f"{plural(of.total(), 'question')} {what}: " + ", ".join(f"{n:,} ({why})" for why, n in of.most_common())
        for of, what in told
        if of
    ]


def _mean(rows: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any]:
    """The mean of the questions that have a value, with a bootstrap interval of 95 %."""
    values = np.asarray(
        [row["metrics"][metric] for row in rows if row["metrics"][metric] is not None], dtype=np.float64
    )
    if not len(values):
        return {"mean": None, "ci_low": None, "ci_high": None, "n": 0}
    low, high = (
        percentile_interval(bootstrap_means(values, n_resamples=2_000), len(values))
        if len(values) > 1
        else (None, None)
    )
    most = max(1.0, float(values.max()))  # no share is more than 1; a perplexity may be
    bounds = (None if low is None else max(0.0, low), None if high is None else min(most, high))
    return {"mean": float(values.mean()), "ci_low": bounds[0], "ci_high": bounds[1], "n": len(values)}


def _unscored(rows: Sequence[Mapping[str, Any]], metric: str) -> dict[str, int]:
    """Why so many questions have no value."""
    return dict(Counter(row["unscored"][metric] for row in rows if metric in row.get("unscored", {})))


def _recall_curve(rows: Rows, golds: Mapping[str, Sequence[Gold]]) -> list[float]:
    """Recall at k = 1 … 10, its mean over the questions: the share of what answers that the first k passages hold."""
    curves = [recall_curve([_span(f) for f in row["found"]], golds[question_id]) for question_id, row in rows.items()]
    return [fmean(at) for at in zip(*curves, strict=True)]


def _span(found: Mapping[str, Any]) -> FoundSpan:
    return FoundSpan(doc_id=found["doc_id"], start=found["start"], end=found["end"])
