"""What a reranker is worth on dev fields: nDCG@10 of the hybrid's candidates, reordered. Knows scores, not models.

Folders that ``models`` may not import have the product's metrics and tests; the three formulas here are held against them
by the tests.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.train.pairs import DevQuery

Scores = NDArray[np.float64]  # (candidates,)
Score = Callable[[Sequence[DevQuery]], list[Scores]]
WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldResult:
    """nDCG@10 of one field: of the order before, of the reranker alone, and of the mix; ``p`` of mix against before."""

    n: int
    fused: float
    alone: float
    mixed: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """``weight`` is the one that does best over all fields together; ``mean`` is the mean of ``mixed`` over fields."""

    weight: float
    mean: float
    fields: Mapping[str, FieldResult]


def measure(fields: Mapping[str, Sequence[DevQuery]], score: Score, *, weights: Sequence[float] = WEIGHTS) -> Measured:
    """Scores every candidate and mixes at each weight; the weight is chosen for the mean over fields."""
    scored = {name: score(queries) for name, queries in fields.items()}

    def per_query(name: str, weight: float) -> Scores:
        return np.array(
            [
                ndcg10(mix(scores, np.array(q.fused), weight), q)
                for q, scores in zip(fields[name], scored[name], strict=True)
            ]
        )

    means = {w: float(np.mean([per_query(name, w).mean() for name in fields])) for w in weights}
    best = max(weights, key=lambda w: (means[w], -w))
    found = {}
    for name, queries in fields.items():
        fused, mixed = per_query(name, 0.0), per_query(name, best)
        found[name] = FieldResult(
            n=len(queries),
            fused=float(fused.mean()),
            alone=float(per_query(name, 1.0).mean()),
            mixed=float(mixed.mean()),
            p=sign_flips(mixed - fused),
        )
    return Measured(weight=best, mean=means[best], fields=found)


def some_of(fields: Mapping[str, Sequence[DevQuery]], n: int, depth: int, seed: int) -> dict[str, list[DevQuery]]:
    """``n`` queries of each field (0: all), the same for one seed, with their first ``depth`` candidates."""
    found = {}
    for name, queries in sorted(fields.items()):
        chosen = list(queries)
        if 0 < n < len(chosen):
            chosen = sorted(random.Random(f"{seed}:{name}").sample(chosen, n), key=lambda q: q.id)
        found[name] = [
            DevQuery(
                id=q.id,
                query=q.query,
                candidates=q.candidates[:depth],
                fused=q.fused[:depth],
                relevant=q.relevant,
                with_heading=q.with_heading,
            )
            for q in chosen
        ]
    return found


def ndcg10(scores: Scores, query: DevQuery) -> float:
    """DCG@10 / the best possible DCG@10, DCG = Σ grade / log2(rank + 1), ties as the candidates came.

    As trec_eval (linear gain). Relevant passages that are no candidate count in the divisor.
    """
    order = np.argsort(-scores, kind="stable")[:10]
    gained = _dcg([query.relevant.get(query.candidates[i], 0) for i in order])
    ideal = _dcg(sorted(query.relevant.values(), reverse=True)[:10])
    return gained / ideal if ideal > 0 else 0.0


def mix(reranked: Scores, fused: Scores, weight: float) -> Scores:
    """w · minmax(reranked) + (1 − w) · minmax(fused), as the product's rerankers mix; equal scores have 0."""
    return weight * _minmax(reranked) + (1.0 - weight) * _minmax(fused)


def sign_flips(differences: Scores, n: int = 10_000, seed: int = 0) -> float:
    """Two-sided p of the paired randomisation test (Smucker, Allan and Carterette 2007), the observed one counted in."""
    some = differences[differences != 0]
    if not len(some):
        return 1.0
    draw = np.random.default_rng(seed)
    signs = draw.integers(0, 2, size=(n, len(some)), dtype=np.int8) * 2 - 1
    extreme = np.abs(signs @ some) >= abs(some.sum()) - 1e-12
    return float((extreme.sum() + 1) / (n + 1))


def _dcg(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1) if grade > 0)


def _minmax(scores: Scores) -> Scores:
    if not len(scores) or scores.max() == scores.min():
        return np.zeros(len(scores))
    found: Scores = (scores - scores.min()) / (scores.max() - scores.min())
    return found
