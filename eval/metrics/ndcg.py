"""Normalised discounted cumulative gain."""

from __future__ import annotations

import math
from collections.abc import Sequence


def dcg(grades: Sequence[int], k: int | None = None) -> float:
    """Σ_{i ≤ k} gain_i / log2(i + 1), rank i from 1, with the grade itself as gain (linear).

    Järvelin & Kekäläinen 2002 in the variant of trec_eval; the other common one, 2^grade − 1, agrees with it
    only where grades are 0 and 1. A negative grade gains nothing.
    """
    return sum(grade / math.log2(i + 1) for i, grade in enumerate(grades[:k], start=1) if grade > 0)


def ndcg(grades: Sequence[int], judged: Sequence[int], k: int | None = None) -> float:
    """DCG@k over the DCG@k of the best possible order of everything that was judged.

    Args:
        grades: relevance by rank; what was not judged counts as 0.
        judged: the grades of all judged documents of the question, in any order.
        k: cutoff; None takes all ranks.

    Returns:
        0 to 1; 0 where nothing relevant was judged.
    """
    ideal = dcg(sorted(judged, reverse=True), k)
    return dcg(grades, k) / ideal if ideal > 0 else 0.0
