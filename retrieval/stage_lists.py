"""What the two halves of hybrid search find, apart and deep, with the documents that the rows belong to: for fitting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from core.errors import InvalidRequest, NotReady
from core.protocols import SparseIndex
from core.settings import Settings
from core.types import Allowed, Principal
from retrieval.adhoc import AdhocRetriever
from retrieval.fusion_grid import RankedRows
from retrieval.fusion_weights import Trust
from retrieval.ranking import RankedRow, Ranking, VectorSpace, trust_in_vectors
from retrieval.tables import documents

if TYPE_CHECKING:
    from retrieval.engine import SearchEngine

_NONE = -1
_BM25, _DENSE = Ranking(name="bm25"), Ranking(name="dense")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLists:
    """Of one query: what was found by terms and by vectors, how far the vectors are trusted in fusing them, and the tiers of rows that
    stand first whatever the weights are."""

    by_terms: RankedRows
    by_vectors: RankedRows
    trust: Trust
    tiers: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentNames:
    """The documents of one collection. ``ids`` are in order; ``names`` leads from an id, the uri or its last part, the
    same without its ending, or a title to the ids that bear it."""

    ids: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]]
    document_of: NDArray[np.int64]  # by row: index into ``ids``, or -1


def document_names(engine: SearchEngine, principal: Principal, collection: str) -> DocumentNames:
    """Raises NotFound for a collection that this principal cannot see."""
    collection_id = engine.store.readable_collections(principal, [collection])[collection]
    columns = (documents.c.doc_id, documents.c.uri, documents.c.title, documents.c.first_row, documents.c.n_chunks)
    query = select(*columns).where(documents.c.collection_id == collection_id, documents.c.edition_id.is_(None))
    with engine.store.database.read() as connection:
        rows = connection.execute(query.order_by(documents.c.doc_id)).all()
    document_of = np.full(max((r.first_row + r.n_chunks for r in rows), default=0), _NONE, dtype=np.int64)
    for i, r in enumerate(rows):
        document_of[r.first_row : r.first_row + r.n_chunks] = i
    # What names more surely comes first: a title that is another document's id does not name it.
    names: dict[str, tuple[str, ...]] = {}
    for level in range(5):
        found: dict[str, list[str]] = {}
        for r in rows:
            found.setdefault(_names(r.doc_id, r.uri, r.title)[level], []).append(r.doc_id)
        for name, ids in found.items():
            names.setdefault(name, tuple(ids))
    return DocumentNames(ids=tuple(r.doc_id for r in rows), names=names, document_of=document_of)


def _names(doc_id: str, uri: str, title: str) -> tuple[str, str, str, str, str]:
    last = uri.rstrip("/").rpartition("/")[2]
    stem = last.rpartition(".")[0] or last
    return doc_id, uri, last, stem, title


def _lists(query: str, depth: int, allowed: Allowed, terms: SparseIndex, spaces: Sequence[VectorSpace]) -> StageLists:
    """As ``Ranking.rank`` finds them before it fuses: a query in quotes lets vectors find only what has it."""
    allowed = terms.narrowed(query, allowed)
    by_terms = _BM25.rank(query, depth, allowed, sparse=terms)
    by_vectors = _DENSE.rank(query, depth, allowed, sparse=None, dense=spaces)
    rows = list(dict.fromkeys(r.row for r in (*by_terms, *by_vectors)))
    return StageLists(
        by_terms=_rows(by_terms),
        by_vectors=_rows(by_vectors),
        trust=trust_in_vectors(query, spaces),
        tiers=terms.having(query, rows, allowed).tiers,
    )


def _rows(ranked: Sequence[RankedRow]) -> RankedRows:
    return RankedRows.of([(r.row, r.score) for r in ranked])


class CollectionLists:
    """The lists of one collection, as the settings search it; fusion and what comes after it are left out."""

    def __init__(self, engine: SearchEngine, principal: Principal, collection: str, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._collection_id = engine.store.readable_collections(principal, [collection])[collection]

    def __call__(self, query: str, depth: int) -> StageLists:
        """Raises NotReady while the term index is being built."""
        engine, settings = self._engine, self._settings
        with engine.snapshot() as snapshot:
            allowed = snapshot.allowed((self._collection_id,))
            terms = engine.sparse_index(settings.sparse)
            spaces = engine.vector_spaces(settings.dense, allowed)
            if terms is None:
                raise NotReady("the term index is being built anew: try again in a moment")
            return _lists(query, depth, allowed, terms, spaces)


class CorpusLists:
    """The same of a corpus that was indexed in memory.

    Raises:
        InvalidRequest: it is not searched by both halves.
    """

    def __init__(self, retriever: AdhocRetriever) -> None:
        if retriever.sparse is None or retriever.dense is None:
            raise InvalidRequest("only hybrid search is fused: set retriever to hybrid", code="usage")
        self._terms, self._everything = retriever.sparse, retriever.everything
        self._retriever = retriever
        self._spaces = [VectorSpace(encoder=retriever.encoder, index=retriever.dense)]

    def __call__(self, query: str, depth: int) -> StageLists:
        return _lists(query, depth, self._everything, self._terms, self._spaces)

    def document_names(self) -> DocumentNames:
        ids = sorted(self._retriever.row_of)
        number = {one: i for i, one in enumerate(ids)}
        document_of = np.array([number[c.doc_id] for c in self._retriever.chunks], dtype=np.int64)
        return DocumentNames(ids=tuple(ids), names={one: (one,) for one in ids}, document_of=document_of)
