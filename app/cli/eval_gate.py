"""``openbook eval gate``: for continuous integration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.common import AsJson, DataDir, fail, print_json, told
from core.errors import InvalidRequest


def gate(
    run: Annotated[Path, typer.Argument(help="The new run: JSON of eval, or a TREC run.")],
    baseline: Annotated[Path, typer.Option("--baseline", help="The run that it must not fall behind.")],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", "-m", help="Judge this metric, as NAME or NAME=MARGIN; may be repeated. Default: all."
        ),
    ] = None,
    margin: Annotated[float, typer.Option("--margin", min=0.0, help="How much worse a metric may be.")] = 0.0,
    qrels: Annotated[Path | None, typer.Option("--qrels", help="Judgements, for TREC runs.")] = None,
    intersect: Annotated[
        bool, typer.Option("--intersect", help="Judge by the questions that both runs have, if they differ.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the resampling.")] = 0,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Exit 1 unless the run is shown to be no worse than the baseline by more than a margin: the lower end of the
    95 % interval of its gain, paired by question, must not lie below −margin, over 20 questions or more, and all but 5 % of the
    questions with a value in the baseline must have one in the run.

    Example: openbook eval gate new.json --baseline main.json --metric ndcg@10 --margin 0.01
    """
    del data_dir  # every command takes it; what is judged here lies in files of its own
    from eval.compare import compare_runs
    from eval.gate import gate as judge
    from eval.retrieval import STANDARD_METRICS
    from eval.saved import load_run

    margins = dict(_margin(one, margin) for one in metric or ())
    names = tuple(margins)
    a, b = (load_run(path, qrels=qrels, metrics=names or STANDARD_METRICS) for path in (baseline, run))
    with told("eval gate") as progress:
        comparison = compare_runs(a, b, metrics=names, intersect=intersect, seed=seed, progress=progress)
        judged = judge(comparison, list(margins.items()) or margin)
    if as_json:
        print_json(judged.to_json())
    else:
        print("\n".join(m.text() for m in judged.metrics))
        print("\n".join(judged.comparison.notes))
    if not judged.passed:
        worse = ", ".join(f"{m.metric} ({m.why})" for m in judged.metrics if not m.passed)
        raise fail(f"{run} may be worse than {baseline} by more than the margin in {worse}")


def _margin(text: str, default: float) -> tuple[str, float]:
    name, given, value = text.partition("=")
    try:
        return name, float(value) if given else default
    except ValueError as e:
        raise InvalidRequest(f"--metric {text}: write NAME or NAME=MARGIN, such as ndcg@10=0.01", code="usage") from e
