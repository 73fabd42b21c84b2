"""May a change go in? Not whether it is better, but whether it can be shown not to be worse by more than a margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import InvalidRequest
from eval.compare import Comparison, MetricComparison, signed


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricGate:
    """``gain`` and its bounds are of the new run over the baseline, turned so that more is better. ``passed`` where ``low``
    is not below −``margin``."""

    metric: str
    n: int
    gain: float
    low: float
    high: float
    margin: float
    passed: bool

    def text(self) -> str:
        """ "ndcg@10: +0.012 [−0.004, +0.029] passes a margin of 0.01"."""
        verdict = "passes" if self.passed else "fails"
        interval = f"[{signed(self.low)}, {signed(self.high)}]"
        return f"{self.metric}: {signed(self.gain)} {interval} {verdict} a margin of {self.margin:g}"


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
            "metrics": [{**asdict(m), "text": m.text()} for m in self.metrics],
            "notes": list(self.comparison.notes),
        }


def gate(comparison: Comparison, margins: Sequence[tuple[str, float]] | float) -> Gate:
    """Judges a comparison whose A is the baseline.

    Args:
        margins: how much worse a metric may be, in its own unit: one for all, or one per metric.

    Raises:
        InvalidRequest: a margin that is negative or not finite, or fewer than two questions (no interval).
    """
    of = dict(margins) if not isinstance(margins, float) else {m.metric: margins for m in comparison.metrics}
    for metric, margin in of.items():
        if not 0 <= margin < float("inf"):
            raise InvalidRequest(f"the margin of {metric} is {margin:g}: it must be 0 or more", code="usage")
    return Gate(comparison=comparison, metrics=tuple(_judged(m, of[m.metric]) for m in comparison.metrics))


def _judged(found: MetricComparison, margin: float) -> MetricGate:
    if found.ci_low is None or found.ci_high is None:
        raise InvalidRequest(
            f"{found.metric} has {found.n} questions in both runs: an interval takes two or more",
            code="too-few-questions",
        )
    gain, low, high = found.difference, found.ci_low, found.ci_high
    if found.lower_is_better:
        gain, low, high = -gain, -high, -low
    return MetricGate(
        metric=found.metric, n=found.n, gain=gain, low=low, high=high, margin=margin, passed=low >= -margin
    )
