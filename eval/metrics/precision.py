"""Precision at a fixed depth, and at the depth of R."""

from __future__ import annotations

from collections.abc import Sequence


def precision(grades: Sequence[int], k: int) -> float:
    """Relevant documents among the first k, over k: a list shorter than k is not excused, as in trec_eval."""
    return sum(grade > 0 for grade in grades[:k]) / k


def r_precision(grades: Sequence[int], n_relevant: int) -> float:
    """Precision at R = ``n_relevant``; 0 where R is 0."""
    return precision(grades, n_relevant) if n_relevant else 0.0
