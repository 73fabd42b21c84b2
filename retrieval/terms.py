"""The term index on the disk: opened if it is sound, brought up to date row by row, built anew if it is not.

Tantivy commits in place, so there is no moment at which its folder has one checksum. What is trusted instead: the
checksum in every one of its files, which ``TantivyIndex`` compares, and that the rows it holds are, after replaying,
exactly those of the database.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from core.database import Database
from core.errors import IndexDamaged, OpenbookError, RunCancelled, StorageFailed
from retrieval.generations import Generations
from retrieval.projection import (
    ChunkBatch,
    DocumentRuns,
    current_change,
    forget_removals,
    read_chunks,
    read_documents,
    read_removals,
)
from retrieval.sparse.analyse import VERSION
from retrieval.sparse.passage import FieldBoosts, PassageReader
from retrieval.sparse.tantivy import TantivyIndex
from retrieval.sparse.tantivy_files import check_folder

logger = logging.getLogger(__name__)

REVISION = f"tantivy-terms-{VERSION}"  # boosts that are not 1 follow

# What is missing is added while opening up to this many rows (about a second); beyond, in the background.
REPLAY_ROWS = 5000

# What tantivy, through its Python binding, raises when a file cannot be written.
_FAILURES = (StorageFailed, IndexDamaged, ValueError, OSError)


class TermKeeper:
    """The term index in service, if there is one, and how to get one.

    Whoever calls ``add``, ``remove``, ``commit``, ``open``, ``cover`` or ``close`` holds ``lock``. None of them raises
    when the index fails: it is given up, which is logged, and ``index`` is None until ``build`` has made another.
    """

    def __init__(
        self,
        database: Database,
        generations: Generations,
        lock: threading.RLock,
        boosts: FieldBoosts | None = None,
    ) -> None:
        self._database = database
        boosts = FieldBoosts() if boosts is None else boosts
        self._reader = PassageReader(boosts=boosts)
        self._revision = REVISION if boosts == FieldBoosts() else f"{REVISION}-{boosts.title}-{boosts.headings}"
        self._generations = generations
        self._lock = lock
        self._generation = 0  # 0: in memory only
        self._path: Path | None = None
        self._disk_failed = False
        self.index: TantivyIndex | None = None
        self.moved = False  # since the manifest was written
        self._buffered = False  # since the last commit
        self._filling = False
        self.problems: list[str] = []

    # ------------------------------------------------------------ opening

    def open(self, connection: Connection, runs: DocumentRuns) -> None:
        """Takes the current generation into service if it is sound and lacks little."""
        manifest = self._generations.current("sparse", self._revision)
        if manifest is None:
            return
        path = self._generations.folder / manifest.name
        try:
            if not path.is_dir():
                raise IndexDamaged(f"{path} is named in a manifest but is not there")
            self._generation, self._path = manifest.generation, path
            self.index = TantivyIndex(path, self._reader)  # which compares checksums
            held, wanted = self.index.rows(), runs.rows
            missing, extra = _without(wanted, held), _without(held, wanted)
            if max(len(missing), len(extra)) > REPLAY_ROWS:
                logger.info(
                    "the term index lacks %d rows and has %d too many: it is built anew", len(missing), len(extra)
                )
                self.close()
                return
            if len(missing) or len(extra):
                self._replay(connection, self.index, runs.holding(missing), extra.tolist())
            if len(self.index) != len(wanted):
                raise IndexDamaged(f"{path} holds {len(self.index)} rows after replaying: there are {len(wanted)}")
            self.moved = bool(len(missing) or len(extra))
        except _FAILURES as e:
            self.give_up(e)

    @staticmethod
    def _replay(connection: Connection, index: TantivyIndex, added: DocumentRuns, removed: Sequence[int]) -> None:
        index.remove(removed)
        for batch in read_chunks(connection, added.doc_number.tolist()):
            index.add(batch.rows, batch.chunks, batch.titles, batch.collection_ids, batch.languages)
        index.commit()

    @property
    def on_disk(self) -> bool:
        """Whether what is in service lies in files."""
        return self.index is not None and self._path is not None

    # ------------------------------------------------------------ moving on

    def add(self, batch: ChunkBatch) -> None:
        self._buffered = True
        self._try(
            lambda index: index.add(batch.rows, batch.chunks, batch.titles, batch.collection_ids, batch.languages)
        )

    def remove(self, rows: Sequence[int]) -> None:
        self._buffered = True
        self._try(lambda index: index.remove(rows))

    def commit(self) -> None:
        """Makes what was added and removed durable and visible; costs nothing if nothing was."""
        if self._buffered:
            self._try(lambda index: index.commit())
        self._buffered = False

    def _try(self, step: Callable[[TantivyIndex], None]) -> None:
        if self.index is None:
            return  # whatever it lacks is read from the database when it is built
        try:
            step(self.index)
            self.moved = True
        except _FAILURES as e:
            self.give_up(e)

    def cover(self, change: int, n_rows: int) -> bool:
        """Commits, and notes in the manifest that everything up to ``change`` is in; False if the index failed."""
        self.commit()
        if self.index is None:
            return False
        with self._database.write() as connection:
            if self._generation:
                self._generations.cover(connection, "sparse", self._generation, change, n_rows)
            if not self._filling:  # else the index that is being built would not hear of them
                forget_removals(connection, change)
        self.moved = False
        return True

    def give_up(self, error: Exception) -> None:
        """Takes a failed index out of service, to be built anew."""
        logger.error("the term index %s failed and is built anew: %s", self._path, error)
        self.problems.append(f"the term index failed and is built anew: {error}")
        self.close()

    def close(self) -> None:
        """Takes the index out of service; its files stay."""
        index, self.index = self.index, None
        if index is not None:
            _close(index)

    def check_files(self) -> None:
        """Compares the checksums of the files in service. Raises IndexDamaged. The caller holds the lock."""
        if self.index is None or self._path is None:
            return
        try:
            check_folder(self._path)
        except IndexDamaged:
            check_folder(self._path)  # a merge in the background may have taken a file away while it was looked at

    # ------------------------------------------------------------ building

    def build(self, cancelled: Callable[[], bool]) -> None:
        """Makes a new generation of everything and takes it into service; searches go on meanwhile.

        Where the disk fails, it is built in memory: slower to start next time, but nothing is missing.

        Raises:
            RunCancelled: ``cancelled()`` said so between two batches.
            StorageFailed: the database could not be read.
        """
        try:
            generation, path = (0, None) if self._disk_failed else self._generations.new_path("sparse")
            index = TantivyIndex(path, self._reader)
            try:
                self._filling = True
                since = self._fill(index, cancelled)
                self._switch(index, generation, path, since)
            except BaseException:
                _close(index)
                if path is not None:
                    shutil.rmtree(path, ignore_errors=True)  # what stays is swept at the next start
                raise
            finally:
                self._filling = False
        except RunCancelled:
            raise
        except _FAILURES as e:
            if self._disk_failed:
                raise
            logger.error("the term index could not be built on the disk and is kept in memory: %s", e)
            self.problems.append(f"the term index could not be written and is kept in memory: {e}")
            self._disk_failed = True
            self.build(cancelled)

    def _fill(self, index: TantivyIndex, cancelled: Callable[[], bool]) -> int:
        with self._database.read() as connection:
            change = current_change(connection)
            for batch in read_chunks(connection, read_documents(connection).doc_number.tolist()):
                if cancelled():
                    raise RunCancelled("building the term index was stopped")
                index.add(batch.rows, batch.chunks, batch.titles, batch.collection_ids, batch.languages)
        index.settle()
        return change

    def _switch(self, index: TantivyIndex, generation: int, path: Path | None, since: int) -> None:
        with self._lock:
            with self._database.read() as connection:
                # What is committed but not yet published will be added once more: that does no harm.
                change = current_change(connection)
                gone = [row for _, first, n in read_removals(connection, since) for row in range(first, first + n)]
                self._replay(connection, index, read_documents(connection, since), gone)
            previous: list[str] = []
            if path is not None:
                with self._database.write() as connection:
                    previous = self._generations.record(
                        connection,
                        "sparse",
                        generation,
                        path,
                        revision=self._revision,
                        covers_change=change,
                        n_rows=len(index),
                    )
            old = self.index
            self.index, self._generation, self._path = index, generation, path
            self.moved = True
        if old is not None:
            _close(old)
        self._generations.discard(previous)


def _without(rows: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of ``rows`` that are not among ``others``; ids are small and dense, so a table beats sorting."""
    among = np.zeros(max(int(rows.max(initial=0)), int(others.max(initial=0))) + 1, dtype=np.bool_)
    among[others] = True
    return rows[~among[rows]]


def _close(index: TantivyIndex) -> None:
    try:
        index.close()
    except (OpenbookError, ValueError, OSError) as e:
        logger.warning("a term index did not close: %s", e)
