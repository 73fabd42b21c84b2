"""Two ways to search beside each other: what both find, what one alone finds, and how far a passage moves between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from app import replies
from app.ui.inert import inert_html
from core.wording import plural


class How(TypedDict, total=False):
    """What of a search may be other; as the client takes it."""

    retriever: str
    rerank: bool
    fusion: Literal["convex", "rrf"]


# What a search can be held against, each with what it is in words.
WAYS: Mapping[str, tuple[str, How]] = {
    "hybrid": ("Both", {"retriever": "hybrid"}),
    "plain": ("Both, not reranked", {"retriever": "hybrid", "rerank": False}),
    "rrf": ("Both, fused by rank (RRF)", {"retriever": "hybrid", "fusion": "rrf"}),
    "bm25": ("Words", {"retriever": "bm25"}),
    "bm25-reranked": ("Words, reranked", {"retriever": "bm25", "rerank": True}),
    "tfidf": ("Words (TF-IDF)", {"retriever": "tfidf"}),
    "dense": ("Meaning", {"retriever": "dense"}),
    "dense-reranked": ("Meaning, reranked", {"retriever": "dense", "rerank": True}),
    "late": ("Word by word", {"retriever": "late"}),
}


def moved(hit: replies.Hit, others: Sequence[replies.Hit]) -> str:
    """Where the other list has this passage, in a few words: "only here", "number 3 there, 2 higher here"."""
    there = next((h["rank"] for h in others if h["chunk_id"] == hit["chunk_id"]), None)
    if there is None:
        return "only here"
    by = there - hit["rank"]
    return "the same place" if by == 0 else f"number {there} there, {abs(by)} {'higher' if by > 0 else 'lower'} here"


def moved_html(hit: replies.Hit, others: Sequence[replies.Hit]) -> str:
    return f'<span class="ob-badge">{inert_html(moved(hit, others))}</span>'


def summary(first: Sequence[replies.Hit], second: Sequence[replies.Hit]) -> str:
    """How much two lists have in common, in a sentence."""
    both = {h["chunk_id"] for h in first} & {h["chunk_id"] for h in second}
    if not first and not second:
        return "Neither finds anything."
    same = sum(a["chunk_id"] == b["chunk_id"] for a, b in zip(first, second, strict=False))
    top = bool(first and second) and first[0]["chunk_id"] == second[0]["chunk_id"]
    return (
        f"{plural(len(both), 'passage')} found both ways, {same:,} in the same place; "
        f"{len(first) - len(both):,} by A alone, {len(second) - len(both):,} by B alone. "
        f"The first passage is {'the same' if top else 'another one'}."
    )
