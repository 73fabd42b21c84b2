"""Knowing when not to answer: risk against coverage, and the threshold that holds an error with confidence.

Answers are ranked by the confidence that the strategy gave them. Coverage is the share of all questions that is
answered, risk the share of those answers that is wrong. Knows confidences and what was wrong, not how either came about.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from core.errors import InvalidRequest

LEVEL = 0.95  # confidence of every bound
MOST_POINTS = 60  # of a curve, as it is kept and drawn
_SURE_SHARE = 0.25  # of the questions, among which the sequence of tests begins
_MOST_MORE = 100_000  # questions; who has more need not be told
_LEAST_SEEN = 20  # answers from which a risk is worth extrapolating


def clopper_pearson_upper(wrong: int, n: int, level: float = LEVEL) -> float:
    """One-sided upper bound on the probability of which ``wrong`` of ``n`` were seen: the ``level`` quantile of
    Beta(wrong + 1, n − wrong) (Clopper and Pearson 1934)."""
    if not 0 <= wrong <= n:
        raise InvalidRequest(f"{wrong} wrong of {n}: that cannot be", code="usage")
    return 1.0 if wrong == n else float(beta.ppf(level, wrong + 1, n - wrong))


@functools.cache
def answers_needed(wrong: int, error: float, level: float = LEVEL) -> int:
    """The fewest answers of which ``wrong`` may be wrong so that the bound is at most ``error``."""
    low, high = wrong + 1, wrong + 2
    while clopper_pearson_upper(wrong, high, level) > error:
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        if clopper_pearson_upper(wrong, middle, level) <= error:
            high = middle
        else:
            low = middle + 1
    return high


def aurc(wrong: Sequence[bool]) -> float:
    """Area under the risk–coverage curve: the mean, over n, of the risk among the n most confident (Geifman et al. 2019).

    Args:
        wrong: per question, the most confident first.
    """
    flags = np.asarray(wrong, dtype=float)
    return float(np.mean(np.cumsum(flags) / np.arange(1, len(flags) + 1))) if len(flags) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One question: how sure the strategy was, and whether its answer was, or would have been, wrong."""

    confidence: float
    answerable: bool
    wrong: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Answering from ``threshold`` on: ``answered`` questions, of which ``wrong`` are wrong."""

    threshold: float
    answered: int
    wrong: int
    coverage: float
    answer_rate: float | None  # of the answerable questions
    risk: float
    upper: float  # Clopper–Pearson, for this point alone

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """``chosen`` is None where no threshold can be vouched for; ``refused`` then says why.

    ``more_questions``: how many more would probably do, if what is seen holds; None where none would.
    """

    error: float
    n: int
    n_answerable: int
    chosen: Point | None
    refused: str
    more_questions: int | None
    aurc: float
    aurc_best: float  # of the same answers in the best order
    curve: tuple[Point, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "error": self.error,
            "level": LEVEL,
            "n_questions": self.n,
            "n_unanswerable": self.n - self.n_answerable,
            "fitted": self.chosen is not None,
            "chosen": self.chosen.to_json() if self.chosen else None,
            "threshold": self.chosen.threshold if self.chosen else None,
            "coverage": self.chosen.coverage if self.chosen else None,
            "refused": self.refused or None,
            "more_questions": self.more_questions,
            "aurc": self.aurc,
            "aurc_best": self.aurc_best,
            "curve": [p.to_json() for p in self.curve],
        }


def fit_threshold(judged: Sequence[Judged], error: float) -> Fitted:
    """The threshold that answers most, of those of which it can be said with 95 % confidence that at most ``error`` of
    the answers are wrong.

    Thresholds are tested in a fixed order, the strict before the lenient, each at the full level, and the first that
    fails ends it: so the one that is chosen holds at that level although several were tried (fixed-sequence testing, as
    in Angelopoulos et al. 2021, "Learn then Test"). The sequence has one threshold per further error that would be
    allowed, beginning where a quarter of the questions is answered, or as soon as any bound can hold.

    Raises:
        InvalidRequest: no questions, or an ``error`` that is not between 0 and 1.
    """
    if not 0 < error < 1:
        raise InvalidRequest(f"the error is {error:g}: it must lie between 0 and 1, like 0.05", code="usage")
    if not judged:
        raise InvalidRequest("no questions to calibrate on", code="bad-dataset")
    # Of equal confidence the wrong first: a threshold cannot part them, and luck must not.
    order = sorted(judged, key=lambda j: (-j.confidence, not j.wrong))
    confidence = np.array([j.confidence for j in order])
    wrong = np.array([j.wrong for j in order])
    answerable = np.array([j.answerable for j in order])
    points = _points(confidence, wrong, answerable)
    chosen: Point | None = None
    refused, more = "", None
    steps = _steps(len(order), error)
    if not steps:
        least = answers_needed(0, error)
        more = least - len(order)
        refused = (
            f"{len(order)} questions are too few: to hold an error of {error:.1%} with 95 % confidence takes {least} answers "
            f"without a single wrong one, so at least {more} more questions"
        )
    for n in steps:
        point = points[n - 1]
        if point.upper > error:
            break
        chosen = point
    if steps and chosen is None:
        more = _more(points, error)
        first = points[steps[0] - 1]
        refused = (
            f"of the {first.answered} surest answers {first.wrong} are wrong, so up to {first.upper:.1%} may be, and not "
            f"{error:.1%} at most: "
        ) + (
            f"about {more} more questions would show it, if the next are like these"
            if more is not None
            else f"more questions like these would not show it; the least risk seen is {_least_risk(points):.1%}"
        )
    return Fitted(
        error=error,
        n=len(order),
        n_answerable=int(answerable.sum()),
        chosen=chosen,
        refused=refused,
        more_questions=more,
        aurc=aurc(wrong.tolist()),
        aurc_best=aurc(sorted(wrong.tolist())),
        curve=tuple(points[i] for i in _spread(len(points))),
    )


def _points(confidence: NDArray[np.float64], wrong: NDArray[np.bool_], answerable: NDArray[np.bool_]) -> list[Point]:
    """One per question; those of equal confidence are answered together."""
    total, possible = len(confidence), int(answerable.sum())
    answered = np.searchsorted(-confidence, -confidence, side="right")  # (total,)
    errors = np.cumsum(wrong)[answered - 1]
    right = np.cumsum(answerable)[answered - 1]
    with np.errstate(invalid="ignore"):
        upper = np.where(errors == answered, 1.0, beta.ppf(LEVEL, errors + 1, np.maximum(answered - errors, 1e-9)))
    return [
        Point(
            threshold=float(confidence[i]),
            answered=int(n),
            wrong=int(errors[i]),
            coverage=float(n / total),
            answer_rate=float(right[i] / possible) if possible else None,
            risk=float(errors[i] / n),
            upper=float(upper[i]),
        )
        for i, n in enumerate(answered.tolist())
    ]


def _steps(n_questions: int, error: float) -> list[int]:
    """Numbers of answers at which a threshold is tested, ascending; none where too few questions are there."""
    steps: list[int] = []
    allowed = 0
    while (n := answers_needed(allowed, error)) <= n_questions:
        steps.append(n)
        allowed += 1
    early = [n for n in steps if n <= n_questions * _SURE_SHARE]
    return steps[max(0, len(early) - 1) :]


def _more(points: Sequence[Point], error: float) -> int | None:
    """How many more questions would do, if risks stay as seen: the fewest over all coverages whose risk is below."""
    total, best = len(points), None
    growth = 1.2 ** np.arange(64)
    # Of as many errors the point with most answers is the best one.
    for point in {p.wrong: p for p in points}.values():
        if point.answered < _LEAST_SEEN or point.risk >= error:
            continue
        n = np.ceil(point.answered * growth)
        wrong = np.ceil(point.risk * n)
        enough = beta.ppf(LEVEL, wrong + 1, n - wrong) <= error
        if not enough.any():
            continue
        needed = math.ceil(float(n[int(np.argmax(enough))]) / point.coverage) - total
        if 0 < needed < _MOST_MORE and (best is None or needed < best):
            best = needed
    return best


def _least_risk(points: Sequence[Point]) -> float:
    return min((p.risk for p in points if p.answered >= _LEAST_SEEN), default=1.0)


def _spread(n: int) -> list[int]:
    """At most MOST_POINTS indices over 0 … n − 1, both ends among them."""
    if n <= MOST_POINTS:
        return list(range(n))
    return sorted({round(i * (n - 1) / (MOST_POINTS - 1)) for i in range(MOST_POINTS)})
