"""``openbook eval judge``: which of two saved runs of answers a language model prefers, and how far people agree with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app import wiring
from app.cli.common import AsJson, DataDir, print_json, told
from core.errors import InvalidRequest, ModelUnavailable

if TYPE_CHECKING:
    from eval.judge import JudgeResult, Verdict


def judge(
    run_a: Annotated[Path, typer.Argument(help="What `eval qa --json` printed of A.")],
    run_b: Annotated[Path, typer.Argument(help="The same of B.")],
    dataset: Annotated[Path, typer.Option("--dataset", help="The questions that both were asked, as for `eval qa`.")],
    labels: Annotated[
        Path | None, typer.Option("--labels", help='JSON lines {"id", "better": "a"|"b"|"tie"} by people, for kappa.')
    ] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help="Only the first so many that differ.")] = None,
    work: Annotated[Path | None, typer.Option("--work", help="Where replies are kept; else the cache folder.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Ask the configured language model which of two answers is better, in both orders; replies are kept.

    Example: openbook eval judge extract.json rag.json --dataset clapnq/dev.jsonl --labels people.jsonl
    """
    from app.judging import ask_judge
    from eval.datasets import load_qa
    from eval.judge import VERSION, Pair, verdicts
    from eval.kept_rows import KeptRows

    settings = wiring.load_cli_settings(data_dir=data_dir)
    said = [_answers(path) for path in (run_a, run_b)]
    pairs = [
        Pair(id=s.id, question=s.question, a=said[0][s.id], b=said[1][s.id])
        for s in load_qa(dataset, judged=False).samples
        if s.id in said[0] and s.id in said[1] and said[0][s.id] != said[1][s.id]
    ][:n]
    if not pairs:
        raise InvalidRequest("the two runs have no question in common that they answer differently", code="usage")
    lm = wiring.build_lm(settings)
    if lm is None:
        raise ModelUnavailable("a judge is a language model, and lm_runtime is none: choose one in the settings")
    by_people = None if labels is None else _labels(labels)
    kept = KeptRows(work or wiring.model_cache_dir() / "judge", {"version": VERSION, "judge": lm.name}).load()
    lm.load()
    with told("eval judge") as progress:

        async def keep(done: int, new: Mapping[str, Mapping[str, Any]]) -> None:
            for key, row in new.items():
                kept.add(key, row)
            progress("judging", done, len(pairs))

        try:
            asked = asyncio.run(ask_judge(lm, pairs, kept.rows, keep))
        finally:
            lm.close()
    result = verdicts(pairs, kept.rows, lm.name, by_people)
    print_json(result.to_json()) if as_json else print(_text(result, asked))


def _answers(path: Path) -> dict[str, str]:
    try:
        saved: Any = json.loads(path.read_text("utf-8-sig"))
        return {i: "" if a["abstained"] else str(a["text"]) for i, a in saved["answers"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise InvalidRequest(f"{path} holds no answers ({e}): give what `eval qa --json` printed", code="usage") from e


def _labels(path: Path) -> dict[str, Verdict]:
    from eval.jsonl import read_jsonl

    found: dict[str, Verdict] = {}
    for line in read_jsonl(path):
        match line.text("better"):
            case "a":
                found[line.identifier("id")] = "a"
            case "b":
                found[line.identifier("id")] = "b"
            case "tie":
                found[line.identifier("id")] = "tie"
            case other:
                raise line.error(f'"better" is {other!r}: use "a", "b" or "tie"')
    return found


def _text(result: JudgeResult, asked: int) -> str:
    def share(value: float | None, interval: tuple[float, float] | None = None) -> str:
        if value is None:
            return "–"
        return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")

    too_long = f"  ({result.n_too_long:,} too long for it)" if result.n_too_long else ""
    lines = [
        f"{result.judge} on {result.n:,} pairs that differ; {asked:,} replies asked for, the others known",
        f"B preferred            {share(result.b_preferred, result.b_interval)}  (0.5: neither)",
        f"… of nearly one length {share(result.b_preferred_alike, result.b_interval_alike)}  ({result.n_alike:,} pairs)",
        f"orders that disagree   {share(result.position_bias)}  (counted as ties)",
        f"replies not read       {result.n_unread:,}{too_long}",
    ]
    people = result.people
    if people is not None:
        if people.kappa is not None:
            low, high = people.ci_low, people.ci_high
            kappa = share(people.kappa, None if low is None or high is None else (low, high))
            lines.append(f"kappa against people   {kappa}  ({people.n:,} pairs)")
        lines.append(people.text)
    return "\n".join(lines)
