"""BM25 over tantivy: additions in milliseconds, on disk or in memory.

Text is analysed by ``retrieval.sparse.analyse`` and given to tantivy as terms, so that this engine and the reference
scorer differ in arithmetic alone: tantivy's k1 = 1.2 and b = 0.75 are fixed, passage lengths are quantised to one byte,
removed passages count in the statistics until their segment is merged, and the factor (k1 + 1) = 2.2 is in the score.

The index is a cache: it holds rows and terms, no text, and can be made again from the database at any time. It knows
nothing about documents, people or change numbers; who may see a row is told by ``Allowed``.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray

from core.errors import IndexDamaged, NotReady, StorageFailed
from core.types import Allowed, Chunk
from retrieval.sparse.analyse import VERSION, Analyser, passage_text
from retrieval.sparse.tantivy_files import check_folder
from retrieval.sparse.term_bag import check_k
from retrieval.sparse.weights import TermWeight, from_tantivy

# Terms wait in memory up to this size before they become a segment; 15 MB is tantivy's least.
WRITER_MEMORY_BYTES = 30_000_000

# The version is in the name, so that an index of other terms does not open.
_TERMS = f"terms_{VERSION}"

# float32 sums depend on the order of their terms, which differs between tantivy's plans for one query; beyond these
# digits two equal passages could seem different.
_SCORE_DIGITS = 4

# Above this share of allowed rows it is quicker to search all passages, with tantivy's early termination, and drop
# what is not allowed, than to intersect with the collections.
_WIDE_SHARE = 0.5
# So few rows are named one by one: a metadata filter may leave a handful of a large collection.
_FEW_ROWS = 1000
_SLACK = 16
# Passages that tie with the last hit are looked for among so many more; one common word alone ties thousands.
_TIE_DEPTH = 4096


class TantivyIndex:
    """BM25 of the terms of title, heading path and text together. One writer, many readers.

    ``add`` and ``remove`` are buffered; ``commit`` makes them durable and visible at once. A search sees the last commit.

    Args:
        path: folder of the index, made if absent; None keeps the index in memory.
        analyser: makes terms of passages and queries.

    Raises:
        IndexDamaged: the folder holds something that is not a sound index of these terms.
        StorageFailed: the folder cannot be written, or another process writes to it.
    """

    def __init__(self, path: Path | None, analyser: Analyser | None = None) -> None:
        self._path = path
        self._analyser = Analyser() if analyser is None else analyser
        self._schema = _schema()
        self._lock = threading.Lock()
        self._closed = False
        with _panic_is_damage(path):
            self._index = _open(path, self._schema)
            self._writer: tantivy.IndexWriter | None = self._new_writer()
            self._searcher = self._index.searcher()
            self._max_row = self._check_rows()

    def __len__(self) -> int:
        """Number of committed passages."""
        return int(self._searcher.num_docs)

    @property
    def segments(self) -> int:
        """Number of parts that a search goes through; tantivy merges eight small ones by itself."""
        return int(self._searcher.num_segments)

    def rows(self) -> NDArray[np.int64]:
        """The committed rows, ascending."""
        searcher = self._searcher
        if not searcher.num_docs:
            return np.empty(0, dtype=np.int64)
        hits = searcher.search(
            tantivy.Query.all_query(),
            int(searcher.num_docs),
            count=False,
            order_by_field="row",
            order=tantivy.Order.Asc,
        ).hits
        return np.array([row for row, _ in hits], dtype=np.int64)

    def add(
        self, rows: Sequence[int], chunks: Sequence[Chunk], titles: Sequence[str], collection_ids: Sequence[int]
    ) -> None:
        """Buffers passages; a row that is there already is replaced."""
        texts = [passage_text(title, chunk) for title, chunk in zip(titles, chunks, strict=True)]
        documents = []
        for row, text, collection_id in zip(rows, texts, collection_ids, strict=True):
            document = tantivy.Document()
            document.add_integer("row", int(row))
            document.add_integer("collection", int(collection_id))
            document.add_text(_TERMS, " ".join(self._analyser.terms(text)))
            documents.append(document)
        with self._lock:
            writer = self._open_writer()
            for row, document in zip(rows, documents, strict=True):
                if row <= self._max_row:
                    writer.delete_documents_by_term("row", int(row))
                self._max_row = max(self._max_row, int(row))
                writer.add_document(document)

    def remove(self, rows: Sequence[int]) -> None:
        """Buffers removals; unknown rows are ignored."""
        with self._lock:
            writer = self._open_writer()
            for row in rows:
                writer.delete_documents_by_term("row", int(row))

    def commit(self) -> None:
        """Makes everything buffered durable, then visible to searches that begin after it.

        Raises:
            StorageFailed: it could not be written, for example because the disk is full. Nothing of the buffer became
                visible, and the buffer is empty.
        """
        with self._lock:
            self._commit()

    def settle(self) -> None:
        """Commits, and waits until tantivy has merged what it wants to: worth it after a bulk of additions.

        Raises:
            StorageFailed: as ``commit``.
        """
        with self._lock:
            self._commit()
            self._open_writer().wait_merging_threads()  # this uses the writer up
            self._writer = self._new_writer()
            self._see()

    def search(self, query: str, k: int, allowed: Allowed) -> list[tuple[int, float]]:
        """The ``k`` allowed passages with the highest BM25 for the terms of ``query``; those that share none are left out.

        The query is free text: no character in it has a meaning of its own.

        Raises:
            InvalidRequest: ``k`` is less than 1.
            IndexDamaged: tantivy failed on its own files.
        """
        check_k(k)
        searcher = self._searcher
        total = int(searcher.num_docs)
        terms = self._analyser.terms(query)
        if not terms or not total or not allowed.count:
            return []
        with _panic_is_damage(self._path):
            plan, limit = self._plan(terms, k, allowed, total)
            enough = limit + _TIE_DEPTH
            while True:
                hits = searcher.search(plan, limit, count=False).hits
                found = _visible(searcher, hits, allowed)
                exhausted = len(hits) < limit or limit >= total
                # Ties with the last one may lie beyond the limit: tantivy orders them by its own addresses.
                settled = len(found) >= k and (_rounded(hits[-1][0]) < found[k - 1][1] or limit > enough)
                if exhausted or settled:
                    found.sort(key=lambda hit: (-hit[1], hit[0]))
                    return found[:k]
                limit = min(total, limit * 4)

    def explain(self, query: str, rows: Sequence[int]) -> dict[int, list[TermWeight]]:
        """Row → the terms of ``query`` that it has, those that weigh most first; rows without any are left out.

        Raises:
            IndexDamaged: tantivy failed on its own files.
        """
        searcher = self._searcher
        terms = self._analyser.terms(query)
        if not terms:
            return {}
        found: dict[int, list[TermWeight]] = {}
        with _panic_is_damage(self._path):
            scored = self._any_of(terms)
            for row in rows:
                this = tantivy.Query.term_query(self._schema, "row", int(row))
                this = tantivy.Query.boolean_query([(tantivy.Occur.Must, this), (tantivy.Occur.Must, scored)])
                for _, address in searcher.search(this, 1, count=False).hits:
                    if weights := from_tantivy(scored.explain(searcher, address).to_json()):
                        found[row] = weights
        return found

    def close(self) -> None:
        """Waits for merges and gives back the lock on the folder. What was not committed is lost."""
        with self._lock:
            self._closed = True
            if self._writer is not None:
                self._writer.wait_merging_threads()
                self._writer = None

    def _plan(self, terms: Sequence[str], k: int, allowed: Allowed, total: int) -> tuple[tantivy.Query, int]:
        """The query, with the restriction that pays, and how many hits to ask for at first."""
        any_term = self._any_of(terms)
        share = allowed.count / total
        if share > _WIDE_SHARE:
            return any_term, min(total, int(k / share) + _SLACK)
        if allowed.count <= _FEW_ROWS:
            where = tantivy.Query.term_set_query(self._schema, "row", np.flatnonzero(allowed.rows).tolist())
        else:
            where = tantivy.Query.term_set_query(self._schema, "collection", list(allowed.collection_ids))
        # A constant score of 0: where a passage lies says nothing about how well it fits.
        restricted = tantivy.Query.boolean_query(
            [(tantivy.Occur.Must, any_term), (tantivy.Occur.Must, tantivy.Query.const_score_query(where, 0.0))]
        )
        return restricted, min(total, k + _SLACK)

    def _any_of(self, terms: Sequence[str]) -> tantivy.Query:
        return tantivy.Query.boolean_query(
            [(tantivy.Occur.Should, self._term(term, count)) for term, count in Counter(terms).items()]
        )

    def _term(self, term: str, count: int) -> tantivy.Query:
        query = tantivy.Query.term_query(self._schema, _TERMS, term, index_option="freq")
        return query if count == 1 else tantivy.Query.boost_query(query, float(count))

    def _commit(self) -> None:
        writer = self._open_writer()
        try:
            writer.commit()
        except (ValueError, OSError) as e:
            self._writer = None
            del writer  # a failed writer takes no more; its lock goes with it
            raise StorageFailed(f"the BM25 index at {self._path} could not be committed: {e}") from e
        self._see()

    def _see(self) -> None:
        self._index.reload()
        self._searcher = self._index.searcher()

    def _open_writer(self) -> tantivy.IndexWriter:
        if self._closed:
            raise NotReady(f"the BM25 index at {self._path} is closed")
        if self._writer is None:
            self._writer = self._new_writer()
        return self._writer

    def _new_writer(self) -> tantivy.IndexWriter:
        try:
            writer = self._index.writer(WRITER_MEMORY_BYTES, 1)
            # A commit that failed, or was killed, leaves files that the next one of the same number would stumble over.
            writer.garbage_collect_files()
            return writer
        except (ValueError, OSError) as e:
            raise StorageFailed(f"the BM25 index at {self._path} cannot be written: {e}") from e

    def _check_rows(self) -> int:
        """The largest row; checks that as many rows can be read as the index says it has."""
        claimed = int(self._searcher.num_docs)
        if not claimed:
            return -1
        every = tantivy.Query.range_query(self._schema, "row", tantivy.FieldType.Integer, lower_bound=0)
        found: Any = self._searcher.search(every, 1, count=True, order_by_field="row")
        if found.count != claimed:
            raise IndexDamaged(f"the BM25 index at {self._path} claims {claimed} passages and holds {found.count}")
        return int(found.hits[0][0])


def _rounded(score: float) -> float:
    return round(float(score), _SCORE_DIGITS)


def _visible(
    searcher: tantivy.Searcher, hits: Sequence[tuple[float, tantivy.DocAddress]], allowed: Allowed
) -> list[tuple[int, float]]:
    rows = np.array(searcher.fast_field_values("row", [address for _, address in hits]), dtype=np.int64)
    seen = rows < len(allowed.rows)
    seen[seen] = allowed.rows[rows[seen]]
    return [
        (row, _rounded(score)) for (score, _), row, ok in zip(hits, rows.tolist(), seen.tolist(), strict=True) if ok
    ]


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    # Integers, not unsigned: tantivy-py turns a Python int into a signed value, which kills the writer of a u64 field.
    builder.add_integer_field("row", indexed=True, fast=True)
    builder.add_integer_field("collection", indexed=True)
    builder.add_text_field(_TERMS, tokenizer_name="whitespace", index_option="freq")
    return builder.build()


def _open(path: Path | None, schema: tantivy.Schema) -> tantivy.Index:
    if path is None:
        return tantivy.Index(schema)
    try:
        path.mkdir(parents=True, exist_ok=True)
        fresh = not any(path.iterdir())
    except OSError as e:
        raise StorageFailed(f"the folder {path} of the BM25 index cannot be used: {e}") from e
    if not fresh:
        check_folder(path)
    try:
        return tantivy.Index(schema, str(path), reuse=True)
    except (ValueError, OSError) as e:
        if fresh:
            raise StorageFailed(f"the BM25 index cannot be made at {path}: {e}") from e
        raise IndexDamaged(
            f"the BM25 index at {path} cannot be opened ({e}): delete the folder to build it anew"
        ) from e


@contextmanager
def _panic_is_damage(path: Path | None) -> Iterator[None]:
    """Rust's panics arrive as a BaseException of a class that cannot be imported."""
    try:
        yield
    except BaseException as e:
        if type(e).__name__ == "PanicException":
            raise IndexDamaged(f"the BM25 index at {path} is damaged: {e}") from e
        raise
