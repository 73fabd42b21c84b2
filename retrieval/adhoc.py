"""A retriever over a list of passages that nobody keeps: for evaluation and for answering from given contexts.

The indexes and the fusion are those of the engine; the store is left out. One passage is one chunk, whole. The corpus
belongs to whoever built it, so ``where`` is asked for its filters only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from core.errors import InvalidRequest
from core.protocols import DenseIndex, Encoder, LateIndex, SparseIndex
from core.settings import Settings
from core.types import Allowed, Chunk, Hit, Where
from retrieval.corpus_indexes import CorpusIndexes, allow
from retrieval.late.packed import Packed
from retrieval.ranking import Ranking, TokenSpace, VectorSpace, check_query, check_ranker
from retrieval.sparse_kinds import SparseKind, SparseName


@dataclass(frozen=True, slots=True, kw_only=True)
class AdhocRetriever:
    """A ``core.protocols.Retriever``; made by ``build_adhoc``. Row i is passage i."""

    name: str
    chunks: Sequence[Chunk]
    titles: Sequence[str]
    row_of: Mapping[str, int]  # of each passage's id
    everything: Allowed
    ranking: Ranking
    sparse: SparseIndex | None
    dense: DenseIndex | None
    encoder: Encoder
    late: LateIndex | None = None
    tokens: Sequence[Packed] = ()  # of each passage, if they are kept

    def kept_tokens(self, encoder: Encoder, hits: Sequence[Hit]) -> Mapping[str, Packed]:
        """Token vectors of what was found, by chunk_id, if they are this encoder's; see ``retrieval.rerank.late``."""
        if not self.tokens or encoder.revision != self.encoder.revision:
            return {}
        return {hit.chunk.chunk_id: self.tokens[self.row_of[hit.chunk.doc_id]] for hit in hits}

    def search_expanded(self, query: str, passages: Sequence[str], k: int, where: Where) -> list[Hit]:
        """As ``search``, with vectors near ``passages`` as well; see ``core.protocols.ExpandingRetriever``."""
        return replace(self, ranking=self.ranking.near(passages)).search(query, k, where)

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        """The best ``k`` passages; ``chunk.doc_id`` is the id that the passage came with.

        Raises:
            InvalidRequest: an empty query, ``k`` outside of 1 to 1000, or a filter that is not on ``doc_id``.
        """
        check_query(query, k)
        allowed = self._allowed(where)
        if not allowed.count:
            return []
        spaces = () if self.dense is None else (VectorSpace(encoder=self.encoder, index=self.dense),)
        tokens = None if self.late is None else TokenSpace(encoder=self.encoder, index=self.late)
        # As deep as is asked for: a thousand for MAP. Searching a collection fuses as the settings say (decision 0294).
        ranking = replace(self.ranking, depth=max(k, self.ranking.depth))
        found = ranking.rank(query, k, allowed, sparse=self.sparse, dense=spaces, late=tokens)
        return [
            Hit(
                chunk=self.chunks[r.row],
                title=self.titles[r.row],
                collection=self.name,
                score=r.score,
                rank=rank,
                source=self.ranking.source,
                parts=r.parts,
            )
            for rank, r in enumerate(found, start=1)
        ]

    def _allowed(self, where: Where) -> Allowed:
        unknown = set(where.filters) - {"doc_id"}
        if unknown:
            raise InvalidRequest(f"cannot filter a corpus by {min(unknown)!r}: filter by doc_id", code="bad-filter")
        if "doc_id" not in where.filters:
            return self.everything
        rows = np.zeros(len(self.chunks), dtype=np.bool_)
        rows[[self.row_of[doc_id] for doc_id in where.filters["doc_id"] if doc_id in self.row_of]] = True
        return allow(rows)


def build_adhoc(
    settings: Settings,
    corpus: Iterable[tuple[str, str, str]],
    encoder: Encoder,
    cache_dir: Path,
    *,
    retriever: str | None = None,
    sparse: SparseName | None = None,
    dense: Literal["auto", "exact", "hnsw"] | None = None,
    fusion: Literal["convex", "rrf"] | None = None,
    name: str = "corpus",
    language: str | None = None,
    tokens: bool = False,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> AdhocRetriever:
    """Indexes a corpus in memory; for several retrievers over one corpus see ``over``.

    Args:
        corpus: (id, title, text) of each passage; title and text are searched together.
        encoder: used only where vectors are searched.
        cache_dir: keeps encoded vectors for the next run.
        retriever, sparse, dense, fusion: as the settings say where None.
        language: what the passages are in, as an ISO 639-1 code; None reads them as English.
        tokens: whether token vectors are kept, by which what is found is reranked; of a large corpus they are not.
        report: told (passages encoded, all).

    Raises:
        InvalidRequest: an unknown retriever, or two passages with one id.
    """
    ranker = check_ranker(retriever or settings.retriever)
    indexes = CorpusIndexes(
        settings, corpus, encoder, cache_dir, language=language, tokens=tokens or ranker == "late", report=report
    )
    return over(indexes, retriever=ranker, sparse=sparse, dense=dense, fusion=fusion, name=name, tokens=tokens)


def over(
    indexes: CorpusIndexes,
    *,
    retriever: str | None = None,
    sparse: SparseName | None = None,
    dense: Literal["auto", "exact", "hnsw"] | None = None,
    fusion: Literal["convex", "rrf"] | None = None,
    name: str = "corpus",
    tokens: bool = False,
) -> AdhocRetriever:
    """A retriever over indexes that others use too; what it needs of them and is not there yet is made.

    Raises:
        InvalidRequest: an unknown retriever.
    """
    settings = indexes.settings
    ranking = Ranking(
        name=check_ranker(retriever or settings.retriever),
        fusion=fusion or settings.fusion,
        alpha=settings.fusion_alpha,
        rrf_k=settings.rrf_k,
        depth=settings.fusion_depth,
    )
    kind: SparseKind = "tfidf" if ranking.name == "tfidf" else sparse or settings.sparse
    return AdhocRetriever(
        name=name,
        chunks=indexes.chunks,
        titles=indexes.titles,
        row_of=indexes.row_of,
        everything=indexes.everything,
        ranking=ranking,
        sparse=None if ranking.name in ("dense", "late") else indexes.terms(kind),
        dense=indexes.nearest(dense or settings.dense) if ranking.name in ("dense", "hybrid") else None,
        encoder=indexes.encoder,
        late=indexes.late() if ranking.name == "late" else None,
        tokens=indexes.tokens() if tokens else (),
    )
