"""Retrievers over one corpus that share its indexes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.settings import Settings
from core.types import Allowed, Chunk, Having, Principal, Vectors, Where
from retrieval.adhoc import build_adhoc, over
from retrieval.corpus_indexes import CorpusIndexes, RememberingTerms, RememberingVectors
from tests.support.hash_encoder import HashEncoder

CORPUS = [(f"d{i}", "", f"the {animal} lives in the {place}") for i, (animal, place) in enumerate(
    [("cat", "house"), ("dog", "yard"), ("owl", "wood"), ("fox", "wood"), ("carp", "pond")] * 4
)]  # fmt: skip
WHERE = Where(principal=Principal(user_id="u"))


class CountingTerms:
    def __init__(self) -> None:
        self.asked = 0

    def add(
        self,
        rows: Sequence[int],
        chunks: Sequence[Chunk],
        titles: Sequence[str],
        collection_ids: Sequence[int],
        languages: Sequence[str | None] | None = None,
    ) -> None: ...

    def remove(self, rows: Sequence[int]) -> None: ...

    def search(self, query: str, k: int, allowed: Allowed) -> list[tuple[int, float]]:
        self.asked += 1
        return [(len(query), float(k))]

    def narrowed(self, query: str, allowed: Allowed) -> Allowed:
        return allowed

    def having(self, query: str, rows: Sequence[int], allowed: Allowed) -> Having:
        return Having()


class CountingVectors:
    def __init__(self) -> None:
        self.asked = 0

    def add(self, rows: NDArray[np.int64], vectors: Vectors) -> None: ...

    def remove(self, rows: Sequence[int]) -> None: ...

    def search(self, queries: Vectors, k: int, allowed: Allowed) -> list[list[tuple[int, float]]]:
        self.asked += 1
        return [[(int(queries[0, 0]), float(k))]]


def allowed() -> Allowed:
    return Allowed(rows=np.ones(3, dtype=np.bool_), count=3, collection_ids=(1,))


def test_retrievers_over_shared_indexes_find_what_each_finds_over_its_own(tmp_path: Path) -> None:
    shared = CorpusIndexes(Settings(), CORPUS, HashEncoder(), tmp_path)
    for retriever in ("bm25", "tfidf", "dense", "hybrid", "late"):
        alone = build_adhoc(Settings(), CORPUS, HashEncoder(), tmp_path, retriever=retriever)
        together = over(shared, retriever=retriever)
        for query in ("an owl in the wood", "carp", "the dog"):
            assert together.search(query, 7, WHERE) == alone.search(query, 7, WHERE)
    assert over(shared, retriever="hybrid").dense is over(shared, retriever="dense").dense


def test_the_question_asked_last_is_not_searched_for_again() -> None:
    counting, everything = CountingTerms(), allowed()
    terms = RememberingTerms(counting)
    first = terms.search("owl", 5, everything)
    first.append((0, 0.0))  # the caller's own
    assert terms.search("owl", 5, everything) == [(3, 5.0)] and counting.asked == 1
    assert terms.search("owl", 6, everything) == [(3, 6.0)] and counting.asked == 2
    terms.search("owl", 6, allowed())  # other rows may be seen
    assert counting.asked == 3
    terms.search("fox", 6, everything)
    terms.forget()
    terms.search("fox", 6, everything)
    terms.remove([1])
    terms.search("fox", 6, everything)
    assert counting.asked == 6


def test_a_vector_asked_for_last_is_not_searched_for_again() -> None:
    counting, everything = CountingVectors(), allowed()
    vectors = RememberingVectors(counting)
    one, two = np.array([[1.0, 0.0]], dtype=np.float32), np.array([[2.0, 0.0]], dtype=np.float32)
    assert vectors.search(one, 5, everything) == vectors.search(one.copy(), 5, everything) == [[(1, 5.0)]]
    assert counting.asked == 1
    assert vectors.search(two, 5, everything) == [[(2, 5.0)]]
    vectors.forget()
    vectors.search(two, 5, everything)
    assert counting.asked == 3
