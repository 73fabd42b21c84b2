"""From scored documents and judgements to a number per question, the way trec_eval reads a run.

What trec_eval (and pytrec_eval) does, checked against it in tests/parity/test_pytrec_eval.py:

- the order is by score, compared as float32, and then by document id descending; given ranks are ignored.
  Two scores that differ by less than float32 can hold are a tie;
- what was not judged is not relevant; relevant is grade ≥ 1; a negative grade is a judged grade 0;
- the mean is over the *judged* questions: one that the run lacks counts as 0.

This module does not know where scores come from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

import numpy as np

from core.errors import InvalidRequest
from eval.metrics.hits import hits
from eval.metrics.map import average_precision
from eval.metrics.mrr import reciprocal_rank
from eval.metrics.ndcg import ndcg
from eval.metrics.precision import precision, r_precision
from eval.metrics.recall import recall

ScoredRun: TypeAlias = Mapping[str, Mapping[str, float]]  # query_id → doc_id → score
Qrels: TypeAlias = Mapping[str, Mapping[str, int]]  # query_id → doc_id → relevance
PerQuery: TypeAlias = dict[str, dict[str, float]]  # query_id → metric name → value

MetricKind = Literal["ndcg", "mrr", "map", "recall", "precision", "hits", "r_precision"]
_NEEDS_CUTOFF: frozenset[str] = frozenset({"precision", "hits"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingMetric:
    """A formula and its cutoff; ``name`` is how results spell it, for example "ndcg@10" or "map"."""

    kind: MetricKind
    k: int | None

    @property
    def name(self) -> str:
        return self.kind if self.k is None else f"{self.kind}@{self.k}"


def parse_metric(name: str) -> RankingMetric:
    """Reads "ndcg@10", "map", …

    Raises:
        InvalidRequest: not a metric, or a cutoff that is missing, superfluous or not a positive whole number.
    """
    kind, at, cutoff = name.partition("@")
    if kind not in get_args(MetricKind):
        raise InvalidRequest(
            f"unknown metric {name!r}: choose {', '.join(get_args(MetricKind))}, as in 'ndcg@10'", code="usage"
        )
    if at and not (cutoff.isascii() and cutoff.isdigit() and int(cutoff) > 0):
        raise InvalidRequest(f"metric {name!r}: the cutoff after '@' must be a whole number of 1 or more", code="usage")
    if not at and kind in _NEEDS_CUTOFF:
        raise InvalidRequest(f"metric {name!r} needs a cutoff, as in '{kind}@10'", code="usage")
    if at and kind == "r_precision":
        raise InvalidRequest(
            f"metric {name!r}: r_precision has no cutoff, it is precision at the number of relevant", code="usage"
        )
    return RankingMetric(kind=cast(MetricKind, kind), k=int(cutoff) if at else None)


def trec_order(scores: Mapping[str, float]) -> list[str]:
    """Document ids as trec_eval ranks them: float32 score descending, ties by id descending.

    Raises:
        InvalidRequest: a score that is not a number.
    """
    ids = list(scores)
    with np.errstate(over="ignore"):  # beyond float32 is infinite there too
        values = np.fromiter(scores.values(), dtype=np.float64, count=len(ids)).astype(np.float32)
    if np.isnan(values).any():
        bad = ids[int(np.isnan(values).argmax())]
        raise InvalidRequest(f"the score of document {bad!r} is not a number (NaN): nothing can be ranked by it")
    order = np.argsort(-values, kind="stable")
    ranked = [ids[i] for i in order.tolist()]
    ordered = values[order]
    tied = np.flatnonzero(ordered[1:] == ordered[:-1])  # i where ranks i and i + 1 share a score
    start = 0
    while start < len(tied):
        stop = start
        while stop + 1 < len(tied) and tied[stop + 1] == tied[stop] + 1:
            stop += 1
        first, last = int(tied[start]), int(tied[stop]) + 2  # ranked[first:last] share one score
        ranked[first:last] = sorted(ranked[first:last], reverse=True)
        start = stop + 1
    return ranked


def evaluate_query(
    scores: Mapping[str, float], judged: Mapping[str, int], metrics: Sequence[RankingMetric]
) -> dict[str, float]:
    """Metric values of one question. An empty ``scores`` gives zeros."""
    grades = [judged.get(doc_id, 0) for doc_id in trec_order(scores)]
    ideal = list(judged.values())
    n_relevant = sum(grade > 0 for grade in ideal)
    return {metric.name: _value(metric, grades, ideal, n_relevant) for metric in metrics}


def evaluate_run(run: ScoredRun, qrels: Qrels, metrics: Sequence[RankingMetric]) -> PerQuery:
    """Values for every judged question, in the order of ``qrels``; those that the run lacks get 0."""
    return {query_id: evaluate_query(run.get(query_id, {}), judged, metrics) for query_id, judged in qrels.items()}


def mean_over_queries(per_query: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Arithmetic mean of each metric; empty without questions."""
    if not per_query:
        return {}
    names = next(iter(per_query.values())).keys()
    return {name: math.fsum(values[name] for values in per_query.values()) / len(per_query) for name in names}


def _value(metric: RankingMetric, grades: Sequence[int], judged: Sequence[int], n_relevant: int) -> float:
    k = metric.k
    match metric.kind:
        case "ndcg":
            return ndcg(grades, judged, k)
        case "mrr":
            return reciprocal_rank(grades, k)
        case "map":
            return average_precision(grades, n_relevant, k)
        case "recall":
            return recall(grades, n_relevant, k)
        case "precision":
            return precision(grades, _cutoff(metric))
        case "hits":
            return hits(grades, _cutoff(metric))
        case "r_precision":
            return r_precision(grades, n_relevant)


def _cutoff(metric: RankingMetric) -> int:
    if metric.k is None:
        raise InvalidRequest(f"metric {metric.name!r} needs a cutoff, as in '{metric.kind}@10'")
    return metric.k
