"""``openbook eval grid``: many retrievers over the splits of one benchmark, resumable."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from app import wiring
from app.cli.common import AsJson, DataDir, print_json, told

if TYPE_CHECKING:
    from app.lab import SharedCorpus
    from core.settings import Settings
    from eval.grid import Entry, GridResult

STANDARD = ("bm25", "tfidf", "dense", "hybrid", "hybrid:rrf", "hybrid:rerank")


def grid(
    dataset: Annotated[
        Path, typer.Option("--dataset", help="A BEIR folder: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv.")
    ],
    split: Annotated[list[str] | None, typer.Option("--split", help="Which qrels; may be repeated.")] = None,
    configuration: Annotated[
        list[str] | None,
        typer.Option("--config", help="retriever[:convex|:rrf][:rerank]; may be repeated. Else six usual ones."),
    ] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help="Only so many questions of each split.")] = None,
    work: Annotated[Path | None, typer.Option("--work", help="Where rows are kept; else the cache folder.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Measure many retrievers on one benchmark: a leaderboard with intervals. What was measured once is not measured again,
    so a run that was broken off goes on where it stopped.

    Example: openbook eval grid --dataset scifact --split train --split dev
    """
    settings = wiring.load_cli_settings(data_dir=data_dir)
    from eval.datasets import load_beir
    from eval.grid import run_grid

    datasets = [load_beir(dataset, one) for one in dict.fromkeys(split or ["test"])]
    entries = grid_entries(settings, configuration or STANDARD)
    with told("eval grid") as progress:
        result = run_grid(datasets, entries, work or wiring.model_cache_dir() / "results", n=n, progress=progress)
    print_json(result.to_json()) if as_json else print(grid_text(result))


def grid_entries(settings: Settings, configurations: Sequence[str]) -> list[Entry]:
    """The configurations of a grid, each once, from "hybrid:rrf:rerank"; they share one encoder and its indexes."""
    from app.lab import SharedCorpus

    shared = SharedCorpus()
    return [_entry(settings, one, shared) for one in dict.fromkeys(configurations)]


def _entry(settings: Settings, text: str, shared: SharedCorpus) -> Entry:
    from app.lab import adhoc_retriever_factory
    from eval.grid import Entry
    from retrieval.ranking import RankerName

    retriever, *rest = text.split(":")
    fusions = [part for part in rest if part in ("convex", "rrf")]
    unknown = [part for part in rest if part not in ("convex", "rrf", "rerank")]
    if retriever not in get_args(RankerName) or unknown or len(fusions) > 1:
        raise typer.BadParameter(
            f"--config {text}: give retriever[:convex|:rrf][:rerank] with one of {', '.join(get_args(RankerName))}"
        )
    fusion: Literal["convex", "rrf"] = "rrf" if "rrf" in fusions else "convex"
    reranker = wiring.wanted_reranker(settings, "rerank" in rest, retriever)
    return Entry(
        label=text,
        options={"retriever": retriever, "fusion": fusion, "reranker": reranker, "code": code_digest(RETRIEVAL_CODE)},
        settings=settings,
        build=adhoc_retriever_factory(retriever, settings.sparse, settings.dense, fusion, reranker, shared),
        forget=shared.forget,
    )


RETRIEVAL_CODE = ("core", "models", "retrieval")


@cache
def code_digest(packages: tuple[str, ...]) -> str:
    """Of the source of these packages: rows that another version of it measured are not taken for this one's."""
    found = hashlib.sha256()
    for package in packages:
        folder = Path(str(importlib.import_module(package).__file__)).parent
        for path in sorted(folder.rglob("*.py")):
            found.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def grid_text(result: GridResult) -> str:
    from eval.html_report import told_apart
    from eval.plots import mean_text
    from eval.report import table

    metrics = ("ndcg@10", "mrr@10", "recall@100", "map")
    rows = []
    for place in result.places("ndcg@10"):
        means = result.metrics(place.label)
        rows.append(
            (
                place.label,
                mean_text(place.to_json()),
                *(f"{means[m]:.3f}" for m in metrics[1:]),
                f"{1000 * place.seconds:.1f}",
                told_apart(place.to_json()),
                "yes" if place.on_front else "",
            )
        )
    heads = ("", *metrics, "ms for 10", "ndcg@10 against the first", "Pareto front")
    return (
        f"{result.dataset} {' + '.join(result.dataset_sha256)}: {len(result.per_query[result.labels[0]]):,} questions; {result.measured:,} "
        f"searches measured, {result.reused:,} known before; {result.wall_s:.0f} s\n\n{table(heads, rows)}"
    )
