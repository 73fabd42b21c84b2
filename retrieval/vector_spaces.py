"""The encoders whose vectors are searched, each with the index of what it made.

Beside the settings' encoder these are the ones that made some collections: always searched exactly, for they are few. They know
nothing of terms, of who asks, or of the graph that speeds up the settings' own index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from core.protocols import DenseIndex, Encoder
from core.types import Allowed, Vectors
from retrieval.dense.auto import AutoIndex
from retrieval.precisions import alike
from retrieval.projection import read_vectors
from retrieval.ranking import VectorSpace

DenseKind: TypeAlias = Literal["auto", "exact", "hnsw"]


class VectorSpaces:
    """Whoever changes anything holds the engine's write lock; searching needs none.

    Args:
        encoder: the settings' own; what it makes goes into ``index``.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.index = AutoIndex(encoder.dim)
        self._exact = _Exact(self.index)
        self._others: dict[str, tuple[Encoder, AutoIndex]] = {}  # by revision

    def __iter__(self) -> Iterator[tuple[Encoder, AutoIndex]]:
        return iter([(self.encoder, self.index), *self._others.values()])

    def __contains__(self, encoder: Encoder) -> bool:
        """Whether what it makes is searched, by this encoder or by one of another precision."""
        known = {self.encoder.revision, *self._others}
        return not known.isdisjoint(alike(encoder.revision))

    def add(self, encoder: Encoder, connection: Connection | None) -> None:
        """One more encoder, with all that it has made so far; without a ``connection``, ``take_in`` is still to come."""
        index = AutoIndex(encoder.dim)
        if connection is not None:
            _read_into(index, connection, encoder)
        self._others = {**self._others, encoder.revision: (encoder, index)}

    def take_in(self, connection: Connection, runs: Sequence[tuple[int, int]] | None = None) -> None:
        """Gives each index what its encoder made of these runs of rows (first, number); None: of all rows."""
        for encoder, index in self:
            _read_into(index, connection, encoder, runs)

    def remove(self, rows: Sequence[int]) -> None:
        for _, index in self:
            index.remove(rows)

    def own(self, kind: DenseKind) -> DenseIndex:
        """The settings' index, searched as ``kind`` says."""
        return self._exact if kind == "exact" else self.index

    def of(self, kind: DenseKind, allowed: Allowed) -> list[VectorSpace]:
        """The encoders that made any of the allowed rows, each with its index; the settings' own is first, if it is there."""
        found, rest = [], allowed.count
        for encoder, index in self._others.values():
            inside = _count(index.rows(), allowed)
            rest -= inside
            if inside:
                found.append(VectorSpace(encoder=encoder, index=_Exact(index) if kind == "exact" else index))
        if rest > 0 or not found:
            found.insert(0, VectorSpace(encoder=self.encoder, index=self.own(kind)))
        return found

    def rows(self) -> NDArray[np.int64]:
        """Every row that any index holds."""
        return np.concatenate([index.rows() for _, index in self])

    def __len__(self) -> int:
        """How many rows that are."""
        return sum(len(index) for _, index in self)

    def indexes(self) -> list[object]:
        """The very indexes that there are, to be recognised again."""
        return [index for _, index in self]


def _read_into(
    index: AutoIndex, connection: Connection, encoder: Encoder, runs: Sequence[tuple[int, int]] | None = None
) -> None:
    for rows, vectors in read_vectors(connection, encoder.revision, encoder.dim, runs):
        index.add(rows, vectors)


def _count(rows: NDArray[np.int64], allowed: Allowed) -> int:
    return int(np.count_nonzero(allowed.rows[rows[rows < len(allowed.rows)]]))


class _Exact:
    """The vector index, always searched exactly."""

    def __init__(self, index: AutoIndex) -> None:
        self._index = index

    def add(self, rows: NDArray[np.int64], vectors: Vectors) -> None:
        self._index.add(rows, vectors)

    def remove(self, rows: Sequence[int]) -> None:
        self._index.remove(rows)

    def search(self, queries: Vectors, k: int, allowed: Allowed) -> list[list[tuple[int, float]]]:
        return self._index.search_exact(queries, k, allowed)
