"""BM25 over tantivy: additions in milliseconds, on disk or in memory.

Text is analysed by ``retrieval.sparse.analyse`` and given to tantivy as terms, so that this engine and the reference
scorer differ in arithmetic alone: tantivy's k1 = 1.2 and b = 0.75 are fixed, passage lengths are quantised to one byte
and removed passages count in the statistics until their segment is merged. Scores agree in two to three digits.

The index is a cache: it stores rows and terms, no text, and can be made again from the database at any time. It knows
nothing about documents, people or change numbers; who may see a row is told by ``Allowed``.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tantivy

from core.errors import IndexDamaged, InvalidRequest, StorageFailed
from core.types import Allowed, Chunk
from retrieval.sparse.analyse import Analyser, passage_text

# Terms wait in memory up to this size before they become a segment; 15 MB is tantivy's least for one thread.
WRITER_MEMORY_BYTES = 50_000_000

# float32 sums depend on the order of their terms, which differs between tantivy's plans for one query; beyond these
# digits two equal passages could seem different.
_SCORE_DIGITS = 4

# Above this share of allowed rows it is quicker to search all passages, with tantivy's early termination, and drop
# what is not allowed, than to intersect with the collections.
_DENSE_SHARE = 0.5


class TantivyIndex:
    """BM25 of the terms of title, heading path and text together. One writer, many readers.

    ``add`` and ``remove`` are buffered; ``commit`` makes them durable and visible at once. A search sees the last commit.

    Args:
        path: folder of the index, made if absent; None keeps the index in memory.
        analyser: makes terms of passages and queries.

    Raises:
        IndexDamaged: the folder holds something that is not a sound index of this schema.
        StorageFailed: the folder cannot be written, or another process writes to it.
    """

    def __init__(self, path: Path | None, analyser: Analyser | None = None) -> None:
        self._path = path
        self._analyser = Analyser() if analyser is None else analyser
        self._schema = _schema()
        self._index = _open(path, self._schema)
        try:
            self._writer = self._index.writer(WRITER_MEMORY_BYTES, 1)
        except ValueError as e:
            raise StorageFailed(f"the BM25 index at {path} cannot be written: {e}") from e
        self._write_lock = threading.Lock()
        self._searcher = self._index.searcher()
        self._max_row = self._find_max_row()

    def __len__(self) -> int:
        """Number of committed passages."""
        return int(self._searcher.num_docs)

    def add(
        self, rows: Sequence[int], chunks: Sequence[Chunk], titles: Sequence[str], collection_ids: Sequence[int]
    ) -> None:
        """Buffers passages; a row that is there already is replaced."""
        with self._write_lock:
            for row, chunk, title, collection_id in zip(rows, chunks, titles, collection_ids, strict=True):
                if row <= self._max_row:
                    self._writer.delete_documents_by_term("row", row)
                self._max_row = max(self._max_row, row)
                document = tantivy.Document()
                document.add_integer("row", row)
                document.add_integer("collection", collection_id)
                document.add_text("terms", " ".join(self._analyser.terms(passage_text(title, chunk))))
                self._writer.add_document(document)

    def remove(self, rows: Sequence[int]) -> None:
        """Buffers removals; unknown rows are ignored."""
        with self._write_lock:
            for row in rows:
                self._writer.delete_documents_by_term("row", row)

    def commit(self) -> None:
        """Makes everything buffered durable, then visible to searches that begin after it.

        Raises:
            StorageFailed: nothing of the buffer became visible, for example because the disk is full.
        """
        with self._write_lock:
            try:
                self._writer.commit()
                self._index.reload()
            except (ValueError, OSError) as e:
                raise StorageFailed(f"the BM25 index at {self._path} could not be committed: {e}") from e
            self._searcher = self._index.searcher()

    def search(self, query: str, k: int, allowed: Allowed) -> list[tuple[int, float]]:
        """The ``k`` allowed passages with the highest BM25 for the terms of ``query``; those that share none are left out.

        Raises:
            InvalidRequest: ``k`` is less than 1.
        """
        if k < 1:
            raise InvalidRequest(f"k = {k}: ask for at least 1 hit")
        searcher = self._searcher
        total = int(searcher.num_docs)
        terms = self._analyser.terms(query)
        if not terms or not total or not allowed.count:
            return []
        share = allowed.count / total
        plan = self._query(terms, allowed.collection_ids if share < _DENSE_SHARE else ())
        limit = min(total, k + 16 if share < _DENSE_SHARE else int(k / share) + 16)
        while True:
            hits = searcher.search(plan, limit, count=False).hits
            values = searcher.fast_field_values("row", [address for _, address in hits])
            rows = np.array(values, dtype=np.int64)
            visible = rows < len(allowed.rows)
            visible[visible] = allowed.rows[rows[visible]]
            found = [
                (row, round(float(score), _SCORE_DIGITS))
                for (score, _), row, seen in zip(hits, rows.tolist(), visible.tolist(), strict=True)
                if seen
            ]
            exhausted = len(hits) < limit or limit >= total
            # Passages that tie with the last one may lie beyond the limit: tantivy breaks ties by its own addresses.
            settled = len(found) >= k and round(float(hits[-1][0]), _SCORE_DIGITS) < found[k - 1][1]
            if exhausted or settled:
                found.sort(key=lambda hit: (-hit[1], hit[0]))
                return found[:k]
            limit = min(total, limit * 4)

    def close(self) -> None:
        """Gives back the lock on the folder. What was not committed is lost."""
        with self._write_lock:
            self._writer.rollback()
            self._writer.wait_merging_threads()

    def _query(self, terms: Sequence[str], collection_ids: Sequence[int]) -> tantivy.Query:
        counts: dict[str, int] = {}
        for term in terms:
            counts[term] = counts.get(term, 0) + 1
        parts = []
        for term, count in counts.items():
            part = tantivy.Query.term_query(self._schema, "terms", term, index_option="freq")
            parts.append((tantivy.Occur.Should, part if count == 1 else tantivy.Query.boost_query(part, float(count))))
        any_term = tantivy.Query.boolean_query(parts)
        if not collection_ids:
            return any_term
        where = tantivy.Query.term_set_query(self._schema, "collection", list(collection_ids))
        return tantivy.Query.boolean_query(
            [(tantivy.Occur.Must, any_term), (tantivy.Occur.Must, tantivy.Query.const_score_query(where, 0.0))]
        )

    def _find_max_row(self) -> int:
        if not self._searcher.num_docs:
            return -1
        last = self._searcher.search(tantivy.Query.all_query(), 1, count=False, order_by_field="row").hits
        return int(last[0][0])


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    # Integers, not unsigned: tantivy-py turns a Python int into a signed value, which kills the writer of a u64 field.
    builder.add_integer_field("row", indexed=True, fast=True)
    builder.add_integer_field("collection", indexed=True)
    builder.add_text_field("terms", tokenizer_name="whitespace", index_option="freq")
    return builder.build()


def _open(path: Path | None, schema: tantivy.Schema) -> tantivy.Index:
    if path is None:
        return tantivy.Index(schema)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise StorageFailed(f"the folder {path} of the BM25 index cannot be made: {e}") from e
    try:
        return tantivy.Index(schema, str(path), reuse=True)
    except (ValueError, OSError) as e:
        raise IndexDamaged(
            f"the BM25 index at {path} cannot be opened ({e}): delete the folder to build it anew"
        ) from e
