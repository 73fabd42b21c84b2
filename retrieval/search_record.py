"""What a search notes down while it runs, for whoever wants to know why it found what it found.

A retriever that is given a ``SearchRecord`` fills it; one that is not notes nothing and costs nothing. The record
belongs to one search in one thread. It knows rows and scores; what of it a person may see is decided by whoever
reads the passages behind the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from core.types import Allowed, Having, Hit

NEAR_MISSES = 5  # hits beyond the last one that are noted down

CutCode: TypeAlias = Literal["rank", "rerank", "parent", "duplicate", "per-document", "mmr", "filter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of a search: how many candidates it gave on, and how long it took."""

    name: str
    candidates: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Why a hit was left out. ``by`` is the chunk_id of the better hit that it lost to, if there is one."""

    code: CutCode
    hit: Hit
    by: str | None = None
    value: float | None = None  # of "mmr": the cosine with ``by``; of "per-document": how many are let through


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """How the lists were joined. ``weights`` are those of the convex combination.

    ``having`` says which rows stand first in the joined list, and what each 1 of their tiers adds to their score there.
    """

    kind: Literal["convex", "rrf"]
    weights: dict[str, float]
    rrf_k: int
    depth: int
    having: Having = field(default_factory=Having)


@dataclass(slots=True)
class SearchRecord:
    """Filled by the retrievers of one search, the innermost first."""

    stages: list[Stage] = field(default_factory=list)
    lists: dict[str, Sequence[tuple[int, float]]] = field(default_factory=dict)  # stage → (row, score), best first
    fusion: Fusion | None = None
    allowed: Allowed | None = None  # the rows that were searched
    seconds: float = 0.0  # of the indexes' own ranking with the reading of its passages
    rows: dict[str, int] = field(default_factory=dict)  # chunk_id of what was found → row
    cuts: list[Cut] = field(default_factory=list)
    merged: dict[int, int] = field(default_factory=dict)  # row → better row that is read as the same parent
    found: list[Hit] = field(default_factory=list)  # what the indexes' own ranking gave on
    reranked: list[Hit] = field(
        default_factory=list
    )  # all that was found, in the order after reranking; none where none was
    before: dict[str, int] = field(default_factory=dict)  # chunk_id of those that the reranker read → rank before
    beyond: list[Hit] = field(default_factory=list)  # what came next after the last hit of the indexes' own ranking

    def begin(self) -> None:
        """A ranking starts: what an earlier try noted down does not count."""
        self.stages.clear()
        self.lists.clear()
        self.rows.clear()
        self.merged.clear()
        self.cuts.clear()
        self.found.clear()
        self.beyond.clear()
        self.reranked.clear()
        self.before.clear()
        self.fusion = None
        self.allowed = None


def found_id(hit: Hit) -> str:
    """The chunk_id of what the indexes found, which may be a part of what is read."""
    return (hit.matched or hit.chunk).chunk_id
