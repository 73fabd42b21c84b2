"""How scores become an order: alone, or mixed with what was there before. Knows numbers, not where they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest, OpenbookError
from core.types import Hit, StagePart

Scores = NDArray[np.float64]  # (n,)

RERANK = "rerank"  # the stage whose score gives the final order
# Codes of NotReady where the candidates stay in the order in which they were found.
UNREAD = "late-unread"  # there is too much to read for one search
SPELT = "query-spelt"  # the model has the query's letters, and no more


class Scorer(Protocol):
    """Says how well each hit answers. Thread-safe; ``stage`` names it in a hit's parts."""

    @property
    def stage(self) -> str: ...

    def mixing_weight(self, query: str, hits: Sequence[Hit]) -> float | None:
        """w of ``mix`` that was fitted for it, for a query like this; None where none was. May load."""
        ...

    def load(self) -> None: ...

    def reads(self, query: str) -> bool:
        """False where the model only has the letters of ``query`` (``core.legible``). May load."""
        ...

    def score(self, query: str, hits: Sequence[Hit]) -> Scores:
        """(n,), higher is better, in any unit; does not look at the hits' own order or scores."""
        ...


def passage_text(hit: Hit) -> str:
    """What a reranker reads of a hit: the passage that was found, not the larger one around it."""
    return (hit.matched or hit.chunk).text


def minmax(scores: Scores) -> Scores:
    """(score - min) / (max - min): the best has 1, the last 0. Equal scores say nothing, and each has 0."""
    if not len(scores):
        return scores
    low, high = scores.min(), scores.max()
    if high == low:
        return np.zeros_like(scores)
    found: Scores = (scores - low) / (high - low)
    return found


def mix(reranked: Scores, fused: Scores, weight: float) -> Scores:
    """w · minmax(reranked) + (1 - w) · minmax(fused), both within the candidates: the convex combination of two stages.

    The same combination as ``retrieval.fuse.convex`` (Bruch, Gai and Ingber 2023), of a first stage and a reranker in
    place of two retrievers. Unlike there, equal scores have 0: every candidate has a score of both.

    Args:
        reranked: (n,) of the reranker.
        fused: (n,) of the stage before.
        weight: w in [0, 1]; 1 is the reranker alone, 0 the order before.

    Returns:
        (n,) in [0, 1].
    """
    if not 0 <= weight <= 1:
        raise InvalidRequest(f"rerank weight {weight}: it lies in [0, 1]")
    return weight * minmax(reranked) + (1.0 - weight) * minmax(fused)


def ordered(hits: Sequence[Hit], scores: Mapping[str, Scores], last: str, k: int) -> list[Hit]:
    """The best ``k`` hits by ``scores[last]``, ties as they came, with a part for each stage of ``scores``.

    Args:
        hits: (n), best first.
        scores: stage → (n,).
        last: the stage that gives order, score and source.

    Raises:
        OpenbookError: a score is no number.
    """
    orders: dict[str, list[int]] = {}
    for stage, values in scores.items():
        if not np.isfinite(values).all():
            raise OpenbookError(f"the reranker stage {stage!r} gave a score that is no number", code="bad-score")
        orders[stage] = np.argsort(-values, kind="stable").tolist()
    parts: list[dict[str, StagePart]] = [dict(hit.parts) for hit in hits]
    for stage, order in orders.items():
        for rank, i in enumerate(order, start=1):
            parts[i][stage] = StagePart(rank=rank, score=float(scores[stage][i]))
    return [
        replace(hits[i], rank=rank, score=float(scores[last][i]), source=last, parts=parts[i])
        for rank, i in enumerate(orders[last][:k], start=1)
    ]


def check_rerank(query: str, k: int) -> None:
    """Raises InvalidRequest for an empty query or a ``k`` below 1."""
    if not query.strip():
        raise InvalidRequest("the query is empty: write what you are looking for", code="empty-query")
    if k < 1:
        raise InvalidRequest(f"k = {k} is out of range: ask for at least 1 hit", code="bad-k")
