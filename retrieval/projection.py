"""What indexes are made from, read out of the store's tables: which rows there are, their passages, their vectors.

Everything is read inside one transaction of the caller, so that all parts are of one moment. Nothing here asks who
reads: an index holds everybody's rows, and each search says which of them it may return.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, exists, func, insert, select

from core.clock import now_iso
from core.types import Chunk, Vectors
from retrieval.document_rows import as_chunk
from retrieval.precisions import alike
from retrieval.records import ChangeKind
from retrieval.tables import changes, chunks, documents, removals, vectors
from retrieval.texts import read_texts

_BATCH_CHARACTERS = 4_000_000
_BATCH_DOCUMENTS = 256
_BATCH_VECTORS = 8192


@dataclass(frozen=True, slots=True)
class DocumentRuns:
    """Which rows each document has: ``first_row`` … ``first_row + n_rows - 1``. One entry per document."""

    doc_number: NDArray[np.int64]  # (n_docs,), ascending
    collection_id: NDArray[np.int64]
    first_row: NDArray[np.int64]
    n_rows: NDArray[np.int64]
    added_change: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.doc_number)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Every row, document by document."""
        total = int(self.n_rows.sum())
        starts = np.cumsum(self.n_rows) - self.n_rows
        rows: NDArray[np.int64] = np.arange(total, dtype=np.int64) + np.repeat(self.first_row - starts, self.n_rows)
        return rows

    def holding(self, rows: NDArray[np.int64]) -> DocumentRuns:
        """The documents that have any of ``rows``."""
        found = np.zeros(len(self), dtype=np.bool_)
        order = np.argsort(self.first_row, kind="stable")
        at = np.searchsorted(self.first_row[order], rows, side="right") - 1
        found[order[np.unique(at[at >= 0])]] = True
        found &= self.n_rows > 0
        return self.only(found)

    def only(self, which: NDArray[np.bool_] | slice) -> DocumentRuns:
        """Some of the documents."""
        return DocumentRuns(
            self.doc_number[which],
            self.collection_id[which],
            self.first_row[which],
            self.n_rows[which],
            self.added_change[which],
        )


@dataclass(frozen=True, slots=True)
class ChunkBatch:
    """Passages as ``SparseIndex.add`` takes them."""

    rows: list[int]
    chunks: list[Chunk]
    titles: list[str]
    collection_ids: list[int]
    languages: list[str | None]  # as found at ingest


def current_change(connection: Connection) -> int:
    """The number of the newest change that this transaction sees; 0 before the first."""
    return connection.execute(select(func.max(changes.c.number))).scalar() or 0


def read_documents(connection: Connection, after_change: int = 0, edition_id: int | None = None) -> DocumentRuns:
    """The documents that are searched, and were added (or came back) by a change later than ``after_change``.

    Args:
        edition_id: those that wait in this edition instead.
    """
    query = (
        select(
            documents.c.doc_number,
            documents.c.collection_id,
            documents.c.first_row,
            documents.c.n_chunks,
            documents.c.added_change,
        )
        .where(documents.c.added_change > after_change, documents.c.edition_id.is_not_distinct_from(edition_id))
        .order_by(documents.c.doc_number)
    )
    found = np.array([tuple(row) for row in connection.execute(query)], dtype=np.int64).reshape(-1, 5)
    return DocumentRuns(*found.T)


def read_removals(connection: Connection, after_change: int) -> list[tuple[int, int, int]]:
    """(change, first row, number of rows) that were removed by a change later than ``after_change``, in its order."""
    query = select(removals.c.change, removals.c.first_row, removals.c.n_rows).where(removals.c.change > after_change)
    return [(c, first, n) for c, first, n in connection.execute(query.order_by(removals.c.change))]


def next_change(connection: Connection, kind: ChangeKind, subject: str) -> int:
    """Takes the next number: what is written under it becomes visible at once."""
    values = {"kind": kind, "subject": subject, "at": now_iso()}
    return int(connection.execute(insert(changes).values(values).returning(changes.c.number)).scalar_one())


def record_removals(connection: Connection, number: int, runs: Sequence[tuple[int, int]]) -> None:
    """Says which runs (first row, number of rows) a change takes away."""
    if runs:
        connection.execute(insert(removals), [{"change": number, "first_row": first, "n_rows": n} for first, n in runs])


def forget_removals(connection: Connection, up_to_change: int) -> None:
    """Drops what every index has applied."""
    connection.execute(removals.delete().where(removals.c.change <= up_to_change))


def read_chunks(connection: Connection, doc_numbers: Sequence[int]) -> Iterator[ChunkBatch]:
    """The passages of documents, some megabytes of text at a time."""
    language = documents.c.metadata["language"].as_string().label("language")
    for batch in _batches(connection, doc_numbers):
        texts_ = read_texts(connection, batch)
        query = (
            select(chunks, documents.c.doc_id, documents.c.title, documents.c.collection_id, language)
            .join(documents, documents.c.doc_number == chunks.c.doc_number)
            .where(chunks.c.doc_number.in_(batch))
            .order_by(chunks.c.row_id)
        )
        found = connection.execute(query).all()
        if found:
            yield ChunkBatch(
                [c.row_id for c in found],
                [as_chunk(c, c.doc_id, texts_[c.doc_number][c.start : c.end]) for c in found],
                [c.title for c in found],
                [c.collection_id for c in found],
                [c.language for c in found],
            )


def _batches(connection: Connection, doc_numbers: Sequence[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    characters = 0
    for start in range(0, len(doc_numbers), _BATCH_DOCUMENTS):
        some = doc_numbers[start : start + _BATCH_DOCUMENTS]
        query = select(documents.c.doc_number, documents.c.n_characters).where(documents.c.doc_number.in_(some))
        for number, n in connection.execute(query.order_by(documents.c.doc_number)):
            if batch and (characters + n > _BATCH_CHARACTERS or len(batch) == _BATCH_DOCUMENTS):
                yield batch
                batch, characters = [], 0
            batch.append(number)
            characters += n
    if batch:
        yield batch


def read_vectors(
    connection: Connection, revision: str, dim: int, runs: Iterable[tuple[int, int]] | None = None
) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
    """Vectors of one encoder revision, in whatever precision, in order of their rows, some thousands at a time.

    Args:
        runs: (first row, number of rows) to read; None reads those of all documents that are searched. A row without a
            vector of such a revision (``retrieval.precisions``) and of this dimension is left out.
    """
    searched = (
        select(chunks.c.row_id)
        .join(documents, documents.c.doc_number == chunks.c.doc_number)
        .where(chunks.c.row_id == vectors.c.row_id, documents.c.edition_id.is_(None))
    )
    for first, n in [(0, 1 << 62)] if runs is None else runs:
        last = first - 1
        while True:
            query = (
                select(vectors.c.row_id, vectors.c.vector)
                .where(
                    vectors.c.row_id > last,
                    vectors.c.row_id < first + n,
                    vectors.c.encoder_revision.in_(alike(revision)),
                    func.length(vectors.c.vector) == 4 * dim,
                )
                .order_by(vectors.c.row_id)
                .limit(_BATCH_VECTORS)
            )
            if runs is None:
                query = query.where(exists(searched))
            found = connection.execute(query).all()
            if found:
                rows = np.array([row for row, _ in found], dtype=np.int64)
                packed = np.frombuffer(b"".join([v for _, v in found]), dtype="<f4")
                yield rows, packed.astype(np.float32, copy=False).reshape(len(rows), dim)
            if len(found) < _BATCH_VECTORS:
                break
            last = found[-1].row_id
