"""An index in memory that counts everything anew after a change, whatever the formula that scores it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.types import Allowed, Chunk, Having
from retrieval.sparse.passage import PassageReader
from retrieval.sparse.quoted import Asked, name_of, read_query
from retrieval.sparse.term_bag import Floats, TermBag, TermCounts, check_k
from retrieval.sparse.weights import TermWeight, had_whole, heaviest_first

Scorer = Callable[[Sequence[str]], Floats]
Idf = Callable[[TermCounts, str], float]


class CountedIndex:
    """A ``core.protocols.SparseIndex`` for small collections and comparisons. Thread-safe.

    Args:
        prepare: makes a scorer of one moment's counts; it is kept until something changes. The scorer takes the
            query's terms and returns one score for each passage, (n,).
        reader: makes terms and words of passages, and terms of queries.
        idf: how rare a term is, as the scorer counts it.
    """

    def __init__(self, prepare: Callable[[TermCounts], Scorer], reader: PassageReader | None, idf: Idf) -> None:
        self._prepare = prepare
        self._idf = idf
        self._bag = TermBag(PassageReader() if reader is None else reader)
        self._lock = threading.Lock()
        self._prepared: tuple[TermCounts, Scorer] | None = None

    def __len__(self) -> int:
        return len(self._bag)

    def add(
        self,
        rows: Sequence[int],
        chunks: Sequence[Chunk],
        titles: Sequence[str],
        collection_ids: Sequence[int],
        languages: Sequence[str | None] | None = None,
    ) -> None:
        """Adds passages; a row that is there already is replaced."""
        self._bag.add(rows, chunks, titles, collection_ids, languages)

    def remove(self, rows: Sequence[int]) -> None:
        """Removes rows; unknown ones are ignored."""
        self._bag.remove(rows)

    def commit(self) -> None:
        """Nothing to do: changes are visible already, and nothing is kept on disk."""

    def close(self) -> None:
        """Nothing to give back."""

    def search(self, query: str, k: int, allowed: Allowed) -> list[tuple[int, float]]:
        """The ``k`` allowed passages with the highest score; those that share no term with the query are left out.

        Quoted phrases and queries of nothing but identifiers are as in ``TantivyIndex.search``.

        Raises:
            InvalidRequest: ``k`` is less than 1.
        """
        check_k(k)
        counts, scorer = self._current()
        asked = read_query(query)
        terms = self._terms(query, counts, allowed)
        if asked.required:
            matched = np.logical_and.reduce([having for _, having, _ in _required(counts, asked)])
            scores = scorer(terms) if terms else np.full(counts.n, float(len(asked.required)))
            return counts.best(matched, scores, k, allowed)
        scores, matched = scorer(terms), counts.with_any(terms)
        if asked.first:
            tiers = _tiers(counts, asked)
            matched, scores = matched | (tiers > 0), scores + _worth(scores) * tiers
        return counts.best(matched, scores, k, allowed)

    def narrowed(self, query: str, allowed: Allowed) -> Allowed:
        """Those of ``allowed`` that have the quoted phrases that ``query`` consists of; ``allowed`` itself for other queries."""
        phrases = read_query(query).required
        if not phrases:
            return allowed
        counts = self._bag.counts()
        rows = np.zeros_like(allowed.rows)
        found = counts.rows[np.logical_and.reduce([counts.with_phrase(phrase) for phrase in phrases])]
        found = found[found < len(rows)]
        rows[found] = allowed.rows[found]
        return Allowed(rows=rows, count=int(np.count_nonzero(rows)), collection_ids=allowed.collection_ids)

    def having(self, query: str, rows: Sequence[int], allowed: Allowed) -> Having:
        """Which of ``rows`` have what ``search`` puts first."""
        asked = read_query(query)
        if not asked.first:
            return Having()
        counts, scorer = self._current()
        tiers = _tiers(counts, asked)
        here = np.flatnonzero(np.isin(counts.rows, np.array(rows, dtype=np.int64)) & (tiers > 0))
        return Having(
            dict(zip(counts.rows[here].tolist(), tiers[here].tolist(), strict=True)),
            _worth(scorer(self._terms(query, counts, allowed))),
        )

    def _terms(self, query: str, counts: TermCounts, allowed: Allowed) -> list[str]:
        keys = frozenset().union(*(counts.languages.get(c, frozenset()) for c in allowed.collection_ids))
        return self._bag.reader.analysers.query_terms(query, keys)

    def explain(self, query: str, rows: Sequence[int], allowed: Allowed) -> dict[int, list[TermWeight]]:
        """Row → what it has of ``query``, what weighs most first; see ``retrieval.sparse.weights``."""
        counts, scorer = self._current()
        asked, analysed = read_query(query), self._terms(query, counts, allowed)
        terms = Counter(t for t in analysed if t in counts.postings)
        found: dict[int, list[TermWeight]] = {row: [] for row in rows}
        wanted = np.array(sorted(rows), dtype=np.int64)
        for term, count in terms.items():
            positions, tf = counts.postings[term]
            here = np.isin(counts.rows[positions], wanted)
            scores = scorer([term] * count) * self._share(counts, terms, term)
            idf = self._idf(counts, term)
            for position, n in zip(positions[here].tolist(), tf[here].tolist(), strict=True):
                weight = TermWeight(term=term, idf=idf, tf=n, contribution=float(scores[position]))
                found[int(counts.rows[position])].append(weight)
        worth = _worth(scorer(analysed)) if asked.first else 0.0 if analysed else 1.0
        wished = _required(counts, asked) if asked.required else _wished(counts, asked)
        for name, having, share in wished if worth else ():
            for row in counts.rows[having & np.isin(counts.rows, wanted)].tolist():
                found[row].append(had_whole(name, share * worth))
        return {row: heaviest_first(weights) for row, weights in found.items() if weights}

    def _share(self, _counts: TermCounts, _terms: Mapping[str, int], _term: str) -> float:
        """What the score of ``_term`` asked for alone is multiplied by where all ``_terms`` are."""
        return 1.0

    def _current(self) -> tuple[TermCounts, Scorer]:
        counts = self._bag.counts()
        with self._lock:
            if self._prepared is None or self._prepared[0] is not counts:
                self._prepared = (counts, self._prepare(counts))
            return self._prepared


_Wish: TypeAlias = tuple[str, NDArray[np.bool_], float]  # name, (n,) who has it, weight


def _wished(counts: TermCounts, asked: Asked) -> Iterator[_Wish]:
    """What passages that come first have."""
    for phrase, weight in asked.wishes:
        yield name_of(phrase), counts.with_phrase(phrase), weight
    for term in asked.literal:
        yield name_of((term,)), counts.with_any([term]), 1.0


def _required(counts: TermCounts, asked: Asked) -> Iterator[_Wish]:
    """What all passages have that are found, and what each is worth where there is no term to score by."""
    for phrase in asked.required:
        yield name_of(phrase), counts.with_phrase(phrase), 1.0


def _tiers(counts: TermCounts, asked: Asked) -> Floats:
    """(n,) the sum of the weights of what each passage has whole."""
    tiers = np.zeros(counts.n)
    for _, having, weight in _wished(counts, asked):
        tiers += weight * having
    return tiers


def _worth(scores: Floats) -> float:
    """What having something of weight 1 adds: as much as any passage gets for its terms."""
    return float(scores.max(initial=0.0)) or 1.0
