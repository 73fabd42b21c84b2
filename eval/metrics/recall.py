"""Recall."""

from __future__ import annotations

from collections.abc import Sequence


def recall(grades: Sequence[int], n_relevant: int, k: int | None = None) -> float:
    """Relevant documents (grade ≥ 1) among the first k, over all R = ``n_relevant``; 0 where R is 0.

    The divisor is R also where R > k, as in trec_eval: recall@1 of a question with two relevant documents
    is at most 0.5.
    """
    return sum(grade > 0 for grade in grades[:k]) / n_relevant if n_relevant else 0.0
