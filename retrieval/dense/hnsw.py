"""HNSW: approximate search in a graph of neighbours (Malkov and Yashunin 2018), by FAISS.

Vectors stay float32 inside the graph's storage, so scores are exact and a narrow filter can be searched exactly over
the same memory. FAISS cannot take a vector out of a graph: a removed row is a tombstone until the next generation.

Equal vectors are one node with several rows. A graph of them falls apart: of one text that stands in a collection fifty
times, each copy has the others for neighbours, and no way leads in (measured recall .979 where 6 % are copies).
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss as _typed_faiss
import numpy as np
from numpy.typing import NDArray

from core.errors import IndexDamaged, InvalidRequest, RunCancelled, StorageFailed
from core.types import Allowed, Vectors
from retrieval.dense.scan import (
    Positions,
    PositionTable,
    Rows,
    best,
    check_added,
    check_vectors,
    exact_scores,
    ranked,
    visible,
)

faiss: Any = _typed_faiss  # its type stubs lack half of what it has

_MAGIC = b"OBHNSW2\n"
# A building thread looks for a stop between steps of this many vectors: about a second of work.
_BUILD_STEP = 2048
# A graph walk under a filter misses more the less the filter lets through (measured recall .80 at 1 %); below this
# share of its vectors exact search is quicker as well.
NARROW_SHARE = 0.15


class HnswIndex:
    """An HNSW graph over unit vectors by inner product, which is the cosine. Many readers, or one writer.

    Args:
        dim: of the vectors.
        m: links per vector and level (twice as many on the lowest).
        ef_construction: breadth of the search for neighbours while building.
        ef_search: breadth of a search: more is slower and misses less.
        threads: for building and batched searches; FAISS has one number for the whole process, which building sets, and 0
            leaves as it is. Building by one thread gives the same graph each time.
    """

    def __init__(
        self, dim: int, m: int = 32, ef_construction: int = 200, ef_search: int = 128, threads: int = 0
    ) -> None:
        self._dim = dim
        self._m = m
        self._ef_construction = ef_construction
        self.ef_search = ef_search
        self._threads = threads
        self._graph = _new_graph(dim, m, ef_construction)
        self._rows: Rows = np.empty(0, dtype=np.int64)
        self._alive: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self._nodes: NDArray[np.int32] = np.empty(0, dtype=np.int32)  # of each position, its vector's node in the graph
        self._by_node: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None  # made when first needed
        self._node_of: dict[bytes, int] | None = None  # by digest of the vector; while building
        self._table = PositionTable()
        self._gate = _Gate()

    @property
    def dim(self) -> int:
        return self._dim

    def __len__(self) -> int:
        return int(np.count_nonzero(self._alive))

    @property
    def nbytes(self) -> int:
        """Bytes of vectors, links and rows."""
        links = self._graph.hnsw.neighbors.size() * 4 + self._graph.hnsw.offsets.size() * 8
        return int(self._graph.ntotal * self._dim * 4 + len(self._rows) * (8 + 4 + 1) + links + self._table.nbytes)

    def add(self, rows: NDArray[np.int64], vectors: Vectors) -> None:
        """Adds vectors, visible when it returns; searches wait meanwhile. A row that is there already is replaced.

        Raises:
            InvalidRequest: shapes that do not fit, or a row twice in one call.
        """
        rows, vectors = check_added(rows, vectors, self._dim)
        if not len(rows):
            return
        with self._gate.writing():
            if self._threads:
                faiss.omp_set_num_threads(self._threads)
            n = len(self._rows)
            nodes = self._add_new(vectors)
            alive = np.concatenate([self._alive, np.ones(len(rows), dtype=np.bool_)])
            replaced = self._table.get(rows)
            alive[replaced[replaced >= 0]] = False
            self._alive = alive
            self._rows = np.concatenate([self._rows, rows])
            self._nodes, self._by_node = np.concatenate([self._nodes, nodes]), None
            self._table.put(rows, np.arange(n, n + len(rows), dtype=np.int64))

    def _add_new(self, vectors: Vectors) -> NDArray[np.int32]:
        """Adds those of ``vectors`` to the graph that are not in it; the node of each."""
        if self._node_of is None:
            self._node_of = {_digest(v): i for i, v in enumerate(self._vectors())}
        n = int(self._graph.ntotal)
        nodes = np.empty(len(vectors), dtype=np.int32)
        new: list[int] = []
        for i, vector in enumerate(vectors):
            node = self._node_of.setdefault(_digest(vector), n + len(new))
            if node == n + len(new):
                new.append(i)
            nodes[i] = node
        if new:
            self._graph.add(vectors[new])
        return nodes

    def build(self, parts: Iterable[tuple[Rows, Vectors]], cancelled: Callable[[], bool] = lambda: False) -> None:
        """Adds all ``parts`` in steps of about a second.

        Raises:
            RunCancelled: ``cancelled()`` said so between two steps; what was added stays.
        """
        for rows, vectors in parts:
            for start in range(0, len(rows), _BUILD_STEP):
                if cancelled():
                    raise RunCancelled(f"building the HNSW index was stopped at {len(self._rows)} vectors")
                self.add(rows[start : start + _BUILD_STEP], vectors[start : start + _BUILD_STEP])
        self._node_of = None  # made again if more is added

    def remove(self, rows: Sequence[int]) -> None:
        """Marks rows as removed; unknown ones are ignored. Their vectors stay in memory until the next generation."""
        ids = np.asarray(rows, dtype=np.int64)
        with self._gate.reading():  # most removals are of rows that are elsewhere: searches need not wait for them
            positions = self._table.get(ids)
            if not (positions >= 0).any():
                return
        with self._gate.writing():
            positions = self._table.get(ids)
            self._alive[positions[positions >= 0]] = False

    def search(self, queries: Vectors, k: int, allowed: Allowed) -> list[list[tuple[int, float]]]:
        """Per query about the ``k`` best allowed rows: (row, cosine), best first, ties by smaller row.

        Exact where less than ``NARROW_SHARE`` of the graph's vectors are allowed, or ``k`` is more than that share of it.
        What ``allowed`` lets through elsewhere, in a delta or of another encoder, does not count.

        Raises:
            InvalidRequest: ``k`` is less than 1, or the queries have another dimension.
        """
        if k < 1:
            raise InvalidRequest(f"k = {k}: ask for at least 1 hit")
        queries = check_vectors(queries, self._dim, "the queries")
        with self._gate.reading():
            keep = self._alive & visible(self._rows, allowed)
            kept = int(np.count_nonzero(keep))
            if not kept:
                return [[] for _ in queries]
            n = int(self._graph.ntotal)
            wanted = np.zeros(
                n, dtype=np.bool_
            )  # nodes, not rows: a thousand copies of one text are one place to reach
            wanted[self._nodes[keep]] = True
            if np.count_nonzero(wanted) < NARROW_SHARE * n or k > NARROW_SHARE * n:
                return self._exactly(queries, k, keep)
            return self._walk(queries, min(k, kept), keep, wanted)

    def search_exact(self, queries: Vectors, k: int, allowed: Allowed) -> list[list[tuple[int, float]]]:
        """As ``search``, but every allowed vector is compared."""
        queries = check_vectors(queries, self._dim, "the queries")
        with self._gate.reading():
            positions = self._table.get(np.flatnonzero(allowed.rows))
            keep = np.zeros(len(self._rows), dtype=np.bool_)
            keep[positions[positions >= 0]] = True
            return self._exactly(queries, k, keep & self._alive)

    def rows(self) -> Rows:
        """The living rows, in the order of their addition."""
        with self._gate.reading():
            return self._rows[self._alive]

    def holds(self, rows: Rows, vectors: Vectors) -> NDArray[np.bool_]:
        """Which of ``rows`` are here with exactly these vectors."""
        with self._gate.reading():
            positions = self._table.get(rows)
            here = positions >= 0
            here[here] = self._alive[positions[here]]
            here[here] = (self._vectors()[self._nodes[positions[here]]] == vectors[here]).all(axis=1)
            return here

    def _exactly(self, queries: Vectors, k: int, keep: NDArray[np.bool_]) -> list[list[tuple[int, float]]]:
        if len(self._rows) == self._graph.ntotal:
            return best([self._vectors()], self._rows, keep, queries, k)
        # The first row of each node stands for all of them: so nodes tie as their rows do.
        kept = np.flatnonzero(keep)
        first = np.full(self._graph.ntotal, np.iinfo(np.int64).max)
        np.minimum.at(first, self._nodes[kept], self._rows[kept])
        wanted = first < np.iinfo(np.int64).max
        found = best([self._vectors()], first, wanted, queries, k)
        results = []
        for hits in found:
            rows = np.array([row for row, _ in hits], dtype=np.int64)
            scores = np.array([score for _, score in hits], dtype=np.float32)
            results.append(self._of_nodes(self._nodes[self._table.get(rows)], scores, keep, k))
        return results

    def _walk(
        self, queries: Vectors, k: int, keep: NDArray[np.bool_], wanted: NDArray[np.bool_]
    ) -> list[list[tuple[int, float]]]:
        parameters: dict[str, Any] = {"efSearch": max(self.ef_search, k)}
        if not wanted.all():
            parameters["sel"] = faiss.IDSelectorBitmap(np.packbits(wanted, bitorder="little"))
        _, found = self._graph.search(queries, k, params=faiss.SearchParametersHNSW(**parameters))  # (n_queries, k)
        vectors = self._vectors()
        results = []
        for query, line in zip(queries, found, strict=True):
            nodes: Positions = line[line >= 0]
            nodes = nodes[wanted[nodes]]  # some versions of FAISS have ignored selectors
            results.append(self._of_nodes(nodes, exact_scores(vectors[nodes], query), keep, k))
        return results

    def _of_nodes(
        self, nodes: NDArray[Any], scores: NDArray[np.float32], keep: NDArray[np.bool_], k: int
    ) -> list[tuple[int, float]]:
        """The ``k`` best kept rows of ``nodes``, whose scores are given."""
        if len(self._rows) == self._graph.ntotal:
            return ranked(self._rows[nodes], scores)[:k]
        by_node, starts = self._members()
        counts = starts[nodes + 1] - starts[nodes]
        ends = np.cumsum(counts)
        positions = by_node[np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts[nodes] - ends + counts, counts)]
        seen = keep[positions]
        return ranked(self._rows[positions[seen]], np.repeat(scores, counts)[seen])[:k]

    def _members(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions node by node, and where in that each node's begin."""
        found = self._by_node
        if found is None:
            by_node = np.argsort(self._nodes, kind="stable")
            starts = np.searchsorted(self._nodes[by_node], np.arange(self._graph.ntotal + 1))
            found = self._by_node = by_node, starts
        return found

    def _vectors(self) -> Vectors:
        """The graph's own vectors, not copied; valid while the gate is held."""
        storage = faiss.downcast_index(self._graph.storage)
        n = int(storage.ntotal)
        if not n:
            return np.empty((0, self._dim), dtype=np.float32)
        view: Vectors = faiss.rev_swig_ptr(storage.get_xb(), n * self._dim).reshape(n, self._dim)
        return view

    def parts(self) -> Iterator[tuple[Rows, Vectors]]:
        """(rows, vectors) of the living, in steps; a copy of each step."""
        for start in range(0, len(self._rows), _BUILD_STEP):
            with self._gate.reading():
                alive = self._alive[start : start + _BUILD_STEP]
                rows = self._rows[start : start + _BUILD_STEP][alive]
                vectors = self._vectors()[self._nodes[start : start + _BUILD_STEP][alive]]
            yield rows, vectors

    def save(self, path: Path) -> None:
        """Writes everything to one file: temporary, synced, renamed, so that ``path`` is whole or absent.

        Raises:
            StorageFailed: it could not be written.
        """
        temporary = path.with_name(path.name + ".tmp")
        with self._gate.reading():
            header = {
                "dim": self._dim,
                "m": self._m,
                "ef_construction": self._ef_construction,
                "n": len(self._rows),
                "nodes": int(self._graph.ntotal),
            }
            try:
                with temporary.open("wb") as file:
                    head = json.dumps(header).encode()
                    file.write(_MAGIC + struct.pack("<I", len(head)) + head)
                    file.write(self._rows.astype("<i8").tobytes())
                    file.write(self._alive.tobytes())
                    file.write(self._nodes.astype("<i4").tobytes())
                    writer = faiss.PyCallbackIOWriter(file.write)
                    faiss.write_index(self._graph, writer)
                    del writer  # it holds back the last bytes until it is gone
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
                _sync_folder(path.parent)
            except OSError as e:
                temporary.unlink(missing_ok=True)
                raise StorageFailed(f"the HNSW index could not be written to {path}: {e}") from e

    @classmethod
    def load(cls, path: Path, ef_search: int = 128, threads: int = 0) -> HnswIndex:
        """Reads a saved index. Whoever keeps the file's checksum compares it first: FAISS trusts what it reads.

        Raises:
            IndexDamaged: the file is absent, or not the whole of a saved index.
        """
        try:
            with path.open("rb") as file:
                magic = file.read(len(_MAGIC))
                if magic != _MAGIC:
                    raise IndexDamaged(f"{path} is not an HNSW index of this version: it begins with {magic!r}")
                (size,) = struct.unpack("<I", file.read(4))
                header = json.loads(file.read(size))
                n, n_nodes = int(header["n"]), int(header["nodes"])
                index = cls(int(header["dim"]), int(header["m"]), int(header["ef_construction"]), ef_search, threads)
                rows = np.frombuffer(file.read(8 * n), dtype="<i8").astype(np.int64)
                alive = np.frombuffer(file.read(n), dtype=np.bool_).copy()
                nodes = np.frombuffer(file.read(4 * n), dtype="<i4").astype(np.int32)
                graph = faiss.read_index(faiss.PyCallbackIOReader(file.read))
                rest = file.read(1)
        except (OSError, ValueError, KeyError, struct.error, RuntimeError) as e:
            raise IndexDamaged(f"the HNSW index {path} cannot be read: {e}") from e
        if len(rows) != n or len(alive) != n or len(nodes) != n or rest:
            raise IndexDamaged(f"the HNSW index {path} names {n} vectors but holds {len(rows)}")
        _check_graph(graph, index._dim, n_nodes, path)
        if n and not 0 <= int(nodes.min()) <= int(nodes.max()) < n_nodes:
            raise IndexDamaged(f"{path}: a row has a vector outside of the {n_nodes} of the graph")
        index._graph = graph
        index._rows = rows
        index._nodes = nodes
        index._alive = alive
        index._table.put(rows[alive], np.flatnonzero(alive).astype(np.int64))
        return index


def _new_graph(dim: int, m: int, ef_construction: int) -> Any:
    graph = faiss.IndexHNSWFlat(dim, m, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = ef_construction
    return graph


def _check_graph(graph: Any, dim: int, n: int, path: Path) -> None:
    if not isinstance(graph, faiss.IndexHNSWFlat):
        raise IndexDamaged(f"{path} holds a {type(graph).__name__}, not an IndexHNSWFlat")
    hnsw = graph.hnsw
    found = (graph.d, graph.ntotal, graph.storage.ntotal, hnsw.levels.size(), graph.metric_type)
    wanted = (dim, n, n, n, faiss.METRIC_INNER_PRODUCT)
    if found != wanted:
        raise IndexDamaged(f"{path}: dimension, sizes and metric are {found}, not {wanted}")
    neighbours = faiss.vector_to_array(hnsw.neighbors)
    if n and (neighbours.max(initial=-1) >= n or neighbours.min(initial=-1) < -1 or not 0 <= hnsw.entry_point < n):
        raise IndexDamaged(f"{path}: a link of the graph points outside of its {n} vectors")


def _digest(vector: NDArray[np.float32]) -> bytes:
    return hashlib.blake2b(vector.tobytes(), digest_size=16).digest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Gate:
    """Many readers or one writer: FAISS moves its memory while it adds."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._readers = 0
        self._writing = False
        self._waiting_writers = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._condition:
            # A waiting writer goes first, or steady searches would keep it out for ever.
            self._condition.wait_for(lambda: not self._writing and not self._waiting_writers)
            self._readers += 1
        try:
            yield
        finally:
            with self._condition:
                self._readers -= 1
                self._condition.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._condition:
            self._waiting_writers += 1
            self._condition.wait_for(lambda: not self._writing and not self._readers)
            self._waiting_writers -= 1
            self._writing = True
        try:
            yield
        finally:
            with self._condition:
                self._writing = False
                self._condition.notify_all()
