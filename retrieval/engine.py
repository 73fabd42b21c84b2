"""Search over everything in the store: opens the indexes, keeps them in step with the database, makes retrievers.

The database is the truth and the indexes follow it. ``publish`` reads what was committed since the newest visible
change, gives it to every index, and only then moves the catalogue on: from that moment every search sees all of it.
What a search may still be looking at is taken out of the indexes only after that search has ended.

A damaged or missing index never stops the engine: vectors are searched exactly from the database, terms are left out
of hybrid search, and both are built anew in the background. ``status()`` says so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
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
from retrieval.generations import Generations
from retrieval.graph import GraphKeeper
from retrieval.hybrid import EngineRetriever
from retrieval.late.filler import TokenFiller
from retrieval.late.keeper import LateKeeper
from retrieval.late.packed import Packed
from retrieval.late.reading import packed_revision
from retrieval.memory_terms import MemoryTerms
from retrieval.prepared import Prepared
from retrieval.projection import DocumentRuns, current_change, read_chunks, read_documents, read_removals
from retrieval.query_cache import SearchState
from retrieval.ranking import Ranking, VectorSpace, check_ranker
from retrieval.records import Change, IndexStatus
from retrieval.search_record import SearchRecord, found_id
from retrieval.sparse_kinds import SparseKind, SparseName, SparseOptions
from retrieval.store import Store
from retrieval.terms import REPLAY_ROWS, TermKeeper
from retrieval.token_rows import tokens_of
from retrieval.vector_spaces import DenseKind, VectorSpaces

logger = logging.getLogger(__name__)

_AT_ONCE = 16  # documents that the indexes are given without a chance for others
_PATIENCE_S = 0.002  # between two looks whether the searches of before have ended


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
        self._leaving: list[tuple[int, range]] = []  # (change, rows): hidden, not yet out of the indexes
        self._prepared = Prepared()
        self._opened = self._swept = False
        self._building_terms = False
        self._renew_terms = False  # half of what the index counts is gone, and counts until it is built anew
        self._building = threading.Lock()  # one builder of terms at a time
        # Quick steps that hold the lock must not wait for long ones, which give way to searches.
        self._keeper = Background("index-keeper", [self._follow_step, self._leave_step, self._sweep_step])
        self._builder = Background("index-builder", [self._terms_step, self._graph_step], nice=True)
        # By itself: reading passages token by token may take hours, and the others must not wait for it.
        self._reader = Background("token-reader", [self._tokens_step, self._late_step], nice=True)

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
        returns, the graph of vectors (which holds no words) in the background.

        Raises:
            RunCancelled: the engine is being closed.
            StorageFailed: the database could not be read.
        """
        if self._on_disk:
            with self._building:
                self._terms.build(self._builder.stopping)
        self._graph.renew()
        self.late.renew()
        self._reader.wake()
        self._builder.wake()

    def catch_up(self) -> bool:
        """Makes everything that is committed visible at once; False if it was."""
        while True:
            with self.store.database.read() as connection:
                if current_change(connection) <= self._catalogue.change:
                    return False
            with self._write, self.store.database.read() as connection:
                followed = self._follow(connection)
            if followed is not None:
                return followed
            time.sleep(_PATIENCE_S)

    def _follow(self, connection: Connection) -> bool | None:
        """Moves the indexes and the catalogue on to what ``connection`` sees. The caller holds the write lock.

        Returns:
            Whether there was anything; None to be asked again, without the lock: passages come back that a search
            under way still sees as they were before they went.
        """
        visible, target = self._catalogue.change, current_change(connection)
        if target <= visible:
            return False
        added = read_documents(connection, visible)
        if not self._catalogue.may_apply(added):
            return None
        removed = read_removals(connection, visible)
        self._take_in(connection, self._prepared.lacking(added, self._indexes()))
        if len(added):
            self._commit()
        self._prepared.forget(added)
        self._catalogue.apply(target, added, removed)
        self._leaving += [(number, range(first, first + n)) for number, first, n in removed]
        self._keeper.wake()
        self._builder.wake()
        self.follow_late()
        return True

    def prepare(self, edition_id: int) -> None:
        """Gives the indexes all that an edition has, found by nobody yet, so that switching to it takes but a moment.

        Raises:
            StorageFailed: the database could not be read.
        """
        with self.store.database.read() as connection:
            runs = read_documents(connection, edition_id=edition_id)
        for start in range(0, len(runs), _AT_ONCE):
            with self._write, self.store.database.read() as connection:
                some = self._prepared.lacking(runs.only(slice(start, start + _AT_ONCE)), self._indexes())
                self._take_in(connection, some)
                self._prepared.add(some, self._indexes())
        with self._write:
            self._commit()

    def unprepare(self) -> None:
        """Lets go of what was prepared and was not switched to."""
        with self._write:
            self._leaving += [(self._catalogue.change, rows) for rows in self._prepared.drain()]
        self._keeper.wake()

    def _indexes(self) -> list[object]:
        return [self._terms.index, *self._spaces.indexes(), *self._memory.indexes()]

    def _take_in(self, connection: Connection, added: DocumentRuns) -> None:
        self._spaces.take_in(connection, list(zip(added.first_row.tolist(), added.n_rows.tolist(), strict=True)))
        for batch in read_chunks(connection, added.doc_number.tolist()):
            self._terms.add(batch)
            self._memory.add(batch)

    def _commit(self) -> None:
        self._terms.commit()
        self._memory.commit()

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
        ids, documents = [found_id(hit) for hit in hits], list({hit.chunk.doc_id for hit in hits})
        with self.store.database.read() as connection:
            found = tokens_of(connection, packed_revision(encoder), encoder.dim, ids, documents)
        if found.damaged:
            logger.error(
                "stored token vectors of %d documents (%s, …) are damaged: they are read from the text now and made anew",
                len(found.damaged),
                min(found.damaged),
            )
            self.tokens.mistrust(found.damaged)
            self._reader.wake()
        return found.of_chunks

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

    @contextmanager
    def snapshot_with_database(self) -> Iterator[tuple[Snapshot, Connection]]:
        """One moment to search in, and a transaction that sees the same moment; waits for a change under way."""
        with ExitStack() as held:
            while True:
                self.catch_up()
                with self._write:  # so that nobody moves the catalogue past what the transaction sees
                    connection = held.enter_context(self.store.database.read())
                    if self._follow(connection) is not None:
                        snapshot = held.enter_context(self._catalogue.snapshot())
                        break
                held.close()
            yield snapshot, connection

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
        readable = self.store.readable_collections(where.principal, where.collections)
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
            readable = readable_collections(connection, where.principal, where.collections)
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
        hidden = sum(map(len, self._prepared.rows))
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
            stale_rows=max(0, rows + hidden - len(self._spaces)),
            encoder_revision=self.encoder.revision,
            rebuilding=tuple(name for name, busy in building if busy),
            problems=(*self._terms.problems, *self._graph.problems, *self.late.problems),
            late_rows=len(self.late.rows()),
            late_lacking=self.late.lacking,
            token_rows=token_rows,
            token_lacking=token_lacking,
        )

    def audit(self) -> list[Finding]:
        """What is wrong with the indexes in service: checksums, and whether they hold exactly the visible rows."""
        found = []

        def wrong(subject: str, message: str) -> None:
            fix = "stop the server and run `openbook repair`, or restart it: it is built anew"
            found.append(Finding(code="index-damaged", subject=subject, message=message, fix=fix))

        with self._write:
            alive = self._catalogue.newest().alive()
            leaving = {row for rows in (*(r for _, r in self._leaving), *self._prepared.rows) for row in rows}
            try:
                self._terms.check_files()
                named = self._generations.current("dense", self.encoder.revision)
                for manifest in (named, self._generations.current("late", self.late.revision)):
                    if manifest is not None:
                        self._generations.verify(manifest)
            except IndexDamaged as e:
                wrong("indexes", e.message)
            held = {"terms": self._terms.index.rows() if self._terms.index is not None else None}
            held["vectors"], held["tokens"] = self._spaces.rows(), self.late.rows()
            for name, rows in held.items():
                if rows is None:
                    continue
                extra = [row for row in np.setdiff1d(rows, alive).tolist() if row not in leaving]
                lacking = np.setdiff1d(alive, rows) if name == "terms" else ()  # stale vectors are left out on purpose
                if len(extra) or len(lacking):
                    wrong(name, f"the index of {name} lacks {len(lacking):,} passages and has {len(extra):,} too many")
        return found

    # ------------------------------------------------------------ in the background

    def _follow_step(self) -> bool:
        """Whatever was committed without ``publish``, for example while the engine opened."""
        return self.catch_up()

    def _leave_step(self) -> bool:
        """Takes removed rows out of the indexes once no search can still be looking at them."""
        with self._write:
            oldest = self._catalogue.oldest_in_use()
            # One that came back meanwhile, with an earlier edition of its collection, stays.
            back = {row for rows in self._prepared.rows for row in rows}  # or is about to come back
            gone = [r for number, rows in self._leaving if number <= oldest for r in self._catalogue.dead(rows)]
            gone = [row for row in gone if row not in back]
            self._leaving = [(number, rows) for number, rows in self._leaving if number > oldest]
            if gone:
                self._terms.remove(gone)
                self._spaces.remove(gone)
                self._memory.remove(gone)
                self.late.remove(gone)
            if self._terms.index is None or not self._terms.moved:
                return bool(gone)
            covered = self._leaving[0][0] - 1 if self._leaving else self._catalogue.change
            if not self._terms.cover(covered, len(self._catalogue.newest().alive())):
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
        return self._renew_terms and not self._leaving

    def _graph_step(self) -> bool:
        return self._graph.step(self._catalogue.change, self._builder.stopping)

    def _tokens_step(self) -> bool:
        return self.tokens.step(self._reader.stopping)

    def _late_step(self) -> bool:
        return self.late.step(self._reader.stopping)

    def _sweep_step(self) -> bool:
        """Once: originals that a crash left behind."""
        if not self._swept:
            self.store.sweep_originals()
            self._swept = True
            return True
        return False
