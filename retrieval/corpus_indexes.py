"""The indexes of a corpus that nobody keeps, each made when it is first asked for, and one for all retrievers over it.

Of the question that was asked last, what an index found is remembered: retrievers that are measured side by side share
it. Knows nothing of how lists are fused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest
from core.ids import chunk_id
from core.protocols import DenseIndex, Encoder, LateIndex, SparseIndex
from core.settings import Settings
from core.types import Allowed, Chunk, Having, Vectors
from retrieval.dense.auto import AutoIndex
from retrieval.dense.hnsw import HnswIndex
from retrieval.late.cached import late_index_cached
from retrieval.late.cached_tokens import both_cached
from retrieval.late.packed import Packed
from retrieval.sparse_kinds import SparseKind, SparseOptions, new_sparse
from retrieval.vector_cache import encode_cached

T = TypeVar("T")

_COLLECTION_ID = 1
_TOKENS_OF = 100_000  # passages: of more they are not kept, which would take more than a gigabyte or two of memory


class CorpusIndexes:
    """A corpus and its indexes; row i is passage i. Searches are thread-safe, making an index is not.

    Args:
        corpus: (id, title, text) of each passage; title and text are searched together.
        encoder: used only where vectors are searched.
        cache_dir: keeps encoded vectors for the next run.
        language: what the passages are in, as an ISO 639-1 code; None reads them as English.
        tokens: whether token vectors will be wanted, which then come from one pass with the vectors.
        report: told (passages encoded, all).

    Raises:
        InvalidRequest: two passages with one id.
    """

    def __init__(
        self,
        settings: Settings,
        corpus: Iterable[tuple[str, str, str]],
        encoder: Encoder,
        cache_dir: Path,
        *,
        language: str | None = None,
        tokens: bool = False,
        report: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self.settings = settings
        self.encoder = encoder
        self.row_of: dict[str, int] = {}
        titles, chunks = [], []
        for row, (doc_id, title, text) in enumerate(corpus):
            if self.row_of.setdefault(doc_id, row) != row:
                raise InvalidRequest(f"the corpus has the id {doc_id!r} twice: ids must differ")
            titles.append(title)
            chunks.append(_passage(doc_id, title, text))
        self.chunks: Sequence[Chunk] = chunks
        self.titles: Sequence[str] = titles
        self.everything = allow(np.ones(len(chunks), dtype=np.bool_))
        self._texts = [c.text for c in chunks]
        self._cache_dir = cache_dir
        self._language = language
        self._wants_tokens = tokens
        self._report = report
        self._terms: dict[SparseKind, RememberingTerms] = {}
        self._nearest: dict[bool, RememberingVectors] = {}  # by whether it has a graph
        self._late: LateIndex | None = None
        self._vectors: Vectors | None = None
        self._tokens: Sequence[Packed] | None = None

    def terms(self, kind: SparseKind) -> SparseIndex:
        """The term index of this kind."""
        if kind not in self._terms:
            index = new_sparse(kind, SparseOptions.of(self.settings))
            # The title is in the text already; given twice it would count twice.
            bodies = [
                replace(c, text=c.text[len(t) + 1 :]) if t else c for c, t in zip(self.chunks, self.titles, strict=True)
            ]
            n = len(self.chunks)
            index.add(range(n), bodies, self.titles, [_COLLECTION_ID] * n, [self._language] * n)
            index.commit()
            self._terms[kind] = RememberingTerms(index)
        return self._terms[kind]

    def nearest(self, choice: Literal["auto", "exact", "hnsw"]) -> DenseIndex:
        """The vector index; "auto" has a graph from as many passages on as the settings say."""
        n = len(self.chunks)
        graphed = bool(n) and (choice == "hnsw" or (choice == "auto" and n >= self.settings.dense_hnsw_from))
        if graphed not in self._nearest:
            index = AutoIndex(self.encoder.dim)
            index.add(np.arange(n, dtype=np.int64), self.vectors())
            if graphed:
                graph = HnswIndex(self.encoder.dim)
                graph.build(index.parts())
                index.adopt(graph)
            self._nearest[graphed] = RememberingVectors(index)
        return self._nearest[graphed]

    def late(self) -> LateIndex | None:
        """The index of token vectors; None where there is no passage."""
        if self._late is None:
            self._late = late_index_cached(self.encoder, self._texts, self._cache_dir, self._report, self.tokens())
        return self._late

    def vectors(self) -> Vectors:
        """(n, dim)"""
        if self._vectors is None:
            if self._wants_tokens:
                self.tokens()
            if self._vectors is None:
                self._vectors = encode_cached(self.encoder, self._texts, self._cache_dir, self._report)
        return self._vectors

    def tokens(self) -> Sequence[Packed]:
        """Token vectors of each passage; of a large corpus, and of none, nothing."""
        if self._tokens is None:
            self._tokens = ()
            if 0 < len(self._texts) <= _TOKENS_OF:
                self._vectors, self._tokens = both_cached(self.encoder, self._texts, self._cache_dir, self._report)
        return self._tokens

    def forget(self) -> None:
        """Takes the next question as if none had been asked before, so that it can be timed."""
        for terms in self._terms.values():
            terms.forget()
        for vectors in self._nearest.values():
            vectors.forget()


class _Last(Generic[T]):
    """The answer to the question asked last. Thread-safe: what is kept is one tuple."""

    def __init__(self) -> None:
        self._kept: tuple[object, int, Allowed, T] | None = None

    def __call__(self, asked: object, k: int, allowed: Allowed, search: Callable[[], T]) -> T:
        kept = self._kept
        if kept is not None and kept[0] == asked and kept[1] == k and kept[2] is allowed:
            return kept[3]
        found = search()
        self._kept = (asked, k, allowed, found)
        return found

    def forget(self) -> None:
        self._kept = None


class RememberingTerms:
    """A ``core.protocols.SparseIndex`` that knows what it found last."""

    def __init__(self, inner: SparseIndex) -> None:
        self._inner = inner
        self._last = _Last[list[tuple[int, float]]]()

    def add(
        self,
        rows: Sequence[int],
        chunks: Sequence[Chunk],
        titles: Sequence[str],
        collection_ids: Sequence[int],
        languages: Sequence[str | None] | None = None,
    ) -> None:
        self._inner.add(rows, chunks, titles, collection_ids, languages)
        self.forget()

    def remove(self, rows: Sequence[int]) -> None:
        self._inner.remove(rows)
        self.forget()

    def search(self, query: str, k: int, allowed: Allowed) -> list[tuple[int, float]]:
        return list(self._last(query, k, allowed, lambda: self._inner.search(query, k, allowed)))

    def narrowed(self, query: str, allowed: Allowed) -> Allowed:
        return self._inner.narrowed(query, allowed)

    def having(self, query: str, rows: Sequence[int], allowed: Allowed) -> Having:
        return self._inner.having(query, rows, allowed)

    def forget(self) -> None:
        self._last.forget()


class RememberingVectors:
    """A ``core.protocols.DenseIndex`` that knows what it found last."""

    def __init__(self, inner: DenseIndex) -> None:
        self._inner = inner
        self._last = _Last[list[list[tuple[int, float]]]]()

    def add(self, rows: NDArray[np.int64], vectors: Vectors) -> None:
        self._inner.add(rows, vectors)
        self.forget()

    def remove(self, rows: Sequence[int]) -> None:
        self._inner.remove(rows)
        self.forget()

    def search(self, queries: Vectors, k: int, allowed: Allowed) -> list[list[tuple[int, float]]]:
        asked = (queries.shape, queries.tobytes())
        found = self._last(asked, k, allowed, lambda: self._inner.search(queries, k, allowed))
        return [list(of_one) for of_one in found]

    def forget(self) -> None:
        self._last.forget()


def allow(rows: NDArray[np.bool_]) -> Allowed:
    """These rows of the corpus."""
    return Allowed(rows=rows, count=int(np.count_nonzero(rows)), collection_ids=(_COLLECTION_ID,))


def _passage(doc_id: str, title: str, text: str) -> Chunk:
    whole = f"{title}\n{text}" if title else text
    return Chunk(
        chunk_id=chunk_id(doc_id, "", "whole", 0, len(whole), "whole"),
        doc_id=doc_id,
        text=whole,
        start=0,
        end=len(whole),
        n_tokens=0,
    )
