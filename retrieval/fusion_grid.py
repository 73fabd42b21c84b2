"""Where relevant documents stand under many fusions of the same two lists, without making each list.

The same formulas as ``retrieval.fuse``, over arrays: a test holds them together. Of several passages of a document the
best one counts; ties fall to the larger document, as trec_eval has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.fusion_weights import FusionWeights

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

ALPHAS = tuple(round(0.05 * i, 2) for i in range(21))
RRF_KS = (10, 30, 60, 100)
DEPTHS = (50, 100, 200, 500, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedRows:
    """One list, best first: rows (n,) and their scores (n,)."""

    rows: Integers
    scores: Floats

    @classmethod
    def of(cls, ranked: Sequence[tuple[int, float]]) -> RankedRows:
        return cls(
            rows=np.array([row for row, _ in ranked], dtype=np.int64),
            scores=np.array([score for _, score in ranked], dtype=np.float64),
        )

    def first(self, n: int) -> RankedRows:
        return RankedRows(rows=self.rows[:n], scores=self.scores[:n])


def grid(present: FusionWeights) -> list[FusionWeights]:
    """``present`` first, then every other combination of ALPHAS or RRF_KS with DEPTHS that ranks differently."""
    found = [present]
    for depth in DEPTHS:
        convex = [FusionWeights(fusion="convex", alpha=a, rrf_k=present.rrf_k, depth=depth) for a in ALPHAS]
        rrf = [FusionWeights(fusion="rrf", alpha=present.alpha, rrf_k=k, depth=depth) for k in RRF_KS]
        found += [one for one in (*convex, *rrf) if not one.same_order_as(present)]
    return found


def ranks_under(
    candidates: Sequence[FusionWeights],
    sparse: RankedRows,
    dense: RankedRows,
    document_of: Integers,
    wanted: Sequence[int],
    tiers: Mapping[int, float] | None = None,
) -> Integers:
    """Ranks from 1 of the ``wanted`` documents under each candidate; 0 where a document is not found.

    Args:
        sparse, dense: as deep as the deepest candidate asks for, or as deep as there is.
        document_of: by row, the number of its document; numbers follow the order of document ids.
        wanted: numbers of documents.
        tiers: of the rows that stand first whatever the weights are (``retrieval.tiers``).

    Returns:
        (n_candidates, n_wanted)
    """
    ranks = np.zeros((len(candidates), len(wanted)), dtype=np.int64)
    for depth in dict.fromkeys(c.depth for c in candidates):
        at = [i for i, c in enumerate(candidates) if c.depth == depth]
        ranks[at] = _ranks_at(depth, [candidates[i] for i in at], sparse, dense, document_of, wanted, tiers or {})
    return ranks


def _ranks_at(
    depth: int,
    candidates: Sequence[FusionWeights],
    sparse: RankedRows,
    dense: RankedRows,
    document_of: Integers,
    wanted: Sequence[int],
    tiers: Mapping[int, float],
) -> Integers:
    sparse, dense = sparse.first(depth), dense.first(depth)
    rows = np.union1d(sparse.rows, dense.rows)  # (n,)
    if not len(rows):
        return np.zeros((len(candidates), len(wanted)), dtype=np.int64)
    in_sparse, in_dense = np.searchsorted(rows, sparse.rows), np.searchsorted(rows, dense.rows)

    def spread(at: Integers, values: Floats) -> Floats:
        full = np.zeros(len(rows))
        full[at] = values
        return full

    s, d = spread(in_sparse, minmax(sparse.scores)), spread(in_dense, minmax(dense.scores))
    tier = np.array([tiers.get(row, 0.0) for row in rows.tolist()])
    scores = np.empty((len(candidates), len(rows)))
    for i, c in enumerate(candidates):
        if c.fusion == "convex":
            scores[i] = (1.0 - c.alpha) * s + c.alpha * d + tier
        else:
            one = [1.0 / (c.rrf_k + np.arange(1, len(x.rows) + 1)) for x in (sparse, dense)]
            scores[i] = spread(in_sparse, one[0]) + spread(in_dense, one[1]) + tier * 2 / (c.rrf_k + 1)

    documents = document_of[rows]
    order = np.argsort(documents, kind="stable")
    numbers, first = np.unique(documents[order], return_index=True)
    best = np.maximum.reduceat(scores[:, order], first, axis=1).astype(np.float32)  # (n_candidates, n_documents)
    ranks = np.zeros((len(candidates), len(wanted)), dtype=np.int64)
    for j, number in enumerate(wanted):
        at = int(np.searchsorted(numbers, number))
        if at == len(numbers) or numbers[at] != number:
            continue
        own = best[:, at : at + 1]
        before = (best > own).sum(axis=1) + (best[:, at + 1 :] == own).sum(axis=1)
        ranks[:, j] = 1 + before
    return ranks


def minmax(scores: Floats) -> Floats:
    """(score - min) / (max - min) of a list, best first; 1 throughout where all are equal. As ``fuse.minmax``."""
    if not len(scores):
        return scores
    low, high = scores.min(), scores.max()
    if high == low:
        return np.ones_like(scores)
    scaled: Floats = (scores - low) / (high - low)
    return scaled
