"""Reciprocal rank."""

from __future__ import annotations

from collections.abc import Sequence


def reciprocal_rank(grades: Sequence[int], k: int | None = None) -> float:
    """1 / rank of the first relevant document (grade ≥ 1) among the first k, else 0. Its mean is MRR@k."""
    return next((1.0 / i for i, grade in enumerate(grades[:k], start=1) if grade > 0), 0.0)
