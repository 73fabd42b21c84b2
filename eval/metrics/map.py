"""Average precision."""

from __future__ import annotations

from collections.abc import Sequence


def average_precision(grades: Sequence[int], n_relevant: int, k: int | None = None) -> float:
    """Σ over relevant ranks i ≤ k of precision@i, divided by R = ``n_relevant``; its mean is MAP.

    Relevant documents that were not retrieved count as precision 0, as in trec_eval. 0 where R is 0.
    """
    found, total = 0, 0.0
    for i, grade in enumerate(grades[:k], start=1):
        if grade > 0:
            found += 1
            total += found / i
    return total / n_relevant if n_relevant else 0.0
