"""The HNSW generations: loaded if their bytes are sound, built beside what is searched, switched to when whole.

Until there is one, and for what is newer than it, search is exact. A generation is a file and a manifest row with
its SHA-256, written in this order.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from core.database import Database
from core.errors import IndexDamaged, StorageFailed
from core.settings import Settings
from retrieval.dense.auto import AutoIndex
from retrieval.dense.hnsw import HnswIndex
from retrieval.files import sha256_of
from retrieval.generations import Generations

logger = logging.getLogger(__name__)

# A generation is replaced when so many rows are searched beside it, or are dead in it (whichever is more).
_STALE_ROWS = 1000
_STALE_SHARE = 0.25


class GraphKeeper:
    """Decides when ``dense`` needs a graph, and gets it one. Used by one thread."""

    def __init__(
        self, dense: AutoIndex, database: Database, generations: Generations, revision: str, settings: Settings
    ) -> None:
        self._dense = dense
        self._database = database
        self._generations = generations
        self._revision = revision
        self._wanted = settings.dense == "hnsw"
        self._never = settings.dense == "exact"
        self._from_rows = settings.dense_hnsw_from
        self._threads = max(1, (os.cpu_count() or 2) // 2)
        self._loaded = False
        self._graph_rows = 0  # in the graph in service, dead ones included
        self._renew = False
        self.building = False
        self.problems: list[str] = []

    def want(self) -> None:
        """Somebody asked for HNSW by name: have one however few rows there are."""
        self._wanted, self._never = True, False

    def renew(self) -> None:
        """Build the next generation as soon as may be, so that nothing removed is left in the file; where no graph is
        wanted, remove the file that there may be from before."""
        self._renew = True

    def step(self, change: int, cancelled: Callable[[], bool]) -> bool:
        """Does what is due; False if nothing is.

        Args:
            change: one whose rows are all in ``dense``.

        Raises:
            RunCancelled: ``cancelled()`` said so.
        """
        if not self._never and not self._loaded:
            self._loaded = True
            if self._load():
                return True
        if self._never or not self._due():
            return self._renew and self._drop()
        self.building = True
        try:
            self._build(change, cancelled)
        finally:
            self.building = False
        return True

    def _due(self) -> bool:
        n = len(self._dense)
        if self._dense.kind == "exact":
            return n >= (1 if self._wanted else self._from_rows)
        if self._renew:
            return True
        beside = self._dense.delta_rows
        dead = self._graph_rows - (n - beside)
        return max(beside, dead) > max(_STALE_ROWS, _STALE_SHARE * self._graph_rows)

    def _drop(self) -> bool:
        """No file has what is searched: one that is there is of other settings, or was damaged."""
        dropped = self._generations.drop("dense")
        self._renew = False
        return dropped

    def _load(self) -> bool:
        manifest = self._generations.current("dense", self._revision)
        if manifest is None:
            return False
        try:
            graph = HnswIndex.load(self._generations.verify(manifest))
            if graph.dim != self._dense.dim:
                raise IndexDamaged(f"{manifest.name} has {graph.dim} dimensions, the encoder {self._dense.dim}")
        except IndexDamaged as e:
            logger.error("the vector index is damaged; search is exact until it is built anew: %s", e)
            self.problems.append(f"the vector index was damaged; search is exact until it is built anew: {e}")
            return False
        self._graph_rows = manifest.n_rows
        self._dense.adopt(graph)
        return True

    def _build(self, change: int, cancelled: Callable[[], bool]) -> None:
        self._renew = False
        graph = HnswIndex(self._dense.dim, threads=self._threads)
        graph.build(self._dense.parts(), cancelled)
        n = len(graph)
        try:
            generation, path = self._generations.new_path("dense", ".hnsw")
            graph.save(path)
            digest = sha256_of(path)
            with self._database.write() as connection:
                previous = self._generations.record(
                    connection,
                    "dense",
                    generation,
                    path,
                    revision=self._revision,
                    covers_change=change,
                    n_rows=n,
                    sha256=digest,
                )
            self._generations.discard(previous)
        except StorageFailed as e:
            logger.error("the vector index could not be written and is kept in memory: %s", e)
            self.problems.append(f"the vector index could not be written and is kept in memory: {e}")
        self._graph_rows = n
        self._dense.adopt(graph)
