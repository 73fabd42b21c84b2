"""``openbook calibrate``: from which confidence to answer, so that few enough answers are wrong."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app import wiring
from app.cli.common import AsJson, DataDir, connected, fail, print_json, told

if TYPE_CHECKING:
    from eval.datasets import QaDataset

# What eval imports (scipy) is loaded by the command itself: every other command starts without it.


class CalibratedStrategy(enum.StrEnum):
    extract = "extract"
    rag = "rag"


def calibrate(
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection", "-c", help="Ask this collection, and keep its threshold; alone: show what was fitted."
        ),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option("--dataset", help="JSON lines {id, question, answers, answerable}; some must not be answerable."),
    ] = None,
    error: Annotated[
        float, typer.Option("--error", help="Share of the answers that may be wrong, at most; between 0 and 1.")
    ] = 0.05,
    strategy: Annotated[
        CalibratedStrategy, typer.Option("--strategy", "-s", help="Whose answers are calibrated; rag asks the model.")
    ] = CalibratedStrategy.extract,
    apply: Annotated[
        bool, typer.Option("--apply/--no-apply", help="Keep the threshold for the collection, or only look.")
    ] = True,
    reset: Annotated[bool, typer.Option("--reset", help="Go back to the settings' threshold; fits nothing.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Fit when to answer and when to say "I don't know", on questions of which you know whether they can be answered.

    The threshold holds the error with 95 % confidence (Clopper-Pearson); with too few questions it is refused, and said
    how many more it takes. Without --collection each line's own contexts are asked, all together, and nothing is kept.

    Example: openbook calibrate --collection filings --dataset questions.jsonl --error 0.05
    """
    if not 0 < error < 1:
        raise typer.BadParameter(f"--error {error:g}: it must lie between 0 and 1, like 0.05")
    if collection is None and dataset is None:
        raise typer.BadParameter("give --dataset, or --collection to see what was fitted")
    if reset:
        if collection is None or dataset is not None:
            raise typer.BadParameter("--reset goes with --collection alone")
        with connected(data_dir) as client:
            done = client.reset_calibration(collection, strategy.value)
        print_json(done) if as_json else print(f"{collection}: answers as the settings say")
        return
    if dataset is None:
        _show(str(collection), as_json, data_dir)
        return
    from eval.datasets import load_qa

    data = load_qa(dataset)
    if collection is None:
        found = _own_contexts(data, error, strategy.value, data_dir)
    else:
        questions = [
            {"id": s.id, "question": s.question, "answers": list(s.answers), "answerable": s.answerable}
            for s in data.samples
        ]
        with connected(data_dir) as client:
            found = client.calibrate(
                collection, questions, error=error, dataset=data.name, apply=apply, strategy=strategy.value
            )
    print_json(found) if as_json else print(_report(found))
    if not found["fitted"]:
        raise fail(found["refused"])


def _show(collection: str, as_json: bool, data_dir: Path | None) -> None:
    with connected(data_dir, wait=False) as client:
        kept = client.calibrations(collection)
    if as_json:
        print_json({"collection": collection, "calibrations": kept})
    elif not kept:
        print(f"{collection}: nothing fitted yet; it answers as the settings say")
    for found in kept if not as_json else []:
        print(_report(found))
        print(f"fitted {found['created_at'][:10]} on {found['dataset']}, for {found['encoder']}")


def _own_contexts(data: QaDataset, error: float, strategy: str, data_dir: Path | None) -> dict[str, Any]:
    from app.calibrating import ALWAYS, calibrate
    from app.lab import qa_answerer
    from core.offload import Offload
    from core.types import Answer, Sample
    from eval.qa import Pooled, check_mode

    mode = Pooled(samples=data.samples)
    check_mode(data, mode)
    settings = wiring.load_cli_settings(data_dir=data_dir, extract_threshold=ALWAYS)
    offload = Offload(max_threads=1)

    async def measure() -> dict[str, Any]:
        answerer = qa_answerer(settings, strategy, mode, data.samples, offload)

        async def ask(sample: Sample) -> Answer:
            answer, _ = await answerer(sample)
            return answer

        with told("calibrate") as progress:
            return await calibrate(data.samples, ask, error=error, strategy=strategy, progress=progress)

    try:
        found = asyncio.run(measure())
    finally:
        offload.close()
    return found | {"collection": None, "dataset": data.name, "applied": False}


def _nearest(curve: Sequence[dict[str, Any]], coverage: float) -> dict[str, Any]:
    return min(curve, key=lambda p: abs(float(p["coverage"]) - coverage))


def _report(found: dict[str, Any]) -> str:
    lines = [
        f"{found['collection'] or found['dataset']}: {found['n_questions']:,} questions, "
        f"{found['n_unanswerable']:,} of which cannot be answered; strategy {found['strategy']}",
        f"  risk-coverage  AURC {found['aurc']:.4f} (best order of the same answers: {found['aurc_best']:.4f})",
    ]
    for share in (0.25, 0.5, 0.75, 1.0):
        point = _nearest(found["curve"], share)
        line = (
            f"    answering {point['coverage']:>6.1%} of all questions: {point['wrong']} of {point['answered']} wrong "
            f"({point['risk']:.1%}, up to {point['upper']:.1%})"
        )
        if line != lines[-1]:  # of few questions the same point is the nearest to several shares
            lines.append(line)
    if chosen := found["chosen"]:
        lines.append(
            f"  threshold {chosen['threshold']:.4f}: at most {found['error']:.1%} wrong with 95 % confidence "
            f"({chosen['wrong']} of {chosen['answered']} here); it answers {chosen['coverage']:.1%} of all questions"
            + ("" if chosen["answer_rate"] is None else f", {chosen['answer_rate']:.1%} of those that can be answered")
        )
        kept = f"kept for {found['collection']}" if found["applied"] else "not kept"
        lines.append(
            f"  {kept}"
            + (
                ""
                if found["collection"] or found["strategy"] != "extract"
                else f"; OPENBOOK_EXTRACT_THRESHOLD={chosen['threshold']:.4f}"
            )
        )
    return "\n".join(lines)
