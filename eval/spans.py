"""Ranking metrics of passages against the spans that answer, whatever the passages were cut by.

Two chunkers cut the same text at different places, so they cannot be judged by chunk ids. A passage is relevant if it holds
at least half of a gold span (or, of a longer one, lies in it by half) that no passage before it held; one that repeats a
span gains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.metrics.hits import hits
from eval.metrics.mrr import reciprocal_rank
from eval.metrics.ndcg import ndcg
from eval.questions import Gold

HELD = 0.5  # share of a gold span that a passage must hold
METRICS = ("ndcg@10", "mrr@10", "recall@10", "hits@1", "hits@4")
DEPTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSpan:
    """What is read where a passage was found: half-open offsets into its document's text."""

    doc_id: str
    start: int
    end: int


def holds(found: FoundSpan, gold: Gold, share: float = HELD) -> bool:
    """Whether what they have in common is at least ``share`` of the shorter of the two; of a whole document: whether
    the passage is of that document.

    The shorter, since no passage holds half of a long section, and most of one that lies within it does answer.
    """
    if found.doc_id != gold.doc_id:
        return False
    if gold.whole:
        return True
    common = min(found.end, gold.end) - max(found.start, gold.start)
    shorter = min(gold.end - gold.start, found.end - found.start)
    return common > 0 and common >= share * shorter


def grades(found: Sequence[FoundSpan], golds: Sequence[Gold]) -> list[int]:
    """1 by rank where a passage is the first to hold some gold span, else 0."""
    open_ = list(golds)
    result = []
    for one in found:
        left = [gold for gold in open_ if not holds(one, gold)]
        result.append(int(len(left) < len(open_)))
        open_ = left
    return result


def held_share(found: Sequence[FoundSpan], golds: Sequence[Gold]) -> float:
    """How much of ``golds`` the passages hold; 0 where there are none."""
    return sum(any(holds(one, gold) for one in found) for gold in golds) / len(golds) if golds else 0.0


def recall_curve(found: Sequence[FoundSpan], golds: Sequence[Gold]) -> list[float]:
    """Recall of one question at k = 1 … ``DEPTH``; the last is ``span_metrics``' recall."""
    return [held_share(found[:k], golds) for k in range(1, DEPTH + 1)]


def span_metrics(found: Sequence[FoundSpan], golds: Sequence[Gold]) -> dict[str, float]:
    """``METRICS`` of one question; recall counts gold spans."""
    by_rank = grades(found[:DEPTH], golds)
    return {
        "ndcg@10": ndcg(by_rank, [1] * len(golds), 10),
        "mrr@10": reciprocal_rank(by_rank, 10),
        "recall@10": held_share(found[:DEPTH], golds),
        "hits@1": hits(by_rank, 1),
        "hits@4": hits(by_rank, 4),
    }
