"""One query, some indexes, one ranked list of rows: the part of retrieval that knows neither people nor documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from core.errors import InvalidRequest
from core.protocols import DenseIndex, Encoder, LateIndex, SparseIndex
from core.types import Allowed, StagePart
from retrieval.fuse import convex, rrf
from retrieval.late.reading import read_query

MAX_K = 1000

RankerName = Literal["bm25", "tfidf", "dense", "late", "hybrid"]
RANKERS: tuple[RankerName, ...] = ("bm25", "tfidf", "dense", "late", "hybrid")


@dataclass(frozen=True, slots=True)
class RankedRow:
    """``parts`` has rank and score of every stage that found the row."""

    row: int
    score: float
    parts: dict[str, StagePart] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorSpace:
    """An encoder with the index of what it encoded."""

    encoder: Encoder
    index: DenseIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpace:
    """An encoder with the index of the tokens that it read."""

    encoder: Encoder
    index: LateIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """How rows are ranked. ``depth`` is how many rows of each list are fused; ``alpha`` the weight of dense."""

    name: RankerName = "hybrid"
    fusion: Literal["convex", "rrf"] = "convex"
    alpha: float = 0.5
    rrf_k: int = 60
    depth: int = 1000

    @property
    def source(self) -> str:
        """The stage that gives the final order."""
        return "fused" if self.name == "hybrid" else self.name

    def rank(
        self,
        query: str,
        k: int,
        allowed: Allowed,
        *,
        sparse: SparseIndex | None,
        dense: Sequence[VectorSpace] = (),
        late: TokenSpace | None = None,
    ) -> list[RankedRow]:
        """The best ``k`` allowed rows, best first.

        Args:
            sparse: needed by bm25 and tfidf; hybrid goes on without one that is being rebuilt.
            dense: needed by dense and hybrid; more than one where documents were encoded by different encoders.
            late: needed by late.
        """
        depth = max(k, self.depth) if self.name == "hybrid" else k
        found: dict[str, Sequence[tuple[int, float]]] = {}
        if sparse is not None and self.name not in ("dense", "late"):
            found["tfidf" if self.name == "tfidf" else "bm25"] = sparse.search(query, depth, allowed)
        if dense and self.name in ("dense", "hybrid"):
            found["dense"] = _nearest(query, depth, allowed, dense)
        if late is not None and self.name == "late":
            found["late"] = late.index.search(read_query(late.encoder, query), k, allowed)
        if self.name != "hybrid":
            return [
                RankedRow(row, score, {self.name: StagePart(rank=rank, score=score)})
                for rank, (row, score) in enumerate(found.get(self.name, ())[:k], start=1)
            ]
        match self.fusion:
            case "convex":
                fused = convex(found.get("bm25", ()), found.get("dense", ()), self.alpha, depth)
            case "rrf":
                fused = rrf(found, self.rrf_k, depth)
        top = fused[:k]
        parts: dict[int, dict[str, StagePart]] = {row: {} for row, _ in top}
        for stage, ranked in (*found.items(), ("fused", top)):
            for rank, (row, score) in enumerate(ranked, start=1):
                if row in parts:
                    parts[row][stage] = StagePart(rank=rank, score=score)
        return [RankedRow(row, score, parts[row]) for row, score in top]


def _nearest(query: str, k: int, allowed: Allowed, spaces: Sequence[VectorSpace]) -> list[tuple[int, float]]:
    """(row, cosine), best first. Cosines of two encoders are compared as they are, for want of anything better."""
    found = [hit for s in spaces for hit in s.index.search(s.encoder.encode_queries([query]), k, allowed)[0]]
    if len(spaces) > 1:
        found.sort(key=lambda hit: (-hit[1], hit[0]))
    return found[:k]


def check_query(query: str, k: int) -> None:
    """Raises InvalidRequest for an empty query or a ``k`` out of bounds."""
    if not query.strip():
        raise InvalidRequest("the query is empty: write what you are looking for", code="empty-query")
    if not 1 <= k <= MAX_K:
        raise InvalidRequest(f"k = {k} is out of range: ask for 1 to {MAX_K} hits", code="bad-k")


def check_ranker(name: str) -> RankerName:
    """Raises InvalidRequest for a retriever that there is not."""
    for known in RANKERS:
        if name == known:
            return known
    raise InvalidRequest(f"unknown retriever {name!r}: choose {', '.join(RANKERS)}", code="unknown-retriever")
