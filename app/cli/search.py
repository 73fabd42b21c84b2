"""``openbook search``."""

from __future__ import annotations

import enum
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from app import replies
from app.cli.common import (
    READY_TIMEOUT_S,
    AsJson,
    Collection,
    DataDir,
    connected,
    print_json,
    progress_bar,
    settings_of,
)
from app.cli.search_text import hit_text, summary_text
from app.client import Client
from app.waiting import wait_for_lm
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
    reference = "reference"


class DenseChoice(enum.StrEnum):
    auto = "auto"
    exact = "exact"
    hnsw = "hnsw"


class HighlightChoice(enum.StrEnum):
    off = "off"
    words = "words"
    tokens = "tokens"


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
    max_per_document: Annotated[
        int | None, typer.Option(min=0, max=1000, help="Hits of one document; 0: no bound. Default: the settings'.")
    ] = None,
    mmr_lambda: Annotated[
        float | None,
        typer.Option("--mmr", min=0, max=1, help="Maximal marginal relevance; 1: off. Default: the settings'."),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="FIELD=VALUE",
            help="type=pdf, language=en, tag=budget, path=reports/, date.from=2024, date.to=2024-06-30; may be repeated.",
        ),
    ] = None,
    highlight: Annotated[
        HighlightChoice | None,
        typer.Option("--highlight", help="How the best sentence of each passage is found, which is marked »so«."),
    ] = None,
    k: Annotated[int, typer.Option(min=1, max=1000, help="How many passages.")] = 10,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show where each score comes from, and what was nearly found.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Find passages.

    Example: openbook search "net sales third quarter" --collection filings --k 5 --filter type=pdf --explain
    """
    wanted = _filters(filters or [])
    with connected(data_dir, lm=asks_lm(data_dir, hyde, decompose)) as client:
        if asks_lm(data_dir, hyde, decompose):
            wait_for_lm(client, READY_TIMEOUT_S)
        reply = _when_read(
            client,
            lambda: client.search_whole(
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
                max_per_document=max_per_document,
                mmr_lambda=mmr_lambda,
                highlight=_value(highlight),
                filters=wanted or None,
            ),
        )
    if as_json:
        print_json(dict(reply))
        return
    if meant := reply["did_you_mean"]:
        print(f"did you mean: {meant['query']}\n")
    for note in reply.get("notes", []):
        print(note, file=sys.stderr)
    if not reply["hits"]:
        print("nothing found")
    for hit in reply["hits"]:
        print(hit_text(hit))
    if explain:
        print(summary_text(reply))


def _filters(given: Sequence[str]) -> dict[str, list[str]]:
    """FIELD=VALUE, where a field that is given again has both values."""
    found: dict[str, list[str]] = {}
    for one in given:
        field, equals, value = one.partition("=")
        if not equals or not field.strip() or not value.strip():
            raise typer.BadParameter(f"{one!r} is no filter: write FIELD=VALUE, for example --filter type=pdf")
        found.setdefault(field.strip(), []).append(value.strip())
    return found


def asks_lm(data_dir: Path | None, hyde: bool | None, decompose: bool | None) -> bool:
    """Whether a language model is asked before searching."""
    settings = settings_of(data_dir)
    return (settings.hyde if hyde is None else hyde) or (settings.decompose if decompose is None else decompose)


def _when_read(client: Client, search: Callable[[], replies.SearchReply]) -> replies.SearchReply:
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
