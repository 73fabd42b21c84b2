"""Late interaction without compression: every token vector is kept and compared. The reference, and what few passages need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.late_interaction import max_sims
from core.types import Allowed, Vectors
from retrieval.late.checks import check_passages, check_question

# Fewer passages than these are not compressed: a codec that was trained on ten does not know the words of the eleventh.
FEW = 64


class ExactLateIndex:
    """A ``core.protocols.LateIndex``. One writer at a time, any number of readers.

    Args:
        dim: of the token vectors.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._tokens: dict[int, Vectors] = {}

    def __len__(self) -> int:
        return len(self._tokens)

    def rows(self) -> NDArray[np.int64]:
        """Every row that it has, ascending."""
        return np.array(sorted(self._tokens), dtype=np.int64)

    def holds(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of ``rows`` it has."""
        return np.array([row in self._tokens for row in rows.tolist()], dtype=np.bool_)

    def add(self, rows: NDArray[np.int64], tokens: Sequence[Vectors]) -> None:
        """See ``core.protocols.LateIndex``; raises InvalidRequest for shapes that do not fit."""
        check_passages(rows, tokens, self._dim)
        self._tokens = {**self._tokens, **dict(zip(rows.tolist(), tokens, strict=True))}

    def remove(self, rows: Sequence[int]) -> None:
        gone = set(rows)
        self._tokens = {row: tokens for row, tokens in self._tokens.items() if row not in gone}

    def search(self, query: Vectors, k: int, allowed: Allowed) -> list[tuple[int, float]]:
        """(row, MaxSim per query token), best first, ties by smaller row. Raises InvalidRequest."""
        query = check_question(query, k, self._dim)
        kept = self._tokens
        rows = [row for row in kept if row < len(allowed.rows) and allowed.rows[row]]
        scores = max_sims(query, [kept[row] for row in rows]) / len(query)
        return sorted(zip(rows, scores.tolist(), strict=True), key=lambda hit: (-hit[1], hit[0]))[:k]
