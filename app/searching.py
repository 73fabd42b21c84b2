"""One search as the API offers it: retrievers put together as asked for, highlights, explanation, and the cache before all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from agents.query_side import SearchPlan
from core.protocols import Encoder, Retriever
from core.settings import Settings
from core.types import Hit, Where
from core.wording import plural
from retrieval.diversity import DiverseRetriever, stored_vectors
from retrieval.engine import SearchEngine
from retrieval.explain import Explained, explain, stages_of
from retrieval.filters import check_filters
from retrieval.highlight import Highlighter, Span
from retrieval.query_cache import CacheCounts, QueryCache, SearchState
from retrieval.rerank.mixing import MixingReranker
from retrieval.rerank.retriever import RerankingRetriever
from retrieval.search_record import SearchRecord, Stage
from retrieval.sparse.analyse import Analyser
from retrieval.sparse_kinds import SparseName


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchChoices:
    """How to search; None is as the settings say."""

    retriever: str | None = None
    sparse: SparseName | None = None
    dense: Literal["auto", "exact", "hnsw"] | None = None
    fusion: Literal["convex", "rrf"] | None = None
    collapse_duplicates: bool | None = None
    max_per_document: int | None = None
    mmr_lambda: float | None = None
    highlight: Literal["off", "words", "tokens"] | None = None
    explain: bool = False
    plan: SearchPlan | None = None  # what a language model made of the query: never twice the same, so not cached


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """``highlights`` are one per hit, into the stored text of its document; ``seconds`` are those of the search alone."""

    hits: tuple[Hit, ...]
    highlights: tuple[Span | None, ...]
    explained: Explained | None
    seconds: float
    notes: tuple[str, ...] = ()  # what was not done as asked for, and why
    stages: tuple[Stage, ...] = ()  # where it was explained, or spans are made of it


class Searching:
    """What all searches of a server share: the cache, and the analyser that cuts texts for highlights. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cache = QueryCache[Found](settings.query_cache_passages)
        self._analyser = Analyser()

    def search(
        self,
        engine: SearchEngine,
        query: str,
        k: int,
        where: Where,
        choices: SearchChoices,
        reranker: MixingReranker | None = None,
    ) -> tuple[Found, bool]:
        """What is found, and whether it was known from before.

        Raises:
            InvalidRequest: an empty query, ``k`` out of bounds, a field or value that cannot be filtered by.
            NotFound: a named collection that this principal cannot see.
            NotReady: the index that this retriever lives on is being rebuilt.
        """
        check_filters(where.filters)
        search = _Search(self._settings, engine, choices, self._analyser, reranker)
        if choices.plan is not None:
            return search.run(query, k, where), False
        filters = tuple(sorted((field, tuple(values)) for field, values in where.filters.items()))
        asked = (query, k, where.principal, where.collections, filters, search.key())
        state: Callable[[], SearchState | None] = lambda: engine.search_state(where)  # noqa: E731
        return self._cache.find(asked, state, lambda: search.run(query, k, where), lambda found: len(found.hits))

    def counts(self) -> CacheCounts:
        return self._cache.counts()

    def forget(self) -> None:
        """Holds no text of before any more."""
        self._cache.clear()


class _Search:
    def __init__(
        self,
        settings: Settings,
        engine: SearchEngine,
        choices: SearchChoices,
        analyser: Analyser,
        reranker: MixingReranker | None,
    ) -> None:
        self._engine = engine
        self._plan = choices.plan
        self._reranker = reranker
        self._notes: list[str] = []
        self._rerank_depth = settings.rerank_depth
        self._explain = choices.explain
        self._highlight = choices.highlight or settings.highlight
        self._mmr_lambda = settings.mmr_lambda if choices.mmr_lambda is None else choices.mmr_lambda
        most = choices.max_per_document
        self._max_per_document = settings.max_per_document if most is None else most
        self._analyser = analyser
        self._record = SearchRecord() if choices.explain or settings.otlp_endpoint else None
        self._base = engine.retriever(
            choices.retriever,
            sparse=choices.sparse,
            dense=choices.dense,
            fusion=choices.fusion,
            collapse=choices.collapse_duplicates,
            record=self._record,
        )

    def key(self) -> tuple[object, ...]:
        """Everything beside query, person and documents that the answer depends on."""
        base = self._base
        spread = (self._mmr_lambda, self._max_per_document)
        reranked = None if self._reranker is None else (self._reranker.most_unread,)
        how = (base.ranking, base.own_weights, base.sparse, base.dense, base.collapse, reranked)
        return (*how, *spread, self._highlight, self._explain)

    def run(self, query: str, k: int, where: Where) -> Found:
        encoder: Encoder = self._engine.encoder
        began = time.perf_counter()
        hits = self._retriever().search(query, k, where)
        seconds = time.perf_counter() - began
        self._say_what_was_left_out(where)
        spans = Highlighter(analyser=self._analyser, encoder=encoder).spans(query, hits, self._highlight)
        explained: Explained | None = None
        stages: tuple[Stage, ...] = ()
        if self._record is not None:
            stages = stages_of(hits, self._base, self._record, seconds)
        if self._record is not None and self._explain:
            explained = explain(query, hits, where, self._base, self._record, encoder, seconds)
        return Found(
            hits=tuple(hits),
            highlights=tuple(spans),
            explained=explained,
            seconds=seconds,
            notes=tuple(self._notes),
            stages=stages,
        )

    def _say_what_was_left_out(self, where: Where) -> None:
        """Passages that vectors did not reach: of hybrid search the half is missing, and nobody would know."""
        name = self._base.ranking.name
        lacking = self._engine.without_vectors(where) if name in ("dense", "hybrid") else 0
        if lacking:
            were, their = ("was", "its") if lacking == 1 else ("were", "their")
            how = "not searched" if name == "dense" else f"searched by {their} words alone"
            self._notes.append(
                f"{plural(lacking, 'passage')} {were} {how}: another encoder than the one in use made {their} vectors. "
                "`openbook reindex COLLECTION` makes them anew"
            )

    def _retriever(self) -> Retriever:
        """Innermost first: the indexes' ranking; what else is looked for; what reranks; what spreads."""
        ranked: Retriever = self._base if self._plan is None else self._plan.around(self._base)
        if self._reranker is not None:
            ranked = RerankingRetriever(
                ranked, self._reranker, self._rerank_depth, self._notes.append, record=self._record
            )
        if self._mmr_lambda >= 1.0 and not self._max_per_document:
            return ranked
        return DiverseRetriever(
            inner=ranked,
            mmr_lambda=self._mmr_lambda,
            max_per_document=self._max_per_document,
            vectors=stored_vectors(self._engine.store),
            record=self._record,
        )
