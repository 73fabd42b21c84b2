"""``openbook eval``: measure retrieval, answers and verifiers, and compare two runs."""

from __future__ import annotations

import asyncio
import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app import wiring
from app.cli.ask import StrategyChoice
from app.cli.common import AsJson, DataDir, connected, print_json, told
from app.cli.eval_contamination import contamination
from app.cli.eval_gate import gate
from app.cli.eval_grid import grid
from app.cli.eval_judge import judge
from app.cli.eval_questions import leaderboard, questions, run
from app.cli.eval_toolcalls import toolcalls
from app.cli.search import DenseOption, RerankOption, RetrieverOption, SparseOption
from core.offload import Offload
from core.settings import Settings

if TYPE_CHECKING:
    from eval.datasets import QaDataset
    from eval.qa import QaMode
    from eval.qa_scores import QaResult

# What eval imports (scipy) is loaded by the commands themselves: every other command starts without it.

eval_app = typer.Typer(
    no_args_is_help=True, help="Measure retrieval, answers and verifiers; compare two runs.", rich_markup_mode=None
)


eval_app.command("toolcalls")(toolcalls)
eval_app.command("gate")(gate)
eval_app.command("questions")(questions)
eval_app.command("run")(run)
eval_app.command("judge")(judge)
eval_app.command("contamination")(contamination)
eval_app.command("grid")(grid)
eval_app.command("leaderboard")(leaderboard)


class FusionChoice(enum.StrEnum):
    convex = "convex"
    rrf = "rrf"


QaFile = Annotated[
    Path,
    typer.Option(
        "--dataset",
        help="JSON lines {id, question, answers, answerable, contexts?: [{title, text}], gold_ids?}; or SQuAD or HotpotQA as .json.",
    ),
]
ClaimsFile = Annotated[Path, typer.Option("--dataset", help="JSON lines {id, evidence, claim, label: 0|1}.")]
BeirFolder = Annotated[
    Path, typer.Option("--dataset", help="A BEIR folder: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv.")
]


@eval_app.command("retrieval")
def retrieval(
    dataset: BeirFolder,
    split: Annotated[str, typer.Option("--split", help="Which qrels/SPLIT.tsv.")] = "test",
    retriever: RetrieverOption = None,
    sparse: SparseOption = None,
    dense: DenseOption = None,
    fusion: Annotated[FusionChoice | None, typer.Option("--fusion", help="How hybrid joins its lists.")] = None,
    rerank: RerankOption = None,
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="The main cutoff.")] = 10,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", "-m", help="Also this one, as precision@5 or r_precision; may be repeated."),
    ] = None,
    run_out: Annotated[
        Path | None, typer.Option("--run-out", dir_okay=False, help="Also write the run in TREC format.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Search a benchmark and score what is found: nDCG, MRR, recall, MAP, hits; precision and R-precision with --metric.

    Example: openbook eval retrieval --dataset scifact --split dev --retriever hybrid --json > hybrid.json
    """
    if run_out is not None and not run_out.resolve().parent.is_dir():
        raise typer.BadParameter(f"--run-out: there is no folder {run_out.resolve().parent}")
    settings = wiring.load_cli_settings(
        data_dir=data_dir,
        retriever=_value(retriever),
        sparse=_value(sparse),
        dense=_value(dense),
        fusion=_value(fusion),
    )
    reranker = wiring.wanted_reranker(settings, rerank, _value(retriever))
    from app.lab import adhoc_retriever_factory
    from eval.datasets import load_beir
    from eval.report import retrieval_report
    from eval.retrieval import check_metrics, run_retrieval
    from eval.trec import check_ids, write_run

    extra = check_metrics(metric or ())
    data = load_beir(dataset, split)
    if run_out is not None:
        check_ids(data.queries, "query")
        check_ids((document.doc_id for document in data.corpus), "document")
    with told("eval retrieval") as progress:
        result = run_retrieval(
            data,
            adhoc_retriever_factory(settings.retriever, settings.sparse, settings.dense, settings.fusion, reranker),
            settings,
            retriever_name=settings.retriever,
            k=k,
            options=_retrieval_options(settings, reranker),
            extra_metrics=extra,
            progress=progress,
        )
    if run_out is not None:
        write_run(run_out, result.run, f"openbook-{result.retriever}")
    print_json(result.to_json()) if as_json else print(retrieval_report(result))


@eval_app.command("qa")
def qa(
    dataset: QaFile,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Answer from this collection, not from the contexts.")
    ] = None,
    pool: Annotated[bool, typer.Option("--pool", help="Answer from all lines' contexts together.")] = False,
    strategy: Annotated[StrategyChoice | None, typer.Option("--strategy", "-s", help="How answers are made.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Questions under way at once.")] = 1,
    distractors: Annotated[
        int, typer.Option("--distractors", min=0, help="Passages of other questions beside each one's own.")
    ] = 0,
    counter: Annotated[
        bool, typer.Option("--counterfactual", help="Put another answer in the contexts, which is then the right one.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Answer the questions of a data set and score the answers: right, wrong, abstained, cited, faithful.

    Without --collection or --pool each question is answered from its own line's contexts.

    Example: openbook eval qa --dataset clapnq/dev.jsonl --strategy extract --json > extract.json
    """
    if collection is not None and pool:
        raise typer.BadParameter("--collection and --pool exclude each other: choose where answers are read from")
    settings = wiring.load_cli_settings(data_dir=data_dir)
    name = strategy.value if strategy is not None else settings.strategy
    from eval.datasets import load_qa
    from eval.qa import InCollection, OwnContexts, Pooled, check_mode
    from eval.report import qa_report
    from eval.stress import counterfactual, with_distractors

    data = load_qa(dataset)
    if (counter or distractors) and collection is not None:
        raise typer.BadParameter("--distractors and --counterfactual change contexts: leave out --collection")
    if counter:
        data = counterfactual(data)
    if distractors:
        data = with_distractors(data, distractors)
    mode: QaMode = OwnContexts()
    if collection is not None:
        mode = InCollection(name=collection)
    elif pool:
        mode = Pooled(samples=data.samples)
    if name != StrategyChoice.closed_book:
        check_mode(data, mode)
    result = _answered(settings, data, mode, name, concurrency, data_dir)
    print_json(result.to_json()) if as_json else print(qa_report(result))


@eval_app.command("faithfulness")
def faithfulness(dataset: ClaimsFile, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Measure the verifier: how well it tells supported claims from unsupported ones.

    Example: openbook eval faithfulness --dataset faithfulness/wice-dev.jsonl
    """
    settings = wiring.load_cli_settings(data_dir=data_dir)
    from eval.datasets import load_faithfulness
    from eval.faithfulness import run_faithfulness
    from eval.report import faithfulness_report

    data = load_faithfulness(dataset)
    with told("eval faithfulness") as progress:
        result = run_faithfulness(data, wiring.build_verifier(settings), progress=progress)
    print_json(result.to_json()) if as_json else print(faithfulness_report(result))


@eval_app.command("compare")
def compare(
    run_a: Annotated[Path, typer.Argument(help="What was saved of A: JSON of eval, or a TREC run.")],
    run_b: Annotated[Path, typer.Argument(help="The same of B.")],
    qrels: Annotated[Path | None, typer.Option("--qrels", help="Judgements, for TREC runs.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", "-m", help="Compare this metric only; may be repeated.")
    ] = None,
    intersect: Annotated[
        bool, typer.Option("--intersect", help="Compare the questions that both runs have, if they differ.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the resampling.")] = 0,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Is B better than A? A paired randomisation test and a bootstrap interval per metric, corrected by Holm.

    Example: openbook eval compare bm25.json hybrid.json
    """
    del data_dir  # every command takes it; what is compared here lies in files of its own
    from eval.compare import compare_runs
    from eval.report import comparison_report
    from eval.retrieval import STANDARD_METRICS
    from eval.saved import load_run

    asked = tuple(metric or ())
    a, b = (load_run(path, qrels=qrels, metrics=asked or STANDARD_METRICS) for path in (run_a, run_b))
    with told("eval compare") as progress:
        comparison = compare_runs(a, b, metrics=asked, intersect=intersect, seed=seed, progress=progress)
    print_json(comparison.to_json()) if as_json else print(comparison_report(comparison))


def _answered(
    settings: Settings, data: QaDataset, mode: QaMode, strategy: str, concurrency: int, data_dir: Path | None
) -> QaResult:
    from app.cli.eval_client import answer_through
    from app.lab import qa_answerer
    from eval.qa import AnswerOne, InCollection, run_qa

    offload = Offload(max_threads=concurrency)

    async def measure(make: Any) -> QaResult:
        with told("eval qa") as progress:
            answer: AnswerOne = make()
            return await run_qa(
                data,
                answer,
                wiring.build_verifier(settings),
                offload=offload,
                strategy=strategy,
                mode=mode,
                settings_hash=settings.digest(),
                needs_contexts=strategy != StrategyChoice.closed_book,
                concurrency=concurrency,
                encoder=wiring.build_encoder(settings),
                progress=progress,
            )

    try:
        if isinstance(mode, InCollection):
            name = mode.name
            with connected(data_dir, lm=strategy != StrategyChoice.extract) as client:
                return asyncio.run(measure(lambda: answer_through(client, name, strategy, offload)))
        return asyncio.run(measure(lambda: qa_answerer(settings, strategy, mode, data.samples, offload)))
    finally:
        offload.close()


def _retrieval_options(settings: Settings, reranker: wiring.RerankerName) -> dict[str, Any]:
    """What distinguishes one run from another beside the retriever's name."""
    options: dict[str, Any] = {"rerank": reranker != "none"}
    if reranker != "none":
        options |= {"reranker": reranker, "depth": settings.rerank_depth}
        options["weight"] = "own" if settings.rerank_weight is None else settings.rerank_weight
    if reranker in ("cross-encoder", "mix"):
        options |= {"reranker_model": settings.reranker_model, "reranker_runtime": settings.reranker_runtime}
    if settings.retriever in ("bm25", "hybrid"):
        options["sparse"] = settings.sparse
    if settings.retriever in ("dense", "hybrid"):
        options |= {"dense": settings.dense, "encoder": settings.encoder_model, "precision": settings.encoder_precision}
    if settings.retriever == "late":
        options |= {"encoder": settings.encoder_model, "precision": settings.encoder_precision}
    if settings.retriever == "hybrid":
        options["fusion"] = settings.fusion
        options |= {"alpha": settings.fusion_alpha} if settings.fusion == "convex" else {"rrf_k": settings.rrf_k}
    return options


def _value(choice: enum.StrEnum | None) -> str | None:
    return choice.value if choice is not None else None
