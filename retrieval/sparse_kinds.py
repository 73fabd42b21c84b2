"""The term indexes that there are, by name, built in memory, and what settings say of how they read and score."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from core.errors import InvalidRequest
from core.protocols import SparseIndex
from core.settings import Settings
from retrieval.sparse.passage import FieldBoosts, PassageReader
from retrieval.sparse.tantivy import TantivyIndex

SparseName: TypeAlias = Literal["tantivy", "rank-bm25", "reference"]  # engines of BM25
SparseKind: TypeAlias = Literal["tantivy", "rank-bm25", "reference", "tfidf"]

TANTIVY_K1, TANTIVY_B = 1.2, 0.75


class CommittedIndex(SparseIndex, Protocol):
    """A term index whose additions are seen after ``commit``."""

    def commit(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseOptions:
    """``k1`` and ``b`` None are each engine's own: 1.2 and 0.75, rank-bm25's 1.5 and 0.75."""

    k1: float | None = None
    b: float | None = None
    boosts: FieldBoosts = field(default_factory=FieldBoosts)

    @classmethod
    def of(cls, settings: Settings) -> SparseOptions:
        boosts = FieldBoosts(title=settings.title_boost, headings=settings.headings_boost)
        return cls(k1=settings.bm25_k1, b=settings.bm25_b, boosts=boosts)

    def check(self, kind: SparseKind) -> None:
        """Raises InvalidRequest where this engine cannot score with this k1 or b."""
        if kind == "tantivy" and (self.k1 not in (None, TANTIVY_K1) or self.b not in (None, TANTIVY_B)):
            raise InvalidRequest(
                f"bm25_k1 = {self.k1}, bm25_b = {self.b}: the engine tantivy has {TANTIVY_K1} and {TANTIVY_B} built in. "
                "Set sparse to 'reference' or 'rank-bm25', which take any and keep everything in memory (up to about "
                "10,000 passages), or leave bm25_k1 and bm25_b out",
                code="bad-settings",
            )


def new_sparse(kind: SparseKind, options: SparseOptions | None = None) -> CommittedIndex:
    """An empty index of this kind in memory.

    Raises:
        InvalidRequest: it cannot do what the options ask for.
    """
    options = SparseOptions() if options is None else options
    options.check(kind)
    reader = PassageReader(boosts=options.boosts)
    # The reference engines bring libraries that few processes need.
    match kind:
        case "tantivy":
            return TantivyIndex(None, reader)
        case "reference":
            from retrieval.sparse.bm25_reference import Bm25Reference

            return Bm25Reference(_or(options.k1, 1.2), _or(options.b, 0.75), reader=reader)
        case "rank-bm25":
            from retrieval.sparse.rank_bm25 import RankBm25Index

            return RankBm25Index(_or(options.k1, 1.5), _or(options.b, 0.75), reader=reader)
        case "tfidf":
            from retrieval.sparse.tfidf import TfidfIndex

            return TfidfIndex(reader=reader)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
