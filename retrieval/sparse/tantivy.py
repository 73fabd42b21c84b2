"""BM25 over tantivy: additions in milliseconds, on disk or in memory.

Text is analysed by ``retrieval.sparse.analyse`` and given to tantivy as terms, so that this engine and the reference
scorer differ in arithmetic alone: tantivy's k1 = 1.2 and b = 0.75 are fixed, passage lengths are quantised to one byte,
removed passages count in the statistics until their segment is merged, and the factor (k1 + 1) = 2.2 is in the score.

Beside the terms it holds the words with their positions, for quoted phrases, identifiers found whole and words that are
spelt alike; they have no part in BM25.

The index is a cache: it holds rows, terms and words, and can be made again from the database at any time. It knows
nothing about documents, people or change numbers; who may see a row is told by ``Allowed``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tantivy
from numpy.typing import ArrayLike, NDArray

from core.errors import IndexDamaged, NotReady, StorageFailed
from core.types import Allowed, Chunk, Having
from retrieval.sparse.languages import KEYS, LanguageKey, language_key
from retrieval.sparse.passage import PassageReader
from retrieval.sparse.quoted import read_query
from retrieval.sparse.tantivy_files import open_folder, panic_is_damage
from retrieval.sparse.tantivy_query import (
    KEY_ROOM,
    LANGUAGE,
    TERMS,
    WORDS,
    had,
    most,
    phrase_query,
    required,
    schema,
    scored,
    wishes,
)
from retrieval.sparse.term_bag import check_k
from retrieval.sparse.weights import TermWeight, from_tantivy, had_whole, heaviest_first

# Terms wait in memory up to this size before they become a segment, and a search goes through one segment after the other:
# over 100,000 passages in seven of them it took half as long again as in two. See docs/decisions/0261.
WRITER_MEMORY_BYTES = 100_000_000

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
        reader: makes terms and words of passages, and terms of queries.

    Raises:
        IndexDamaged: the folder holds something that is not a sound index of these terms.
        StorageFailed: the folder cannot be written, or another process writes to it.
    """

    def __init__(self, path: Path | None, reader: PassageReader | None = None) -> None:
        self._path = path
        self._reader = PassageReader() if reader is None else reader
        self._languages: tuple[tantivy.Searcher | None, dict[int, frozenset[LanguageKey]]] = (None, {})
        self._schema = schema()
        self._lock = threading.Lock()
        self._closed = False
        with panic_is_damage(path):
            self._index = open_folder(path, self._schema)
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
        self,
        rows: Sequence[int],
        chunks: Sequence[Chunk],
        titles: Sequence[str],
        collection_ids: Sequence[int],
        languages: Sequence[str | None] | None = None,
    ) -> None:
        """Buffers passages; a row that is there already is replaced."""
        known = [None] * len(chunks) if languages is None else languages
        passages = self._reader.read_all(chunks, titles, known)
        documents = []
        for row, passage, collection_id, language in zip(rows, passages, collection_ids, known, strict=True):
            document = tantivy.Document()
            document.add_integer("row", int(row))
            document.add_integer("collection", int(collection_id))
            key = KEYS.index(language_key(language))
            document.add_integer(LANGUAGE, key)
            document.add_integer(LANGUAGE, int(collection_id) * KEY_ROOM + key)
            document.add_text(TERMS, " ".join(passage.terms))
            document.add_text(WORDS, passage.words)
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

        The query is free text but for quoted phrases and identifiers (``retrieval.sparse.quoted``): a query that is a
        phrase finds that alone; else, having one whole is worth more than all terms together can give.

        Raises:
            InvalidRequest: ``k`` is less than 1.
            IndexDamaged: tantivy failed on its own files.
        """
        check_k(k)
        searcher = self._searcher
        if not int(searcher.num_docs) or not allowed.count:
            return []
        asked = read_query(query)
        with panic_is_damage(self._path):
            terms = self._reader.analysers.query_terms(query, self._languages_of(searcher, allowed))
            if not terms and not asked.phrases:
                return []
            return self._best(searcher, scored(searcher, self._schema, terms, asked), k, allowed)

    def narrowed(self, query: str, allowed: Allowed) -> Allowed:
        """Those of ``allowed`` that have the quoted phrases that ``query`` consists of; ``allowed`` itself for other queries.

        Raises:
            IndexDamaged: tantivy failed on its own files.
        """
        asked, searcher = read_query(query), self._searcher
        if not asked.required:
            return allowed
        rows = np.zeros_like(allowed.rows)
        if int(searcher.num_docs) and allowed.count:
            with panic_is_damage(self._path):
                every = self._best(searcher, scored(searcher, self._schema, (), asked), int(searcher.num_docs), allowed)
            rows[[row for row, _ in every]] = True
        return Allowed(rows=rows, count=int(np.count_nonzero(rows)), collection_ids=allowed.collection_ids)

    def having(self, query: str, rows: Sequence[int], allowed: Allowed) -> Having:
        """Which of ``rows`` have what ``search`` puts first.

        Raises:
            IndexDamaged: tantivy failed on its own files.
        """
        asked, searcher = read_query(query), self._searcher
        if not asked.first or not rows or not int(searcher.num_docs):
            return Having()
        with panic_is_damage(self._path):
            terms = self._reader.analysers.query_terms(query, self._languages_of(searcher, allowed))
            hits = searcher.search(had(self._schema, wishes(self._schema, asked), rows), len(rows), count=False).hits
            numbers, tiers = _visible(searcher, hits, allowed)
            return Having(dict(zip(numbers.tolist(), tiers.tolist(), strict=True)), most(searcher, terms))

    def finds(self, query: str, allowed: Allowed) -> bool | None:
        """Whether ``search`` would find anything; None where there is nothing to look for, as with stop words."""
        searcher, phrases = self._searcher, read_query(query).phrases
        with panic_is_damage(self._path):
            terms = self._reader.analysers.query_terms(query, self._languages_of(searcher, allowed))
            there = [term for term in terms if searcher.doc_freq(TERMS, term)]  # quick, and mostly that is all
        if not terms and not phrases:
            return None
        return bool((there or phrases) and self.search(query, 1, allowed))

    def among_words(self, words: Iterable[str]) -> list[str]:
        """Those of ``words`` that are in the dictionary, which is everybody's: ask ``passages_with`` before showing one."""
        searcher = self._searcher
        with panic_is_damage(self._path):
            return [word for word in words if searcher.doc_freq(WORDS, word)]

    def passages_with(self, word: str, allowed: Allowed, at_most: int) -> int:
        """How many allowed passages have this word (in the form of ``words_of``), counted up to ``at_most``."""
        query, searcher = phrase_query(self._schema, (word,)), self._searcher
        with panic_is_damage(self._path):
            everywhere = int(searcher.doc_freq(WORDS, word))
            if not everywhere:
                return 0
            if everywhere <= _FEW_ROWS:  # to look at them all is quicker than to restrict the query
                hits = searcher.search(query, everywhere, count=False).hits
                return min(at_most, len(_visible(searcher, hits, allowed)[0]))
            return len(self._some(tantivy.Query.const_score_query(query, 1.0), at_most, allowed))

    def spelt_alike(self, word: str, distance: int, allowed: Allowed, at_most: int) -> list[int]:
        """Some allowed rows with a word at most ``distance`` (1 or 2) letters added, lost, changed or swapped away."""
        query = tantivy.Query.fuzzy_term_query(self._schema, WORDS, word, distance, True, False)
        with panic_is_damage(self._path):
            return self._some(query, at_most, allowed)

    def _some(self, query: tantivy.Query, at_most: int, allowed: Allowed) -> list[int]:
        """Visible rows that match, in no particular order."""
        searcher = self._searcher
        total = int(searcher.num_docs)
        if not total or not allowed.count:
            return []
        plan, limit = self._plan(query, at_most, allowed, total)
        while True:
            hits = searcher.search(plan, limit, count=False).hits
            found, _ = _visible(searcher, hits, allowed)
            if len(found) >= at_most or len(hits) < limit or limit >= total:
                return [int(row) for row in found[:at_most]]
            limit = min(total, limit * 4)

    def _best(
        self, searcher: tantivy.Searcher, query: tantivy.Query, k: int, allowed: Allowed
    ) -> list[tuple[int, float]]:
        """The best ``k`` visible rows; ties by smaller row, as far as ``_TIE_DEPTH`` goes."""
        total = int(searcher.num_docs)
        if not total or not allowed.count:
            return []
        plan, limit = self._plan(query, k, allowed, total)
        enough = limit + _TIE_DEPTH
        while True:
            hits = searcher.search(plan, limit, count=False).hits
            rows, scores = _visible(searcher, hits, allowed)
            exhausted = len(hits) < limit or limit >= total
            # Ties with the last one may lie beyond the limit: tantivy orders them by its own addresses.
            settled = len(rows) >= k and (_rounded(hits[-1][0]) < scores[k - 1] or limit > enough)
            if exhausted or settled:
                best = np.lexsort((rows, -scores))[:k]
                return list(zip(rows[best].tolist(), scores[best].tolist(), strict=True))
            limit = min(total, limit * 4)

    def explain(self, query: str, rows: Sequence[int], allowed: Allowed) -> dict[int, list[TermWeight]]:
        """Row → what it has of ``query``, what weighs most first; see ``retrieval.sparse.weights``.

        Raises:
            IndexDamaged: tantivy failed on its own files.
        """
        searcher, asked = self._searcher, read_query(query)
        found: dict[int, list[TermWeight]] = {}
        with panic_is_damage(self._path):
            terms = self._reader.analysers.query_terms(query, self._languages_of(searcher, allowed))
            if not terms and not asked.phrases:
                return {}
            for wish in wishes(self._schema, asked) or ([] if terms else required(self._schema, asked)):
                gives = wish.weight * (most(searcher, terms) if asked.first else 1.0)
                hits = searcher.search(had(self._schema, [wish], rows), len(rows), count=False).hits
                for row in _visible(searcher, hits, allowed)[0].tolist():
                    found.setdefault(row, []).append(had_whole(wish.name, gives))
            whole = scored(searcher, self._schema, terms, asked)
            for row in rows:
                this = tantivy.Query.term_query(self._schema, "row", int(row))
                this = tantivy.Query.boolean_query([(tantivy.Occur.Must, this), (tantivy.Occur.Must, whole)])
                for _, address in searcher.search(this, 1, count=False).hits:
                    if weights := from_tantivy(whole.explain(searcher, address).to_json()):
                        found.setdefault(row, []).extend(weights)
        return {row: heaviest_first(weights) for row, weights in found.items()}

    def close(self) -> None:
        """Waits for merges and gives back the lock on the folder. What was not committed is lost."""
        with self._lock:
            self._closed = True
            if self._writer is not None:
                self._writer.wait_merging_threads()
                self._writer = None

    def _plan(self, query: tantivy.Query, k: int, allowed: Allowed, total: int) -> tuple[tantivy.Query, int]:
        """The query, with the restriction that pays, and how many hits to ask for at first."""
        share = allowed.count / total
        if share > _WIDE_SHARE:
            return query, min(total, int(k / share) + _SLACK)
        if allowed.count <= _FEW_ROWS:
            where = tantivy.Query.term_set_query(self._schema, "row", np.flatnonzero(allowed.rows).tolist())
        else:
            where = tantivy.Query.term_set_query(self._schema, "collection", list(allowed.collection_ids))
        # A constant score of 0: where a passage lies says nothing about how well it fits.
        restricted = tantivy.Query.boolean_query(
            [(tantivy.Occur.Must, query), (tantivy.Occur.Must, tantivy.Query.const_score_query(where, 0.0))]
        )
        return restricted, min(total, k + _SLACK)

    def _languages_of(self, searcher: tantivy.Searcher, allowed: Allowed) -> frozenset[LanguageKey]:
        """The languages in the collections that are searched; in tantivy's dictionary, so it costs microseconds."""
        present, known = self._present(searcher)
        if len(present) == 1:
            return present
        found: set[LanguageKey] = set()
        for collection_id in allowed.collection_ids:
            if collection_id not in known:
                known[collection_id] = _held(searcher, collection_id, present)
            found |= known[collection_id]
        return frozenset(found)

    def _present(self, searcher: tantivy.Searcher) -> tuple[frozenset[LanguageKey], dict[int, frozenset[LanguageKey]]]:
        """The languages of all passages, and what is known of single collections."""
        of, known = self._languages
        if of is not searcher:
            known = {}
            self._languages = (searcher, known)
        if 0 not in known:
            known[0] = _held(searcher, 0, KEYS)
        return known[0], known

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


def _held(searcher: tantivy.Searcher, collection_id: int, among: Iterable[LanguageKey]) -> frozenset[LanguageKey]:
    return frozenset(key for key in among if searcher.doc_freq(LANGUAGE, collection_id * KEY_ROOM + KEYS.index(key)))


def _rounded(scores: ArrayLike) -> NDArray[np.float64]:
    rounded: NDArray[np.float64] = np.asarray(scores, dtype=np.float64).round(_SCORE_DIGITS)
    return rounded


def _visible(
    searcher: tantivy.Searcher, hits: Sequence[tuple[float, tantivy.DocAddress]], allowed: Allowed
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The rows of the hits that may be seen, and their scores, in tantivy's order."""
    rows = np.array(searcher.fast_field_values("row", [address for _, address in hits]), dtype=np.int64)
    seen = rows < len(allowed.rows)
    seen[seen] = allowed.rows[rows[seen]]
    return rows[seen], _rounded([score for score, _ in hits])[seen]
