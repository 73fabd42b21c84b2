"""What stands first whatever else is found: passages that have what a query puts in quotes, or its identifiers whole.

Fusion and reranking weigh words against meaning, and so undo what the term index put first. After each of them the order is
taken apart by how much of it a hit has, most first, and is else left as it is. Scores go with it: a hit gets, for each
tier, at least what all else together can give, so that they still fall with the rank, and their parts still add up.

Knows rows, hits and tiers; not how the term index finds out who has what.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.types import WHOLE, Having, Hit, StagePart
from retrieval.fuse import Ranked


def tiered(ranked: Ranked, tiers: Mapping[int, float], worth: float) -> list[tuple[int, float]]:
    """``ranked`` with the higher tiers first, else in its order; each row gets ``worth`` for every 1 of its tier."""
    lifted = [(row, score + worth * tiers.get(row, 0.0)) for row, score in ranked]
    lifted.sort(key=lambda found: -tiers.get(found[0], 0.0))
    return lifted


def whole_parts(having: Having) -> dict[int, StagePart]:
    """Row → its part ``WHOLE``."""
    ranks = {tier: rank for rank, tier in enumerate(sorted(set(having.tiers.values()), reverse=True), start=1)}
    return {row: StagePart(rank=ranks[tier], score=having.worth * tier) for row, tier in having.tiers.items()}


def without_tiers(hits: Sequence[Hit]) -> list[Hit]:
    """The hits with the scores that they had but for the tiers, for whoever weighs those against others."""
    return [replace(hit, score=hit.score - hit.parts[WHOLE].score) if WHOLE in hit.parts else hit for hit in hits]


def tiered_hits(hits: Sequence[Hit]) -> list[Hit]:
    """Hits in a new order, whose scores know of no tiers, as ``tiered``: ranked anew, the part of the last stage too."""
    known = sorted({hit.parts[WHOLE].score for hit in hits if WHOLE in hit.parts})
    if not known:
        return list(hits)
    tier_of = {score: tier for tier, score in enumerate(known, start=1)}
    scores = [hit.score for hit in hits]
    worth = float(max(1, math.ceil(max(scores) - min(scores))))
    placed = [(tier_of[hit.parts[WHOLE].score] if WHOLE in hit.parts else 0, hit) for hit in hits]
    placed.sort(key=lambda one: -one[0])
    return [_placed(hit, rank, tier * worth) for rank, (tier, hit) in enumerate(placed, start=1)]


def _placed(hit: Hit, rank: int, more: float) -> Hit:
    score = hit.score + more
    parts = {**hit.parts, hit.source: StagePart(rank=rank, score=score)}
    if more:
        parts[WHOLE] = replace(hit.parts[WHOLE], score=more)
    return replace(hit, rank=rank, score=score, parts=parts)
