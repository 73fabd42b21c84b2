"""Exact search: every allowed vector is compared. Recall is 1 by construction, whatever the filter.

Vectors lie in blocks that never move, so growing copies nothing and a reader's view stays whole while one writer adds.
A removed vector is passed over until so many are dead that the blocks are written anew. A full block gets eight-bit codes,
by which it is scanned; the vectors themselves decide.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest
from core.types import Allowed, Vectors
from retrieval.dense.codes import Codes, encode
from retrieval.dense.scan import PositionTable, Rows, best, check_added, check_vectors, gather, visible

# 8,192 vectors of 384 floats are 12 MB: few enough steps in Python, and a half-empty last block is no waste.
BLOCK_ROWS = 8192
_DEAD_SHARE = 0.25
# Below this share of allowed rows, looking each of them up is quicker than asking every vector whether it is allowed.
_NARROW_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class _State:
    """One moment of the index. Blocks and rows are only ever written beyond ``n``."""

    blocks: tuple[Vectors, ...]
    rows: Rows  # (capacity,)
    alive: NDArray[np.bool_]  # (n,), never written after it is published
    n: int
    table: PositionTable
    codes: tuple[Codes, ...]  # of the full blocks

    def keep(self, allowed: Allowed) -> NDArray[np.bool_]:
        """(n,) the living positions whose rows ``allowed`` lets through."""
        if allowed.count < _NARROW_SHARE * self.n:
            positions = self.table.get(np.flatnonzero(allowed.rows))
            # The table is the writer's: an entry beyond this moment may hide an older vector of its row.
            if positions.max(initial=-1) < self.n:
                keep = np.zeros(self.n, dtype=np.bool_)
                keep[positions[positions >= 0]] = True
                keep &= self.alive
                return keep
        return self.alive & visible(self.rows[: self.n], allowed)

    def filled(self) -> list[Vectors]:
        return [b[: self.n - i * BLOCK_ROWS] for i, b in enumerate(self.blocks) if i * BLOCK_ROWS < self.n]


class ExactIndex:
    """Vectors in memory as float32, with codes of a quarter of that. One writer at a time, any number of readers meanwhile."""

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._lock = threading.Lock()
        self._state = _empty()

    @property
    def dim(self) -> int:
        return self._dim

    def __len__(self) -> int:
        return int(np.count_nonzero(self._state.alive))

    @property
    def nbytes(self) -> int:
        """Bytes held, including room to grow."""
        s = self._state
        codes = sum(c.nbytes for c in s.codes)
        return sum(b.nbytes for b in s.blocks) + codes + s.rows.nbytes + s.alive.nbytes + s.table.nbytes

    def add(self, rows: NDArray[np.int64], vectors: Vectors) -> None:
        """Adds vectors, visible when it returns; a row that is there already is replaced.

        Raises:
            InvalidRequest: shapes that do not fit, or a row twice in one call.
        """
        rows, vectors = check_added(rows, vectors, self._dim)
        if not len(rows):
            return
        with self._lock:
            s = self._state
            n = s.n + len(rows)
            blocks = list(s.blocks)
            while len(blocks) * BLOCK_ROWS < n:
                blocks.append(np.empty((BLOCK_ROWS, self._dim), dtype=np.float32))
            done = 0
            while done < len(rows):
                block, offset = divmod(s.n + done, BLOCK_ROWS)
                take = min(BLOCK_ROWS - offset, len(rows) - done)
                blocks[block][offset : offset + take] = vectors[done : done + take]
                done += take
            all_rows = s.rows
            if n > len(all_rows):
                all_rows = np.empty(max(n, 2 * len(all_rows)), dtype=np.int64)
                all_rows[: s.n] = s.rows[: s.n]
            all_rows[s.n : n] = rows
            alive = np.ones(n, dtype=np.bool_)
            alive[: s.n] = s.alive
            replaced = s.table.get(rows)
            alive[replaced[replaced >= 0]] = False
            s.table.put(rows, np.arange(s.n, n, dtype=np.int64))
            self._state = _compact(
                _State(tuple(blocks), all_rows, alive, n, s.table, _coded(blocks, n, s.codes)), self._dim
            )

    def remove(self, rows: Sequence[int]) -> None:
        """Removes rows; unknown ones are ignored."""
        with self._lock:
            s = self._state
            known = np.asarray(rows, dtype=np.int64)
            known = known[s.table.get(known) >= 0]
            if not len(known):
                return
            alive = s.alive.copy()
            alive[s.table.get(known)] = False
            s.table.put(known, np.full(len(known), -1, dtype=np.int64))
            self._state = _compact(_State(s.blocks, s.rows, alive, s.n, s.table, s.codes), self._dim)

    def search(self, queries: Vectors, k: int, allowed: Allowed) -> list[list[tuple[int, float]]]:
        """Per query the ``k`` allowed rows of highest inner product: (row, cosine), best first, ties by smaller row.

        Raises:
            InvalidRequest: ``k`` is less than 1, or the queries have another dimension.
        """
        if k < 1:
            raise InvalidRequest(f"k = {k}: ask for at least 1 hit")
        queries = check_vectors(queries, self._dim, "the queries")
        s = self._state
        return best(s.filled(), s.rows, s.keep(allowed), queries, k, s.codes)

    def rows(self) -> Rows:
        """The living rows, in the order of their addition."""
        s = self._state
        living: Rows = s.rows[: s.n][s.alive]
        return living

    def parts(self) -> Iterator[tuple[Rows, Vectors]]:
        """(rows, vectors) of one moment, block by block, rows in the order of their addition."""
        s = self._state
        for i, block in enumerate(s.filled()):
            alive = s.alive[i * BLOCK_ROWS : i * BLOCK_ROWS + len(block)]
            yield s.rows[i * BLOCK_ROWS : i * BLOCK_ROWS + len(block)][alive], block[alive]


def _empty() -> _State:
    return _State((), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_), 0, PositionTable(), ())


def _compact(s: _State, dim: int) -> _State:
    """Writes the blocks anew once more than a block's worth and a quarter of the vectors are dead."""
    dead = s.n - int(np.count_nonzero(s.alive))
    if dead <= BLOCK_ROWS or dead <= s.n * _DEAD_SHARE:
        return s
    kept = np.flatnonzero(s.alive)
    filled = s.filled()
    blocks = []
    for start in range(0, len(kept), BLOCK_ROWS):
        block = np.empty((BLOCK_ROWS, dim), dtype=np.float32)
        part = gather(filled, kept[start : start + BLOCK_ROWS])
        block[: len(part)] = part
        blocks.append(block)
    rows = s.rows[kept]
    table = PositionTable()  # a new one: readers of the old state go on with theirs
    table.put(rows, np.arange(len(kept), dtype=np.int64))
    alive = np.ones(len(kept), dtype=np.bool_)
    return _State(tuple(blocks), rows, alive, len(kept), table, _coded(blocks, len(kept), ()))


def _coded(blocks: Sequence[Vectors], n: int, known: tuple[Codes, ...]) -> tuple[Codes, ...]:
    """The codes of the blocks that ``n`` vectors fill. Those of a full block are made once: it is never written again."""
    return (*known, *(encode(block) for block in blocks[len(known) : n // BLOCK_ROWS]))
