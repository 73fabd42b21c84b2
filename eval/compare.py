"""Is B better than A on the same questions? Pairs two saved runs and says what the data allow to be said.

Per metric: the difference of the means with a bootstrap interval, a paired randomisation test, Holm's correction over
the metrics compared, and how many questions would be needed. Knows nothing of what made the runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.errors import InvalidRequest
from eval.progress import Progress, silent
from eval.saved import SavedRun
from eval.statistics import (
    N_BOOTSTRAP,
    N_FLIPS,
    bootstrap_means,
    detectable_difference,
    holm,
    percentile_interval,
    questions_needed,
    randomization_test,
)

LOWER_IS_BETTER = frozenset({"wrong", "perplexity"})
NOT_SHARES = frozenset({"perplexity"})
# Compared only where somebody names them: they move together with f1 or recall, or say nothing of right and wrong (perplexity), and
# every further test costs the others power.
BESIDE = frozenset(
    {"squad2_em", "squad2_f1", "rouge_l", "bleu", "bertscore", "context_precision", "context_recall", "perplexity"}
)
# Below this many questions no interval keeps its word (see docs/decisions/0073).
FEW_QUESTIONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricComparison:
    """B against A in one metric, over the ``n`` questions where both have a value.

    ``ci_low`` and ``ci_high`` bound the difference of the means with 95 % confidence, None below two questions.
    ``p`` is of this metric alone; ``p_holm`` is corrected for all metrics compared, and decides ``significant``.
    ``questions_needed`` would find a difference of the observed size, ``questions_for_stated`` one of the stated size,
    and ``detectable_difference`` is what this many questions find, each in 80 % of repetitions or more: at α / m for m metrics
    compared, which is as much as Holm may ask of any of them.
    """

    metric: str
    lower_is_better: bool
    n: int
    excluded: int
    mean_a: float
    mean_b: float
    difference: float
    ci_low: float | None
    ci_high: float | None
    p: float
    p_holm: float
    exact: bool
    significant: bool
    wins: int  # questions where B is better
    losses: int
    ties: int
    sd: float | None
    questions_needed: int | None
    questions_for_stated: int | None
    detectable_difference: float | None

    def text(self, n_metrics: int) -> str:
        """ "B − A = +0.040 [0.010, 0.070], p = 0.008", or "no evidence of a difference" with what would show one."""
        corrected = f" (Holm over {n_metrics})" if n_metrics > 1 else ""
        measured = f"B − A = {signed(self.difference)}{_interval(self)}, p {_p(self.p_holm)}{corrected}"
        if self.significant:
            better = "B" if (self.difference > 0) != self.lower_is_better else "A"
            return f"{measured}: {better} is better"
        needed = f"; one of this size would take {_about(self.questions_needed)}" if self.questions_needed else ""
        return f"no evidence of a difference ({measured}{needed}{self._power()})"

    def _power(self) -> str:
        """What "no evidence" is worth."""
        if self.detectable_difference is not None:
            return f"; in 80 % of cases these {self.n:,} find one of {size(self.detectable_difference)} or more"
        if self.ties == self.n > 1:
            return (
                f"; all {self.n:,} questions are alike, which tells nothing of how large a difference they would find"
            )
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    a: SavedRun
    b: SavedRun
    n_queries: int
    alpha: float
    stated_difference: float
    n_flips: int
    n_bootstrap: int
    seed: int
    metrics: tuple[MetricComparison, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The document of `eval compare --json`."""

        def run(saved: SavedRun) -> dict[str, str]:
            return {"path": saved.path, "label": saved.label, "kind": saved.kind, "data": saved.data}

        return {
            "kind": "comparison",
            "a": run(self.a),
            "b": run(self.b),
            "n_queries": self.n_queries,
            "alpha": self.alpha,
            "stated_difference": self.stated_difference,
            "n_flips": self.n_flips,
            "n_bootstrap": self.n_bootstrap,
            "seed": self.seed,
            "metrics": [{**asdict(m), "text": m.text(len(self.metrics))} for m in self.metrics],
            "notes": list(self.notes),
        }


def compare_runs(
    a: SavedRun,
    b: SavedRun,
    *,
    metrics: Sequence[str] = (),
    intersect: bool = False,
    alpha: float = 0.05,
    stated_difference: float = 0.02,
    n_flips: int = N_FLIPS,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
    progress: Progress = silent,
) -> Comparison:
    """Compares two runs question by question.

    Args:
        a, b: from ``eval.saved.load_run``.
        metrics: which; by default all that both runs have and that are not ``BESIDE`` others, in A's order.
        intersect: with different questions, compare those that both have instead of raising.
        alpha: a Holm-corrected p below it counts as evidence.
        stated_difference: ``questions_for_stated`` is reckoned for it.
        n_flips, n_bootstrap, seed: of the resampling.
        progress: called with ("comparing", done, number of metrics).

    Raises:
        InvalidRequest: different questions, no metric in common, a metric that a run lacks, or too few repetitions.
    """
    if n_flips < 10_000 or n_bootstrap < 1_000:
        raise InvalidRequest(
            f"{n_flips} sign flips and {n_bootstrap} resamples are too few: take 10,000 and 1,000 or more"
        )
    query_ids, notes = _paired(a, b, intersect)
    names = _shared_metrics(a, b, metrics)
    found = []
    for done, name in enumerate(names):
        progress("comparing", done, len(names))
        pairs = [(a.per_query[q].get(name), b.per_query[q].get(name)) for q in query_ids]
        both = [(x, y) for x, y in pairs if x is not None and y is not None]
        if not both:
            notes.append(f"{name}: no question has a value in both runs, so it is not compared")
            continue
        found.append(_measured(name, both, len(pairs), n_flips, n_bootstrap, seed))
    progress("comparing", len(names), len(names))
    if found and max(m["n"] for m in found) < FEW_QUESTIONS:
        notes.append(f"with fewer than {FEW_QUESTIONS} questions the intervals are too narrow")
    if a.data_sha256 and b.data_sha256 and a.data_sha256 != b.data_sha256:
        notes.append(f"the runs were measured on different data under the same question ids: {a.data} and {b.data}")
    corrected = holm([m["p"] for m in found])
    return Comparison(
        a=a,
        b=b,
        n_queries=len(query_ids),
        alpha=alpha,
        stated_difference=stated_difference,
        n_flips=n_flips,
        n_bootstrap=n_bootstrap,
        seed=seed,
        metrics=tuple(
            MetricComparison(**m, **_powers(m, alpha / len(found), stated_difference), p_holm=p, significant=p < alpha)
            for m, p in zip(found, corrected, strict=True)
        ),
        notes=tuple(notes),
    )


def _measured(
    name: str,
    both: Sequence[tuple[float, float]],
    n_pairs: int,
    n_flips: int,
    n_bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    values = np.asarray(both, dtype=np.float64)  # (n, 2)
    d = values[:, 1] - values[:, 0]
    d[np.abs(d) < 1e-12] = 0.0  # one formula summed in two orders is no difference
    n = len(d)
    lower = name in LOWER_IS_BETTER
    test = randomization_test(d.tolist(), n_flips=n_flips, seed=seed)
    ci = percentile_interval(bootstrap_means(d, n_resamples=n_bootstrap, seed=seed), n) if n > 1 else None
    sd = float(d.std(ddof=1)) if n > 1 else None
    difference = float(d.mean())
    return {
        "metric": name,
        "lower_is_better": lower,
        "n": n,
        "excluded": n_pairs - n,
        "mean_a": float(values[:, 0].mean()),
        "mean_b": float(values[:, 1].mean()),
        "difference": difference,
        "ci_low": ci[0] if ci else None,
        "ci_high": ci[1] if ci else None,
        "p": test.p,
        "exact": test.exact,
        "wins": int((d < 0).sum() if lower else (d > 0).sum()),
        "losses": int((d > 0).sum() if lower else (d < 0).sum()),
        "ties": int((d == 0).sum()),
        "sd": sd,
    }


def _powers(m: Mapping[str, Any], alpha: float, stated: float) -> dict[str, Any]:
    sd = m["sd"]
    return {
        "questions_needed": questions_needed(sd, m["difference"], alpha=alpha) if sd else None,
        "questions_for_stated": questions_needed(sd, stated, alpha=alpha) if sd else None,
        "detectable_difference": detectable_difference(sd, m["n"], alpha=alpha) if sd else None,
    }


def _paired(a: SavedRun, b: SavedRun, intersect: bool) -> tuple[list[str], list[str]]:
    only_a = [q for q in a.per_query if q not in b.per_query]
    only_b = [q for q in b.per_query if q not in a.per_query]
    shared = [q for q in a.per_query if q in b.per_query]
    if not only_a and not only_b:
        return shared, []
    differ = (
        f"the runs are of different questions: {_count(only_a)} only in {a.path}, {_count(only_b)} only in {b.path}, "
        f"{len(shared)} in both"
    )
    if not shared:
        raise InvalidRequest(f"{differ}: nothing can be compared", code="different-questions")
    if not intersect:
        raise InvalidRequest(f"{differ}; --intersect compares those in both", code="different-questions")
    return shared, [f"{differ}; only those in both are compared"]


def _shared_metrics(a: SavedRun, b: SavedRun, asked: Sequence[str]) -> tuple[str, ...]:
    shared = tuple(name for name in a.metrics if name in b.metrics)
    for name in asked:
        if name not in shared:
            raise InvalidRequest(
                f"metric {name!r} is not in both runs: choose {', '.join(shared) or 'none, they share no metric'}",
                code="usage",
            )
    if not shared:
        raise InvalidRequest(
            f"the runs share no metric: {a.path} has {', '.join(a.metrics)}; {b.path} has {', '.join(b.metrics)}",
            code="no-shared-metric",
        )
    return tuple(asked) or tuple(name for name in shared if name not in BESIDE) or shared


def _count(ids: Sequence[str]) -> str:
    return f"{len(ids)} ({', '.join(map(repr, ids[:3]))}{', …' if len(ids) > 3 else ''})" if ids else "none"


def signed(value: float) -> str:
    """+0.040 or −0.040, with as many digits as a small value needs."""
    return f"{'−' if value < 0 else '+'}{size(value)}"


def size(value: float) -> str:
    """The same without its sign."""
    digits = 3 if abs(value) >= 0.01 or value == 0 else 4
    return f"{abs(value):.{digits}f}"


def _interval(m: MetricComparison) -> str:
    if m.ci_low is None or m.ci_high is None:
        return ""
    digits = 3 if abs(m.difference) >= 0.01 or m.difference == 0 else 4
    low, high = (f"{end:.{digits}f}".replace("-", "−") for end in (m.ci_low, m.ci_high))
    return f" [{low}, {high}]"


def _about(questions: int) -> str:
    """Two digits are all that such a number is worth."""
    if questions > 100_000:
        return "more than 100,000 questions"
    unit = 10 ** max(0, len(str(questions)) - 2)
    return f"about {-(-questions // unit) * unit:,} questions"


def _p(p: float) -> str:
    if p < 0.0001:
        return "< 0.0001"
    return f"= {p:.2g}" if p < 0.01 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"
