"""``openbook search``."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from app.cli.common import AsJson, Collection, DataDir, connected, print_json, progress_bar
from app.client import Client
from app.replies import Hit
from app.wire import ApiError

_LOOK_EVERY_S = 0.5


class RetrieverChoice(enum.StrEnum):
    bm25 = "bm25"
    tfidf = "tfidf"
    dense = "dense"
    late = "late"
    hybrid = "hybrid"


class SparseChoice(enum.StrEnum):
    tantivy = "tantivy"
    rank_bm25 = "rank-bm25"


class DenseChoice(enum.StrEnum):
    auto = "auto"
    exact = "exact"
    hnsw = "hnsw"


RetrieverOption = Annotated[RetrieverChoice | None, typer.Option("--retriever", help="How passages are found.")]
SparseOption = Annotated[SparseChoice | None, typer.Option("--sparse", help="The BM25 engine.")]
DenseOption = Annotated[DenseChoice | None, typer.Option("--dense", help="The vector index.")]


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    collection: Collection,
    retriever: RetrieverOption = None,
    sparse: SparseOption = None,
    dense: DenseOption = None,
    rerank: Annotated[
        bool, typer.Option("--rerank/--no-rerank", help="Not in this version: there is no reranker yet.")
    ] = False,
    collapse: Annotated[
        bool | None,
        typer.Option(
            "--collapse/--no-collapse", help="Leave out what a near-duplicate has said. Default: the settings'."
        ),
    ] = None,
    k: Annotated[int, typer.Option(min=1, max=1000, help="How many passages.")] = 10,
    explain: Annotated[bool, typer.Option("--explain", help="Show rank and score of each stage.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Find passages.

    Example: openbook search "net sales third quarter" --collection filings --k 5 --explain
    """
    if rerank:
        raise typer.BadParameter("there is no reranker in this version: leave --rerank out")
    with connected(data_dir) as client:
        hits = _when_read(
            client,
            lambda: client.search(
                query,
                [collection],
                k=k,
                retriever=_value(retriever),
                sparse=_value(sparse),
                dense=_value(dense),
                explain=explain,
                collapse_duplicates=collapse,
            ),
        )
    if as_json:
        print_json({"hits": hits})
        return
    if not hits:
        print("nothing found")
    for hit in hits:
        _print_hit(hit, explain)


def _when_read(client: Client, search: Callable[[], list[Hit]]) -> list[Hit]:
    """What ``search`` finds, once the passages have been read token by token, if that is what it needs."""
    with progress_bar("reading passages token by token") as bar:
        while True:
            try:
                return search()
            except ApiError as e:
                if e.code != "late-building":
                    raise
            index = client.system()["index"] or {}
            read, lacking = index.get("late_rows", 0), index.get("late_lacking", 0)
            bar(read / max(1, read + lacking), f"{lacking:,} to go")
            time.sleep(_LOOK_EVERY_S)


def _value(choice: enum.StrEnum | None) -> str | None:
    return choice.value if choice is not None else None


def _print_hit(hit: Hit, explain: bool) -> None:
    page = f", page {hit['page']}" if hit["page"] else ""
    alike = f"   [stands for {n} documents]" if (n := hit.get("stands_for", 1)) > 1 else ""
    print(f"{hit['rank']:>3}. {hit['title']}{page}   {hit['score']:.4f}{alike}")
    if explain:
        parts: dict[str, Any] = dict(hit["parts"])
        print("     " + "   ".join(f"{name}: rank {p['rank']}, {p['score']:.4f}" for name, p in parts.items()))
    text = " ".join(hit["text"].split())
    print(f"     {text[:300]}{'…' if len(text) > 300 else ''}\n")
