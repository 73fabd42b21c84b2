"""The retriever over the store: one moment, one person, all indexes, then the passages themselves.

Where what is found is a child, its parent is read; two children of one parent are one hit, at the rank of the better.
What a better hit of a near-duplicate has said is left out, if that is asked for.

Who asks is settled before the search (which rows the indexes may return) and again when text is read, since a
right can be taken away and a document deleted in between. A passage that vanished meanwhile is not shown with a hole
in its place: the search is done again in one transaction with the reading, where nothing can vanish.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection

from core.errors import IndexDamaged
from core.types import Allowed, Hit, Where
from retrieval.access import readable_collections
from retrieval.catalogue import Snapshot
from retrieval.collapse import collapse
from retrieval.fusion_weights import FusionWeights, kept_weights
from retrieval.near import read_signatures
from retrieval.parents import any_parents, parent_ids
from retrieval.ranking import MAX_K, RankedRow, Ranking, check_query
from retrieval.records import Passage
from retrieval.search_record import NEAR_MISSES, Cut, SearchRecord, Stage, found_id
from retrieval.sparse_kinds import SparseKind

if TYPE_CHECKING:
    from retrieval.engine import SearchEngine

_ATTEMPTS = 3
_DEEPER = 4  # rows looked at per hit where children share parents; again as many times as that is not enough

_Found = tuple[list[RankedRow], dict[int, Passage]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRetriever:
    """A ``core.protocols.Retriever``; made by ``SearchEngine.retriever``.

    With a ``record`` it serves one search, in one thread, and notes down there what came of it.
    """

    engine: SearchEngine
    ranking: Ranking
    sparse: SparseKind
    dense: Literal["auto", "exact", "hnsw"]
    collapse: bool = False
    own_weights: bool = False  # where one collection alone is searched, and weights are kept for it, these fuse
    record: SearchRecord | None = None

    def search_expanded(self, query: str, passages: Sequence[str], k: int, where: Where) -> list[Hit]:
        """As ``search``, with vectors near ``passages`` as well; see ``core.protocols.ExpandingRetriever``."""
        return replace(self, ranking=self.ranking.near(passages)).search(query, k, where)

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        """The best ``k`` passages that ``where`` lets its principal see.

        Raises:
            InvalidRequest: an empty query, ``k`` outside of 1 to 1000, or a field that cannot be filtered by.
            NotFound: a named collection that this principal cannot see; says which ones it can.
            NotReady: the index that this retriever lives on is being rebuilt.
            Conflict: the retriever is late and a collection does not ask for it.
        """
        check_query(query, k)
        if self.ranking.name == "late":
            self.engine.late.wait_for_a_few()
        if self.record is None:
            return self._collapsed(query, k, where)
        began = time.perf_counter()
        hits = self._collapsed(query, min(k + NEAR_MISSES, MAX_K), where)
        self.record.seconds = time.perf_counter() - began
        self.record.found[:], self.record.beyond[:] = hits[:k], hits[k:]
        return hits[:k]

    def _collapsed(self, query: str, k: int, where: Where) -> list[Hit]:
        if not self.collapse:
            return self._search(query, k, where)[0]
        depth = k
        while True:
            depth = min(_DEEPER * depth, MAX_K)
            hits, numbers = self._search(query, depth, where)
            with self.engine.store.database.read() as connection:
                signatures = read_signatures(connection, sorted(set(numbers)))
            began, cuts = time.perf_counter(), list[Cut]()
            kept = collapse(hits, numbers, signatures, cuts)
            if self.record is not None:
                seconds = time.perf_counter() - began
                self.record.cuts[:] = cuts
                self.record.stages.append(Stage(name="collapsed", candidates=len(kept), seconds=seconds))
            if len(kept) >= k or len(hits) < depth or depth == MAX_K:
                return kept[:k]

    def _search(self, query: str, k: int, where: Where) -> tuple[list[Hit], list[int]]:
        """The hits, and the number of each one's document."""
        hits: list[Hit] = []
        ranked: list[RankedRow] = []
        passages: dict[int, Passage] = {}
        if where.filters:
            self.engine.catch_up()  # filters are looked up in the database: let it be of the moment searched in
        together = False  # searching and reading in one transaction waits for writers, so it is not the first try
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                ranked, passages = (
                    self._in_one_transaction(query, k, where) if together else self._at_once(query, k, where)
                )
            except IndexDamaged as e:
                self.engine.term_index_failed(e)
                if attempt == _ATTEMPTS:
                    raise
                continue
            hits = self._hits(ranked, passages)
            if len(hits) == len(ranked):
                break
            # Something was deleted or replaced between the moment searched in and the reading of its text.
            together = True
        return hits, [passages[r.row].doc_number for r in ranked if r.row in passages]

    def _at_once(self, query: str, k: int, where: Where) -> _Found:
        with self.engine.snapshot() as snapshot:
            ranked = self._distinct(query, k, where, snapshot, None)
        return ranked, self.engine.store.chunks_by_row(where.principal, [r.row for r in ranked])

    def _in_one_transaction(self, query: str, k: int, where: Where) -> _Found:
        with self.engine.snapshot_with_database() as (snapshot, connection):
            ranked = self._distinct(query, k, where, snapshot, connection)
            return ranked, self.engine.store.chunks_by_row(where.principal, [r.row for r in ranked], connection)

    def _distinct(
        self, query: str, k: int, where: Where, snapshot: Snapshot, connection: Connection | None
    ) -> list[RankedRow]:
        """The best ``k`` rows of which no two are read as the same parent."""
        # Nobody waits for a second connection while holding one, so nothing is searched while a question is asked.
        reading = self.engine.store.database.read if connection is None else lambda: nullcontext(connection)
        with reading() as reader:
            none = not any_parents(reader)
            named = readable_collections(reader, where.principal, where.collections, attached=True)
            own = kept_weights(reader, *named.values()) if self.own_weights and len(named) == 1 else None
        if none:
            return self._ranked(query, k, where, snapshot, named, own)
        depth = _DEEPER * k
        while True:
            ranked = self._ranked(query, depth, where, snapshot, named, own)
            with reading() as reader:
                parent_of = parent_ids(reader, [r.row for r in ranked])
            best: dict[str | int, RankedRow] = {}
            for r in ranked:
                better = best.setdefault(parent_of.get(r.row, r.row), r)
                if self.record is not None and better is not r:
                    self.record.merged[r.row] = better.row
            if len(best) >= k or len(ranked) < depth:
                return list(best.values())[:k]
            depth *= _DEEPER

    def _ranked(
        self, query: str, k: int, where: Where, snapshot: Snapshot, named: dict[str, int], own: FusionWeights | None
    ) -> list[RankedRow]:
        engine = self.engine
        allowed = self._allowed(snapshot, tuple(named.values()), where)
        if not allowed.count:
            return []
        name = self.ranking.name
        return self.ranking.fused_by(own).rank(
            query,
            k,
            allowed,
            sparse=None if name in ("dense", "late") else engine.sparse_index(self.sparse, needed=name != "hybrid"),
            dense=engine.vector_spaces(self.dense, allowed) if name in ("dense", "hybrid") else (),
            record=self.record,
            late=engine.late.space(named, allowed) if name == "late" else None,
        )

    def _allowed(self, snapshot: Snapshot, collection_ids: tuple[int, ...], where: Where) -> Allowed:
        if not where.filters:
            return snapshot.allowed(collection_ids)
        key = tuple(sorted((name, tuple(values)) for name, values in where.filters.items()))
        found = snapshot.cached(collection_ids, key)
        if found is not None:
            return found
        change, documents = self.engine.store.matching_documents(where.filters)
        # Filters are looked up in the database, which may be a change ahead; then the answer is good for once only.
        return snapshot.allowed(collection_ids, documents, cache_key=key if change == snapshot.change else None)

    def _hits(self, ranked: list[RankedRow], passages: dict[int, Passage]) -> list[Hit]:
        readable = [(r, passages[r.row]) for r in ranked if r.row in passages]
        hits = [
            Hit(
                chunk=passage.parent or passage.chunk,
                title=passage.title,
                collection=passage.collection,
                score=r.score,
                rank=rank,
                source=self.ranking.source,
                parts=r.parts,
                pages=passage.pages,
                matched=passage.chunk if passage.parent else None,
                uri=passage.uri,
            )
            for rank, (r, passage) in enumerate(readable, start=1)
        ]
        if self.record is not None:
            self.record.rows.update({found_id(hit): r.row for hit, (r, _) in zip(hits, readable, strict=True)})
        return hits
