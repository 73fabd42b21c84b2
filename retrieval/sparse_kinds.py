"""The term indexes that there are, by name, built in memory."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from core.protocols import SparseIndex
from retrieval.sparse.tantivy import TantivyIndex

SparseKind: TypeAlias = Literal["tantivy", "rank-bm25", "tfidf"]


class CommittedIndex(SparseIndex, Protocol):
    """A term index whose additions are seen after ``commit``."""

    def commit(self) -> None: ...


def new_sparse(kind: SparseKind) -> CommittedIndex:
    # The reference engines bring libraries that few processes need.
    match kind:
        case "tantivy":
            return TantivyIndex(None)
        case "rank-bm25":
            from retrieval.sparse.rank_bm25 import RankBm25Index

            return RankBm25Index()
        case "tfidf":
            from retrieval.sparse.tfidf import TfidfIndex

            return TfidfIndex()
