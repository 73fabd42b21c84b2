"""Rerankers as they are used: one or more scorers, mixed with each other and with the order that was there before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.errors import InvalidRequest, NotReady
from core.types import Hit
from retrieval.rerank.late import LateInteractionReranker
from retrieval.rerank.order import RERANK, SPELT, Scorer, check_rerank, minmax, mix, ordered

WEIGHT = 0.5  # chosen for late interaction on SciFact train: python -m bench.fit_rerank


class MixingReranker:
    """A ``core.protocols.Reranker``: w · the mean of the scorers + (1 - w) · the score that the hits came with.

    Late interaction alone, without a weight, orders by what was fitted for it where something was (``retrieval.rerank.likeness``).
    All are min-max normalised within the candidates. Each scorer's own rank and score is a part of the hit under its
    stage, and what gives the order is the part "rerank". Thread-safe as its scorers are.
    """

    def __init__(self, scorers: Sequence[Scorer], weight: float | None = 1.0) -> None:
        """
        Args:
            scorers: at least one, of different stages; they count alike.
            weight: w in [0, 1] of the scorers; 1 leaves the order before out. None is what comes with the only scorer,
                else ``WEIGHT``.

        Raises:
            InvalidRequest: no scorer, two of one stage, or a weight out of range.
        """
        if not scorers or len({s.stage for s in scorers}) < len(scorers):
            raise InvalidRequest(f"rerank scorers {[s.stage for s in scorers]}: give at least one, each stage once")
        if weight is not None and not 0 <= weight <= 1:
            raise InvalidRequest(f"rerank weight {weight}: it lies in [0, 1]")
        self._scorers = tuple(scorers)
        self._weight = weight
        self.most_unread: int | None = None  # as ``within`` says

    def within(self, unread_tokens: int) -> MixingReranker:
        """The same that raises NotReady (``UNREAD``) rather than read more than so many word pieces for one query.

        Only late interaction can know beforehand what it would have to read.
        """
        bounded = [s.within(unread_tokens) if isinstance(s, LateInteractionReranker) else s for s in self._scorers]
        found = MixingReranker(bounded, self._weight)
        found.most_unread = unread_tokens
        return found

    def load(self) -> None:
        """Loads every scorer; raises as they do."""
        for scorer in self._scorers:
            scorer.load()

    def rerank(self, query: str, hits: Sequence[Hit], k: int) -> list[Hit]:
        """The best ``k`` of ``hits`` by those scorers that can read the query.

        Raises:
            InvalidRequest: an empty query, or ``k`` below 1.
            NotReady: none can read it; code ``SPELT``.
        """
        check_rerank(query, k)
        if not hits:
            return []
        reading = [s for s in self._scorers if s.reads(query)]
        if not reading:
            raise NotReady(
                "not reranked: the model that reranks was not made for the script of this query, of which it knows letters at most. Set "
                "encoder_model to one for this language",
                code=SPELT,
            )
        if self._weight is None and len(self._scorers) == 1 and isinstance(reading[0], LateInteractionReranker):
            late, fitted = reading[0].weighed(query, hits)
            if fitted is not None:
                return ordered(hits, {reading[0].stage: late, RERANK: minmax(fitted)}, RERANK, k)
            scores = {reading[0].stage: late}
        else:
            scores = {s.stage: s.score(query, hits) for s in reading}
        if len(scores) == 1:
            reranked = next(iter(scores.values()))
        else:
            reranked = np.mean([minmax(values) for values in scores.values()], axis=0)
        before = np.array([hit.score for hit in hits], dtype=np.float64)
        return ordered(hits, {**scores, RERANK: mix(reranked, before, self.weight(query, hits))}, RERANK, k)

    def weight(self, query: str, hits: Sequence[Hit]) -> float:
        """w of the mix for this query. May load."""
        if self._weight is not None:
            return self._weight
        own = self._scorers[0].mixing_weight(query, hits) if len(self._scorers) == 1 else None
        return WEIGHT if own is None else own
