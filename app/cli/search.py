"""``openbook search``."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.common import AsJson, Collection, DataDir, connected, print_json, settings_of
from app.replies import Hit
from app.waiting import wait_for_lm


class RetrieverChoice(enum.StrEnum):
    bm25 = "bm25"
    tfidf = "tfidf"
    dense = "dense"
    hybrid = "hybrid"


class SparseChoice(enum.StrEnum):
    tantivy = "tantivy"
    rank_bm25 = "rank-bm25"
    reference = "reference"


class DenseChoice(enum.StrEnum):
    auto = "auto"
    exact = "exact"
    hnsw = "hnsw"


RetrieverOption = Annotated[RetrieverChoice | None, typer.Option("--retriever", help="How passages are found.")]
SparseOption = Annotated[
    SparseChoice | None,
    typer.Option("--sparse", help="The BM25 engine. All but tantivy stay in memory: up to 10,000 passages."),
]
HydeOption = Annotated[
    bool | None,
    typer.Option(
        "--hyde/--no-hyde", help="Let the language model imagine answers and search near them. Default: the settings'."
    ),
]
DecomposeOption = Annotated[
    bool | None,
    typer.Option(
        "--decompose/--no-decompose", help="Let it split the question, and search each part. Default: the settings'."
    ),
]
DenseOption = Annotated[DenseChoice | None, typer.Option("--dense", help="The vector index.")]


RerankOption = Annotated[
    bool | None,
    typer.Option(
        "--rerank/--no-rerank",
        help="Put what is found in a better order. Default: the settings'; where they name no reranker: late interaction.",
    ),
]


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    collection: Collection,
    retriever: RetrieverOption = None,
    sparse: SparseOption = None,
    dense: DenseOption = None,
    rerank: RerankOption = None,
    collapse: Annotated[
        bool | None,
        typer.Option(
            "--collapse/--no-collapse", help="Leave out what a near-duplicate has said. Default: the settings'."
        ),
    ] = None,
    hyde: HydeOption = None,
    decompose: DecomposeOption = None,
    k: Annotated[int, typer.Option(min=1, max=1000, help="How many passages.")] = 10,
    explain: Annotated[bool, typer.Option("--explain", help="Show rank and score of each stage.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Find passages.

    Example: openbook search "net sales third quarter" --collection filings --k 5 --explain
    """
    with connected(data_dir, lm=asks_lm(data_dir, hyde, decompose)) as client:
        if asks_lm(data_dir, hyde, decompose):
            wait_for_lm(client, timeout_s=300)
        found = client.search_reply(
            query,
            [collection],
            k=k,
            retriever=_value(retriever),
            sparse=_value(sparse),
            dense=_value(dense),
            explain=explain,
            rerank=rerank,
            collapse_duplicates=collapse,
            hyde=hyde,
            decompose=decompose,
        )
    if as_json:
        print_json(dict(found))
        return
    hits = found["hits"]
    if meant := found["did_you_mean"]:
        print(f"did you mean: {meant['query']}\n")
    if not hits:
        print("nothing found")
    for hit in hits:
        _print_hit(hit, explain)


def asks_lm(data_dir: Path | None, hyde: bool | None, decompose: bool | None) -> bool:
    """Whether a language model is asked before searching."""
    settings = settings_of(data_dir)
    return (settings.hyde if hyde is None else hyde) or (settings.decompose if decompose is None else decompose)


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
