"""Runs a retriever over a benchmark and scores what it found.

Knows nothing of how a retriever is made: it is handed a factory by the wiring, and asks with the identity it is given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from core.errors import InvalidRequest, OpenbookError
from core.protocols import Retriever
from core.settings import Settings
from core.types import LOCAL_USER_ID, Hit, Principal, Where
from eval.datasets import Corpus, RetrievalDataset
from eval.metrics.ranking import PerQuery, evaluate_run, mean_over_queries, parse_metric, trec_order
from eval.progress import Progress, silent

Build: TypeAlias = Callable[[Settings, Corpus], Retriever]

# Always reported, whatever k is.
STANDARD_METRICS = ("ndcg@10", "mrr@10", "recall@10", "recall@100", "map", "hits@4")
# How many passages are asked for: MAP is over what is retrieved to this depth, as is the custom of TREC.
DEPTH = 1000
# How many questions are timed. People ask for k passages, not for a thousand, so the time is taken of a search of its
# own: on SciFact 37 ms to depth 1000 stand against 0.5 ms to depth 10.
TIMED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalResult:
    """What a retriever scored. ``run`` is kept apart from the JSON: it is what a TREC run file holds."""

    dataset: str
    split: str
    dataset_sha256: str
    retriever: str
    k: int
    depth: int
    n_queries: int
    n_documents: int
    judged_not_in_corpus: int
    metrics: Mapping[str, float]
    unjudged: float  # share of the first k that nobody judged, mean over questions
    seconds_per_query: float  # mean wall time of a search for ``k`` passages
    seconds_per_query_p95: float
    n_timed: int
    index_seconds: float  # wall time of the factory: encoding and indexing the corpus
    settings_hash: str
    options: Mapping[str, Any]
    per_query: PerQuery
    run: Mapping[str, Mapping[str, float]] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """The document of `eval retrieval --json`, which `eval compare` reads back."""
        return {
            "kind": "retrieval",
            "dataset": self.dataset,
            "split": self.split,
            "retriever": self.retriever,
            "options": dict(self.options),
            "k": self.k,
            "depth": self.depth,
            "n_queries": self.n_queries,
            "n_documents": self.n_documents,
            "judged_not_in_corpus": self.judged_not_in_corpus,
            "metrics": dict(self.metrics),
            f"unjudged@{self.k}": self.unjudged,
            "seconds_per_query": self.seconds_per_query,
            "seconds_per_query_p95": self.seconds_per_query_p95,
            "n_timed": self.n_timed,
            "index_seconds": self.index_seconds,
            "settings_hash": self.settings_hash,
            "dataset_sha256": self.dataset_sha256,
            "per_query": self.per_query,
        }


def metric_names(k: int) -> tuple[str, ...]:
    """The standard metrics, and those at ``k`` where k is another cutoff."""
    extra = (f"ndcg@{k}", f"mrr@{k}", f"recall@{k}", f"hits@{k}") if k != 10 else ()
    return tuple(dict.fromkeys((*STANDARD_METRICS, *extra)))


def check_metrics(names: Sequence[str]) -> tuple[str, ...]:
    """``names`` as results spell them, before anything is computed.

    Raises:
        InvalidRequest: an unknown metric, or a cutoff beyond what is looked for.
    """
    found = [parse_metric(name) for name in names]
    for name, metric in zip(names, found, strict=True):
        if metric.k is not None and metric.k > DEPTH:
            raise InvalidRequest(
                f"metric {name!r}: {DEPTH:,} documents are looked for, so no cutoff is beyond that", code="usage"
            )
    return tuple(metric.name for metric in found)


def run_retrieval(
    dataset: RetrievalDataset,
    build: Build,
    settings: Settings,
    *,
    retriever_name: str,
    k: int = 10,
    options: Mapping[str, Any] | None = None,
    extra_metrics: Sequence[str] = (),
    where: Where | None = None,
    progress: Progress = silent,
) -> RetrievalResult:
    """Builds the retriever over the corpus, asks every judged question, scores what it finds.

    Up to ``TIMED`` questions, evenly spread, are first asked for ``k`` passages against the clock.

    Args:
        dataset: from ``eval.datasets.load_beir``.
        build: makes a retriever whose hits carry the corpus id in ``hit.chunk.doc_id``; of several passages of one
            document the best one counts.
        settings: handed to ``build``; their digest is kept in the result.
        retriever_name: how the result names what was measured.
        k: the main cutoff; the metrics of ``STANDARD_METRICS`` are there in any case.
        options: what else distinguishes this run, kept in the result.
        extra_metrics: further names as in "precision@5".
        where: who asks, and in which collections; by default the local user, everywhere.
        progress: called with ("indexing", 0 | 1, 1), then ("searching", done, n_queries).

    Raises:
        InvalidRequest: k below 1 or an unknown metric.
        OpenbookError: the retriever broke its contract: scores rise with the rank.
    """
    if k < 1:
        raise InvalidRequest(f"k is {k}: it must be 1 or more", code="usage")
    metrics = [parse_metric(name) for name in dict.fromkeys((*metric_names(k), *extra_metrics))]
    where = where or Where(principal=Principal(user_id=LOCAL_USER_ID))
    depth = max(DEPTH, k)

    progress("indexing", 0, 1)
    started = time.perf_counter()
    retriever = build(settings, dataset.corpus)
    index_seconds = time.perf_counter() - started
    progress("indexing", 1, 1)

    run: dict[str, dict[str, float]] = {}
    seconds: list[float] = []
    timed_every = -(-len(dataset.queries) // TIMED)
    for done, (query_id, text) in enumerate(dataset.queries.items()):
        progress("searching", done, len(dataset.queries))
        if done % timed_every == 0:  # before the deep search, which would warm the caches
            started = time.perf_counter()
            retriever.search(text, k, where)
            seconds.append(time.perf_counter() - started)
        run[query_id] = document_scores(query_id, retriever.search(text, depth, where))
    progress("searching", len(dataset.queries), len(dataset.queries))

    per_query = evaluate_run(run, dataset.qrels, metrics)
    return RetrievalResult(
        dataset=dataset.name,
        split=dataset.split,
        dataset_sha256=dataset.sha256,
        retriever=retriever_name,
        k=k,
        depth=depth,
        n_queries=len(dataset.queries),
        n_documents=dataset.n_documents,
        judged_not_in_corpus=dataset.judged_not_in_corpus,
        metrics=mean_over_queries(per_query),
        unjudged=_unjudged(run, dataset.qrels, k),
        seconds_per_query=float(np.mean(seconds)),
        seconds_per_query_p95=float(np.percentile(seconds, 95)),
        n_timed=len(seconds),
        index_seconds=index_seconds,
        settings_hash=settings.digest(),
        options=dict(options or {}),
        per_query=per_query,
        run=run,
    )


def document_scores(query_id: str, hits: Sequence[Hit]) -> dict[str, float]:
    """Scores by corpus id, the best passage of each document standing for it.

    Raises:
        OpenbookError: a score rises with the rank. Evaluation orders by score, as trec_eval does, so it would
            measure another order than the one that people see.
    """
    if not hits:
        return {}
    values = np.fromiter((hit.score for hit in hits), dtype=np.float64, count=len(hits))
    with np.errstate(over="ignore"):
        compared = values.astype(np.float32)  # nothing finer is compared
    falls = compared[1:] <= compared[:-1]  # NaN fails too
    if np.isnan(compared[0]) or not falls.all():
        rank = 1 if np.isnan(compared[0]) else int(falls.argmin()) + 2
        before = float("inf") if rank == 1 else float(values[rank - 2])
        raise OpenbookError(
            f"the retriever's score rises at rank {rank} of question {query_id!r} ({before} to {values[rank - 1]}): "
            "scores must fall with the rank, since evaluation orders by score",
            code="scores-not-descending",
        )
    scores: dict[str, float] = {}
    for hit, value in zip(hits, values.tolist(), strict=True):
        scores.setdefault(hit.chunk.doc_id, value)
    return scores


def _unjudged(run: Mapping[str, Mapping[str, float]], qrels: Mapping[str, Mapping[str, int]], k: int) -> float:
    shares = []
    for query_id, judged in qrels.items():
        top = trec_order(run.get(query_id, {}))[:k]
        if top:
            shares.append(sum(doc_id not in judged for doc_id in top) / len(top))
    return float(np.mean(shares)) if shares else 0.0
