"""Many retrievers over the splits of one benchmark: every question once, kept as it is measured, and gone on with after a break.

Knows nothing of how a retriever is made; what is measured is what ``eval.retrieval.run_retrieval`` measures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from core.errors import InvalidRequest
from core.protocols import Retriever
from core.settings import Settings
from core.types import LOCAL_USER_ID, Principal, Where
from eval.datasets import RetrievalDataset
from eval.kept_rows import KeptRows
from eval.leaderboard import Contender, Place, leaderboard
from eval.metrics.ranking import RankingMetric, evaluate_query, mean_over_queries, parse_metric
from eval.progress import Progress, silent
from eval.retrieval import DEPTH, STANDARD_METRICS, TIMED, Build, document_scores

VERSION = 2  # of how rows are measured
_K = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One configuration of a grid. ``options`` and ``settings`` say all that its result follows from, beside the data.

    What it shares with others may remember a question; ``forget`` makes it take the next one as new.
    """

    label: str
    options: Mapping[str, Any]
    settings: Settings
    build: Build
    forget: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class GridResult:
    """``per_query``: by configuration and then by "SPLIT/ID". ``seconds``: mean of the timed searches for 10 passages."""

    dataset: str
    dataset_sha256: Mapping[str, str]  # by split
    labels: tuple[str, ...]
    keys: Mapping[str, Mapping[str, str]]  # configuration → split → what its rows are kept under
    per_query: Mapping[str, Mapping[str, Mapping[str, float]]]
    seconds: Mapping[str, float]
    measured: int
    reused: int
    wall_s: float

    def metrics(self, label: str, split: str | None = None) -> dict[str, float]:
        """The means of a configuration, over one split or all of them."""
        rows = self.per_query[label]
        return mean_over_queries({q: v for q, v in rows.items() if split is None or q.startswith(f"{split}/")})

    def places(self, metric: str) -> list[Place]:
        contenders = [
            Contender(
                label=label,
                values={q: values[metric] for q, values in self.per_query[label].items()},
                seconds=self.seconds[label],
            )
            for label in self.labels
        ]
        return leaderboard(contenders, metric)

    def to_json(self) -> dict[str, Any]:
        """The document of `eval grid --json`."""
        return {
            "kind": "grid",
            "dataset": self.dataset,
            "dataset_sha256": dict(self.dataset_sha256),
            "measured": self.measured,
            "reused": self.reused,
            "wall_s": self.wall_s,
            "places": [p.to_json() for p in self.places("ndcg@10")],
            "configurations": [
                {
                    "label": label,
                    "keys": dict(self.keys[label]),
                    "seconds_per_query": self.seconds[label],
                    "metrics": self.metrics(label),
                    "by_split": {split: self.metrics(label, split) for split in self.dataset_sha256},
                    "per_query": {q: dict(v) for q, v in self.per_query[label].items()},
                }
                for label in self.labels
            ],
        }


def run_grid(
    datasets: Sequence[RetrievalDataset],
    entries: Sequence[Entry],
    folder: Path,
    *,
    n: int | None = None,
    progress: Progress = silent,
) -> GridResult:
    """Asks every judged question of every configuration that is not known yet.

    Args:
        datasets: splits over one corpus; each configuration is built once for all of them.
        folder: keeps the rows.
        n: only so many questions of each split, evenly spread.
        progress: told ("searching", questions done, all).

    Raises:
        InvalidRequest: no split, no configuration, or two of one name.
    """
    if not datasets or not entries or len({e.label for e in entries}) < len(entries):
        raise InvalidRequest("give one split and one configuration at least, each configuration once", code="usage")
    began = time.perf_counter()
    metrics = [parse_metric(name) for name in STANDARD_METRICS]
    where = Where(principal=Principal(user_id=LOCAL_USER_ID))
    retrievers: dict[str, Retriever] = {}
    kept = {(e.label, d.split): KeptRows(folder, _facts(d, e)).load() for e in entries for d in datasets}
    per_query: dict[str, dict[str, Mapping[str, float]]] = {e.label: {} for e in entries}
    times: dict[str, list[float]] = {e.label: [] for e in entries}
    asked = [(d, query_id) for d in datasets for query_id in _sample(list(d.queries), n)]
    timed = {d.split: frozenset(_sample(list(d.queries), TIMED)) for d in datasets}
    measured = reused = 0
    # Question by question, so that what configurations have in common is found once.
    for done, (data, query_id) in enumerate(asked):
        progress("searching", done, len(asked))
        for entry in entries:
            rows = kept[entry.label, data.split]
            if query_id in rows.rows:
                reused += 1
            else:
                if entry.label not in retrievers:
                    progress(f"indexing for {entry.label},", done, len(asked))
                    retrievers[entry.label] = entry.build(entry.settings, datasets[0].corpus)
                row = _row(
                    entry, retrievers[entry.label], data, query_id, metrics, where, query_id in timed[data.split]
                )
                rows.add(query_id, row)
                measured += 1
            row = rows.rows[query_id]
            per_query[entry.label][f"{data.split}/{query_id}"] = row["metrics"]
            if row["seconds"] is not None:
                times[entry.label].append(row["seconds"])
    progress("searching", len(asked), len(asked))
    return GridResult(
        dataset=datasets[0].name,
        dataset_sha256={d.split: d.sha256 for d in datasets},
        labels=tuple(e.label for e in entries),
        keys={e.label: {d.split: kept[e.label, d.split].key for d in datasets} for e in entries},
        per_query=per_query,
        seconds={label: fmean(of) if of else 0.0 for label, of in times.items()},
        measured=measured,
        reused=reused,
        wall_s=time.perf_counter() - began,
    )


def _facts(data: RetrievalDataset, entry: Entry) -> dict[str, Any]:
    return {
        "version": VERSION,
        "dataset": data.name,
        "split": data.split,
        "sha256": data.sha256,
        "depth": DEPTH,
        "label": entry.label,
        "options": dict(entry.options),
        "settings": entry.settings.digest(),
    }


def _row(
    entry: Entry,
    retriever: Retriever,
    data: RetrievalDataset,
    query_id: str,
    metrics: Sequence[RankingMetric],
    where: Where,
    timed: bool,
) -> dict[str, Any]:
    text = data.queries[query_id]
    seconds = None
    if timed:  # before the deep search, which would warm the caches
        entry.forget()
        began = time.perf_counter()
        retriever.search(text, _K, where)
        seconds = time.perf_counter() - began
    found = document_scores(query_id, retriever.search(text, DEPTH, where))
    return {"metrics": evaluate_query(found, data.qrels[query_id], metrics), "seconds": seconds}


def _sample(ids: Sequence[str], n: int | None) -> list[str]:
    """All of them, or about ``n``, evenly spread."""
    if n is None or n >= len(ids):
        return list(ids)
    return [ids[i * len(ids) // n] for i in range(n)]
