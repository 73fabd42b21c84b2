"""Choosing one of many settings on some questions, and what the choice is worth on questions that it has not seen.

Knows nothing of what a setting is: it is handed a value per question and candidate. The best of many candidates looks
better on the questions that chose it than it is. So the choice is repeated on parts of the questions, each time measured
on the rest (nested cross-validation: the inner loop chooses, the outer one measures), and those measurements, one per
question, are compared with the present setting's on the same questions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest
from eval.compare import FEW_QUESTIONS, MetricComparison, compare_runs
from eval.progress import Progress, silent
from eval.saved import SavedRun

Floats: TypeAlias = NDArray[np.float64]

N_FOLDS = 10
_EQUAL = 1e-9  # means that differ by less are the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen, and the evidence for it.

    Attributes:
        chosen: the candidate that is best over all questions.
        present_mean, chosen_mean: over the questions that chose, so ``chosen_mean`` flatters.
        comparison: A is the present setting; B is what was chosen without the question it is measured on.
        chosen_in_folds: how often each candidate was chosen; one that changes from fold to fold is a weak choice.
        shown: whether the gain may be claimed: B is better with p < 0.05, over enough questions.
    """

    chosen: int
    n_questions: int
    n_folds: int
    present_mean: float
    chosen_mean: float
    comparison: MetricComparison
    chosen_in_folds: tuple[tuple[int, int], ...]
    shown: bool

    @property
    def more_questions(self) -> int | None:
        """How many more would show a gain of the size seen; None where it is shown, or where there is none to show."""
        needed = self.comparison.questions_needed
        if self.shown or needed is None or self.comparison.difference <= 0:
            return None
        return max(needed - self.n_questions, FEW_QUESTIONS - self.n_questions, 1)

    def text(self) -> str:
        """ "B − A = +0.040 [0.010, 0.070], p = 0.008: B is better", or that there is no evidence, with what would show it."""
        said = self.comparison.text(1)
        if self.n_questions < FEW_QUESTIONS:
            return f"too few questions to tell: {self.n_questions}, and {FEW_QUESTIONS} are the least ({said})"
        if self.more_questions is None:
            return said
        # Two digits are all that such a number is worth.
        unit = 10 ** max(0, len(str(self.more_questions)) - 2)
        return f"{said}; about {math.ceil(self.more_questions / unit) * unit:,} more questions would be needed"


def choose(
    values: Floats,
    groups: Sequence[str],
    *,
    metric: str = "ndcg@10",
    present: int = 0,
    n_folds: int = N_FOLDS,
    seed: int = 0,
    progress: Progress = silent,
) -> Choice:
    """Chooses a candidate, and measures the choosing.

    Args:
        values: (n_questions, n_candidates), more is better.
        groups: of each question; one group is never on both sides of a fold (questions about one document).
        present: the candidate in use. Of equally good ones it is kept, else the first is taken.
        n_folds: at most; never more than there are groups.
        seed: of the folds and of the statistics.

    Raises:
        InvalidRequest: fewer than two questions or two groups.
    """
    n = len(values)
    if n < 2 or len(set(groups)) < 2:
        raise InvalidRequest(
            f"{n} questions about {len(set(groups))} documents: choosing needs at least two about two",
            code="few-questions",
        )
    fold = folds(groups, n_folds, seed)  # (n,)
    unseen = np.empty(n)
    picked: Counter[int] = Counter()
    for k in range(int(fold.max()) + 1):
        progress("choosing", k, int(fold.max()) + 1)
        held = fold == k
        best = best_of(values[~held], present)
        picked[best] += 1
        unseen[held] = values[held, best]
    chosen = best_of(values, present)
    comparison = _compared(values[:, present], unseen, metric, seed)
    return Choice(
        chosen=chosen,
        n_questions=n,
        n_folds=int(fold.max()) + 1,
        present_mean=float(values[:, present].mean()),
        chosen_mean=float(values[:, chosen].mean()),
        comparison=comparison,
        chosen_in_folds=tuple(picked.most_common()),
        shown=(chosen != present and comparison.significant and comparison.difference > 0 and n >= FEW_QUESTIONS),
    )


def best_of(values: Floats, present: int) -> int:
    """The candidate with the highest mean; ``present`` if none beats it, else the first of equals."""
    means = values.mean(axis=0)
    top = means.max()
    if means[present] >= top - _EQUAL:
        return present
    return int(np.flatnonzero(means >= top - _EQUAL)[0])


def folds(groups: Sequence[str], n_folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each question: groups in random order, each to the fold that has the fewest questions yet."""
    sizes = Counter(groups)
    names = sorted(sizes)
    np.random.default_rng(seed).shuffle(names)
    filled = [0] * min(n_folds, len(names))
    of_group: dict[str, int] = {}
    for name in names:
        of_group[name] = int(np.argmin(filled))
        filled[of_group[name]] += sizes[name]
    return np.array([of_group[g] for g in groups], dtype=np.int64)


def _compared(a: Floats, b: Floats, metric: str, seed: int) -> MetricComparison:
    def run(label: str, values: Floats) -> SavedRun:
        per_query = {str(i): {metric: float(v)} for i, v in enumerate(values)}
        return SavedRun(path=label, label=label, kind="retrieval", data="", data_sha256="", per_query=per_query)

    return compare_runs(run("present", a), run("chosen unseen", b), seed=seed).metrics[0]
