"""Search over everything in the store: opens the indexes, keeps them in step with the database, makes retrievers.

The database is the truth and the indexes follow it (``retrieval.following``).

A damaged or missing index never stops the engine: vectors are searched exactly from the database, terms are left out
of hybrid search, and both are built anew in the background. ``status()`` says so.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection

from core.errors import IndexDamaged, NotReady
from core.findings import Finding
from core.protocols import DenseIndex, Encoder, SparseIndex
from core.settings import Settings
from core.types import Allowed, Hit, Where
from retrieval.access import readable_collections
from retrieval.background import Background
from retrieval.catalogue import Catalogue, Snapshot
from retrieval.did_you_mean import Correction, did_you_mean
from retrieval.following import Following
from retrieval.generations import Generations
from retrieval.graph import GraphKeeper
from retrieval.hybrid import EngineRetriever
from retrieval.index_check import wrong_files, wrong_rows
from retrieval.late.filler import TokenFiller
from retrieval.late.keeper import LateKeeper
from retrieval.late.packed import Packed
from retrieval.memory_terms import MemoryTerms
from retrieval.projection import current_change, read_documents
from retrieval.query_cache import SearchState
from retrieval.ranking import Ranking, VectorSpace, check_ranker
from retrieval.records import Change, IndexStatus
from retrieval.search_record import SearchRecord
from retrieval.sparse_kinds import SparseKind, SparseName, SparseOptions
from retrieval.stale_rows import StaleRows
from retrieval.store import Store
from retrieval.terms import REPLAY_ROWS, TermKeeper
from retrieval.vector_spaces import DenseKind, VectorSpaces


class SearchEngine:
    """One per data directory, in the process that writes to it. All methods may be called from any thread.

    Args:
        encoder: loaded; what it made is searched. Further ones come by ``add_encoder``.
        data_dir: index files lie in ``indexes/`` under it.
    """

    def __init__(self, store: Store, encoder: Encoder, data_dir: Path, settings: Settings) -> None:
        self.store = store
        self._settings = settings
        self._write = threading.RLock()  # held while indexes and catalogue move on
        self._catalogue = Catalogue()
        self._generations = Generations(store.database, data_dir / "indexes")
        self._spaces = VectorSpaces(encoder)
        self._graph = GraphKeeper(self._spaces.index, store.database, self._generations, encoder.revision, settings)
        options = SparseOptions.of(settings)
        options.check(settings.sparse)
        self.late = LateKeeper(encoder, store.database, self._generations, self._catalogue)
        self.tokens = TokenFiller(encoder, store.database)
        self._terms = TermKeeper(store.database, self._generations, self._write, options.boosts)
        self._on_disk = settings.sparse == "tantivy"
        self._memory = MemoryTerms(options)
        self._following = Following(
            store, self._catalogue, self._spaces, self._terms, self._memory, self.late, self._write, self._wake_all
        )
        self._stale = StaleRows(self._spaces, self._catalogue, self._following)
        self._opened = self._swept = False
        self._building_terms = False
        self._renew_terms = False  # half of what the index counts is gone, and counts until it is built anew
        self._building = threading.Lock()  # one builder of terms at a time
        # Quick steps that hold the lock must not wait for long ones, which give way to searches.
        self._keeper = Background("index-keeper", [self.catch_up, self._leave_step, self._sweep_step])
        self._builder = Background("index-builder", [self._terms_step, self._graph_step], nice=True)
        # By itself: reading passages token by token may take hours, and the others must not wait for it.
        self._reader = Background(
            "token-reader",
            [
                lambda: self.tokens.step(self._reader.stopping),
                lambda: self.late.step(self._reader.stopping),
            ],
            nice=True,
        )

    @property
    def encoder(self) -> Encoder:
        """The settings' own."""
        return self._spaces.encoder

    # ------------------------------------------------------------ life

    def open(self) -> None:
        """Loads what is searched. Returns as soon as searching is possible; the rest follows in the background."""
        # Before anything is written: what is being written has no manifest yet, and would be taken for a leftover.
        self._generations.sweep()
        with self._write:
            with self.store.database.read() as connection:
                change = current_change(connection)
                runs = read_documents(connection)
                self._spaces.take_in(connection)
                if self._on_disk:
                    self._terms.open(connection, runs)
            self._catalogue.load(change, runs)
            self._opened = True
        self.late.open()
        self.follow_late()
        if len(runs.rows) <= REPLAY_ROWS:
            self._terms_step()
        self._keeper.start()
        self._builder.start()
        self._reader.start()

    def close(self) -> None:
        """Writes down how far the indexes have come and gives back their files."""
        self._reader.stop()
        self._builder.stop()
        self._keeper.stop()
        self.late.close()
        with self._write:
            self._leave_step()
            self._terms.close()

    def settle(self, timeout_s: float = 60.0) -> bool:
        """Waits until nothing is left to do in the background; False if that takes longer."""
        # Twice: what the builder made may be for the keeper to note down, and the other way round.
        return all(thread.settle(timeout_s) for thread in (self._keeper, self._builder, self._reader) * 2)

    # ------------------------------------------------------------ following the database

    def publish(self, change: Change) -> None:
        """``publish_all`` of one change."""
        self.publish_all([change])

    def publish_all(self, changes: Sequence[Change]) -> None:
        """Makes *committed* changes visible to every search that begins after this returns, with one commit for all.

        It never loses a document: if the term index fails, that is logged, it is built anew from the database, and the
        document is found by its vectors meanwhile.

        Raises:
            StorageFailed: the database could not be read; the background, or the next publish, catches up.
        """
        self.catch_up()
        if any(change.kind == "switch" for change in changes):
            self.unprepare()
            self._renew_terms = True
            self._builder.wake()
        for change in changes:
            self.store.remove_freed(change)

    def forget_removed(self) -> None:
        """Leaves nothing of what was removed in the files of the indexes: the terms are built anew before this
        returns, the graph of vectors (which holds no words) in the background. Files of an index that is not in use now, and
        was before the settings changed, are removed.

        Raises:
            RunCancelled: the engine is being closed.
            StorageFailed: the database could not be read.
        """
        if self._on_disk:
            with self._building:
                self._terms.build(self._builder.stopping)
        if not self._terms.on_disk:
            self._generations.drop("sparse")
        self._graph.renew()
        self.late.renew()
        self._reader.wake()
        self._builder.wake()

    def catch_up(self) -> bool:
        """Makes everything that is committed visible at once, published or not; False if it was."""
        return self._following.catch_up()

    def prepare(self, edition_id: int) -> None:
        """Gives the indexes all that an edition has, found by nobody yet, so that switching to it takes but a moment.

        Raises:
            StorageFailed: the database could not be read.
        """
        self._following.prepare(edition_id)

    def unprepare(self) -> None:
        """Lets go of what was prepared and was not switched to."""
        self._following.unprepare()

    def _wake_all(self) -> None:
        self._keeper.wake()
        self._builder.wake()
        self.follow_late()

    def follow_late(self) -> None:
        """Passages came, or a collection asks for late interaction, or no more: that is looked at in the background."""
        self.late.wake()
        self.tokens.wake()
        self._reader.wake()

    # ------------------------------------------------------------ searching

    def kept_tokens(self, encoder: Encoder, hits: Sequence[Hit]) -> Mapping[str, Packed]:
        """The stored token vectors of what was found, by ``found_id``, of those that this encoder made.

        For hits that the person has been given: it does not ask again who may read them.
        """
        return self.tokens.kept(encoder, hits)

    def retriever(
        self,
        name: str | None = None,
        *,
        sparse: SparseName | None = None,
        dense: DenseKind | None = None,
        fusion: Literal["convex", "rrf"] | None = None,
        collapse: bool | None = None,
        record: SearchRecord | None = None,
    ) -> EngineRetriever:
        """A retriever; whatever is None is as the settings say. A collection's own fusion comes before the settings', and
        ``fusion`` before both.
        With a ``record`` it is good for one search.

        Raises:
            InvalidRequest: there is no such retriever.
        """
        settings = self._settings
        ranking = Ranking(
            name=check_ranker(name or settings.retriever),
            fusion=fusion or settings.fusion,
            alpha=settings.fusion_alpha,
            rrf_k=settings.rrf_k,
            depth=settings.fusion_depth,
        )
        kind: SparseKind = "tfidf" if ranking.name == "tfidf" else sparse or settings.sparse
        return EngineRetriever(
            engine=self,
            ranking=ranking,
            sparse=kind,
            dense=dense or settings.dense,
            collapse=settings.collapse_duplicates if collapse is None else collapse,
            own_weights=ranking.name == "hybrid" and fusion is None,
            record=record,
        )

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """One moment to search in, at once: the database may be a change ahead of it."""
        return self._catalogue.snapshot()

    def snapshot_with_database(self) -> AbstractContextManager[tuple[Snapshot, Connection]]:
        """One moment to search in, and a transaction that sees the same moment; waits for a change under way."""
        return self._following.with_database()

    def sparse_index(self, kind: SparseKind, *, needed: bool = True) -> SparseIndex | None:
        """The term index of this kind. One that is not the settings' is made at its first use, in memory.

        Raises:
            NotReady: it is being rebuilt; with ``needed`` false, None says so.
        """
        if kind == "tantivy" and self._on_disk:
            if self._terms.index is None and needed:
                raise NotReady("the term index is being built anew: try again in a moment, or search with 'dense'")
            return self._terms.index
        found = self._memory.get(kind)
        if found is None:
            with self._write:
                found = self._memory.make(kind, self.store.database)
        return found

    def did_you_mean(self, query: str, where: Where) -> Correction | None:
        """The query with misspelt words put right by the words of what this person may search; None where all is well.

        Filters are left aside: they say what is wanted, not what may be seen. Without tantivy nothing is suggested.

        Raises:
            NotFound: a collection that there is not for this person.
        """
        index = self._terms.index if self._on_disk else None
        readable = self.store.readable_collections(where.principal, where.collections, attached=True)
        if index is None or not query.strip():
            return None

        def read(rows: Sequence[int]) -> list[str]:
            found = self.store.chunks_by_row(where.principal, rows)
            return ["\n".join((p.title, *p.chunk.heading_path, p.chunk.text)) for p in found.values()]

        with self.snapshot() as snapshot:
            allowed = snapshot.allowed(tuple(readable.values()))
            try:
                return did_you_mean(query, index, allowed, read)
            except IndexDamaged as e:
                self.term_index_failed(e)
                return None

    def dense_index(self, kind: DenseKind) -> DenseIndex:
        """The vector index, searched as ``kind`` says. "hnsw" is exact until its first generation is built."""
        if kind == "hnsw":
            self._graph.want()
        return self._spaces.own(kind)

    def add_encoder(self, encoder: Encoder) -> None:
        """From now on what this encoder made is searched by it, too. Before or after ``open``; twice does no harm."""
        with self._write:
            if encoder in self._spaces:
                return
            with self.store.database.read() as connection:
                self._spaces.add(encoder, connection if self._opened else None)

    def vector_spaces(self, kind: DenseKind, allowed: Allowed) -> list[VectorSpace]:
        """The encoders that made any of the allowed rows, each with its index."""
        found = self._spaces.of(kind, allowed)
        if kind == "hnsw" and found[0].encoder is self.encoder:
            self._graph.want()
        return found

    def search_state(self, where: Where) -> SearchState | None:
        """What a search by ``where`` would see now; None while the indexes are behind the database.

        Raises:
            NotFound: a named collection that this principal cannot see.
        """
        with self.store.database.read() as connection:
            change = current_change(connection)
            readable = readable_collections(connection, where.principal, where.collections, attached=True)
        if change != self._catalogue.change:
            return None
        spaces = tuple(encoder.revision for encoder, _ in self._spaces)
        serving = (self._terms.index is not None, self._spaces.index.kind, spaces, self.tokens.filled)
        return SearchState(change, (tuple(sorted(readable.values())), serving))

    def term_index_failed(self, error: IndexDamaged) -> None:
        """A search ran into a damaged term index: it is built anew, and searches go on without it."""
        with self._write:
            if self._terms.index is not None:
                self._terms.give_up(error)
        self._builder.wake()

    def status(self) -> IndexStatus:
        newest = self._catalogue.newest()
        rows = len(newest.alive())
        building = [("terms", self._building_terms or self._renew_terms), ("vectors", self._graph.building)]
        building.append(("tokens", self.late.building or self.tokens.busy))
        token_rows, token_lacking = self.tokens.counts()
        sparse, vectors = self._settings.sparse, self._spaces.index
        return IndexStatus(
            change=newest.change,
            rows=rows,
            sparse_kind=sparse if not self._on_disk or self._terms.index is not None else "rebuilding",
            dense_kind=vectors.kind,
            dense_delta=vectors.delta_rows if vectors.kind == "hnsw" else 0,
            stale_rows=self._stale.count(),
            encoder_revision=self.encoder.revision,
            rebuilding=tuple(name for name, busy in building if busy),
            problems=(*self._terms.problems, *self._graph.problems, *self.late.problems, *self._stale.problems()),
            late_rows=len(self.late.rows()),
            late_lacking=self.late.lacking,
            token_rows=token_rows,
            token_lacking=token_lacking,
        )

    def without_vectors(self, where: Where) -> int:
        """How many passages of what ``where`` names have vectors of encoders that are not loaded; filters are left aside.

        Raises:
            NotFound: a named collection that this principal cannot see.
        """
        if not self._stale.count():
            return 0
        readable = self.store.readable_collections(where.principal, where.collections, attached=True)
        with self.snapshot() as snapshot:
            return self._stale.among(snapshot.allowed(tuple(readable.values())))

    def audit(self) -> list[Finding]:
        """What is wrong with the indexes in service: checksums, and whether they hold exactly the visible rows."""
        with self._write:
            terms = self._terms.index.rows() if self._terms.index is not None else None
            held = {"terms": terms, "vectors": self._spaces.rows(), "tokens": self.late.rows()}
            alive, hidden = self._catalogue.newest().alive(), self._following.hidden_rows()
            # Stale vectors are left out on purpose, and token vectors are read in the background.
            rows = wrong_rows(held, alive, hidden, complete=("terms",))
            files = wrong_files(self._terms, self._generations, self.encoder.revision, self.late.revision)
            return files + rows

    # ------------------------------------------------------------ in the background

    def _leave_step(self) -> bool:
        """Takes removed rows out of the indexes, and notes down how far the terms have come."""
        with self._write:
            gone = self._following.let_go()
            if self._terms.index is None or not self._terms.moved:
                return gone
            if not self._terms.cover(self._following.covered_change(), len(self._catalogue.newest().alive())):
                self._builder.wake()  # nobody else would have it built anew
            return True

    def _terms_step(self) -> bool:
        if not self._on_disk or (self._terms.index is not None and not self._terms_due()):
            return False
        self._building_terms = True
        try:
            with self._building:
                if self._terms.index is None or self._terms_due():
                    self._renew_terms = False
                    self._terms.build(self._builder.stopping)
        finally:
            self._building_terms = False
        return True

    def _terms_due(self) -> bool:
        return self._renew_terms and not self._following.leaving

    def _graph_step(self) -> bool:
        return self._graph.step(self._catalogue.change, self._builder.stopping)

    def _sweep_step(self) -> bool:
        """Once: originals that a crash left behind."""
        if not self._swept:
            self.store.sweep_originals()
            self._swept = True
            return True
        return False
