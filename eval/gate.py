"""May a change go in? Not whether it is better, but whether it can be shown not to be worse by more than a margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import InvalidRequest
from eval.compare import BESIDE, FEW_QUESTIONS, Comparison, MetricComparison, signed

# Of the questions that have a value in the baseline. A run that no longer gives one is judged by the others alone, and may have
# lost just those that it would have got wrong.
MAX_LOST = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricGate:
    """``gain`` and its bounds are of the new run over the baseline, turned so that more is better.

    ``n`` questions have a value in both runs and are compared, ``excluded`` have not; ``lost`` of those have one in the baseline
    alone. ``why`` says what it fails by, "" where it passes.
    """

    metric: str
    n: int
    excluded: int
    lost: int
    gain: float
    low: float
    high: float
    margin: float
    why: str

    @property
    def passed(self) -> bool:
        return not self.why

    def text(self) -> str:
        """ "ndcg@10: +0.012 [−0.004, +0.029] passes a margin of 0.01, over 190 questions; 10 have no value in both"."""
        verdict = "passes" if self.passed else "fails"
        interval = f"[{signed(self.low)}, {signed(self.high)}]"
        said = f"{self.metric}: {signed(self.gain)} {interval} {verdict} a margin of {self.margin:g}, over {self.n:,} questions"
        if self.excluded:
            said += f"; {self.excluded:,} have no value in both"
        return f"{said}: {self.why}" if self.why else said


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    comparison: Comparison
    metrics: tuple[MetricGate, ...]

    @property
    def passed(self) -> bool:
        return all(metric.passed for metric in self.metrics)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "gate",
            "passed": self.passed,
            "n_queries": self.comparison.n_queries,
            "baseline": self.comparison.a.path,
            "run": self.comparison.b.path,
            "metrics": [{**asdict(m), "passed": m.passed, "text": m.text()} for m in self.metrics],
            "notes": list(self.comparison.notes),
        }


def gate(comparison: Comparison, margins: Sequence[tuple[str, float]] | float) -> Gate:
    """Judges a comparison whose A is the baseline.

    A metric passes where the lower end of the interval of its gain is not below −margin, over ``FEW_QUESTIONS`` questions or more,
    and where the new run has a value for all but ``MAX_LOST`` of the questions that have one in the baseline.

    Args:
        margins: how much worse a metric may be, in its own unit: one for all, or one per metric.

    Raises:
        InvalidRequest: a margin that is negative or not finite, fewer than two questions (no interval); code "not-compared" where
            nothing is compared, or a metric is not that was named, or of which the baseline has values and the new run has none.
    """
    named = [] if isinstance(margins, float) else [metric for metric, _ in margins]
    of = {m.metric: margins for m in comparison.metrics} if isinstance(margins, float) else dict(margins)
    for metric, margin in of.items():
        if not 0 <= margin < float("inf"):
            raise InvalidRequest(f"the margin of {metric} is {margin:g}: it must be 0 or more", code="usage")
    _check_compared(comparison, named)
    return Gate(comparison=comparison, metrics=tuple(_judged(comparison, m, of[m.metric]) for m in comparison.metrics))


def _check_compared(comparison: Comparison, named: Sequence[str]) -> None:
    a, b = comparison.a, comparison.b
    there = {m.metric for m in comparison.metrics}
    asked = named or [m for m in a.metrics if m not in BESIDE]
    n_values = {
        m: tuple(sum(v.get(m) is not None for v in run.per_query.values()) for run in (a, b))
        for m in asked
        if m not in there
    }
    missing = [
        m for m, (old, _) in n_values.items() if named or old
    ]  # what the baseline never had, nothing was lost of
    if missing or not comparison.metrics:
        said = [f"{m} ({n_values[m][0]:,} values in {a.path}, {n_values[m][1]:,} in {b.path})" for m in missing]
        raise InvalidRequest(
            f"no question has a value in both runs of {', '.join(said) or 'any metric'}, so nothing is compared; "
            "name with --metric what both runs measure, or look at why the new one has no values",
            code="not-compared",
        )


def _judged(comparison: Comparison, found: MetricComparison, margin: float) -> MetricGate:
    if found.ci_low is None or found.ci_high is None:
        raise InvalidRequest(
            f"{found.metric} has {found.n} questions in both runs: an interval takes two or more",
            code="too-few-questions",
        )
    gain, low, high = found.difference, found.ci_low, found.ci_high
    if found.lower_is_better:
        gain, low, high = -gain, -high, -low
    old, new = (run.per_query for run in (comparison.a, comparison.b))
    with_value = [q for q in old if old[q].get(found.metric) is not None]
    # Also where the run was not asked it at all: leaving out the hard ones must not open the gate.
    lost = sum(new.get(q, {}).get(found.metric) is None for q in with_value)
    if lost > MAX_LOST * len(with_value):
        why = f"{lost:,} of the {len(with_value):,} questions with a value in the baseline have none in the run"
    elif found.n < FEW_QUESTIONS:
        why = f"{found.n} questions are too few, it takes {FEW_QUESTIONS}"
    else:
        why = "" if low >= -margin else f"the lower end is below {signed(-margin)}"
    return MetricGate(
        metric=found.metric,
        n=found.n,
        excluded=found.excluded,
        lost=lost,
        gain=gain,
        low=low,
        high=high,
        margin=margin,
        why=why,
    )
