"""Success at k."""

from __future__ import annotations

from collections.abc import Sequence


def hits(grades: Sequence[int], k: int) -> float:
    """1 if a relevant document (grade ≥ 1) is among the first k, else 0; trec_eval calls it success."""
    return float(any(grade > 0 for grade in grades[:k]))
