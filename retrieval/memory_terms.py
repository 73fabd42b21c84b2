"""Term indexes in memory, each made when somebody first asks for it by name, and kept in step from then on.

For comparing: the one that the settings name and that lies on the disk is ``retrieval.terms``.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.database import Database
from retrieval.projection import ChunkBatch, read_chunks, read_documents
from retrieval.sparse_kinds import CommittedIndex, SparseKind, SparseOptions, new_sparse


class MemoryTerms:
    """Whoever calls anything but ``get`` holds the engine's write lock."""

    def __init__(self, options: SparseOptions) -> None:
        self._options = options
        self._indexes: dict[SparseKind, CommittedIndex] = {}

    def get(self, kind: SparseKind) -> CommittedIndex | None:
        return self._indexes.get(kind)

    def make(self, kind: SparseKind, database: Database) -> CommittedIndex:
        """The index of this kind, filled from the database if there is none yet."""
        if kind not in self._indexes:
            index = new_sparse(kind, self._options)
            with database.read() as connection:
                for batch in read_chunks(connection, read_documents(connection).doc_number.tolist()):
                    _add(index, batch)
            index.commit()
            self._indexes[kind] = index
        return self._indexes[kind]

    def add(self, batch: ChunkBatch) -> None:
        for index in self._indexes.values():
            _add(index, batch)

    def remove(self, rows: Sequence[int]) -> None:
        for index in self._indexes.values():
            index.remove(rows)
            index.commit()

    def commit(self) -> None:
        for index in self._indexes.values():
            index.commit()

    def indexes(self) -> list[object]:
        """The very indexes that there are, to be recognised again."""
        return list(self._indexes.values())


def _add(index: CommittedIndex, batch: ChunkBatch) -> None:
    index.add(batch.rows, batch.chunks, batch.titles, batch.collection_ids, batch.languages)
