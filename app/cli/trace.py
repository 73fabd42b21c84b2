"""``openbook trace``: what a run did, again, and how two runs differ."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from app.cli.common import READY_TIMEOUT_S, AsJson, DataDir, connected, print_json
from app.cli.trace_text import lines_of
from core.wording import shortened

app = typer.Typer(name="trace", help="Shows, replays and compares what runs did.", no_args_is_help=True)

RunId = Annotated[str, typer.Argument(help="The run's id, as `openbook ask --json` says it.")]


@app.command()
def show(
    run_id: RunId,
    form: Annotated[str, typer.Option("--export", help="jsonl or otlp: print it for another program.")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Every step of a run.

    Example: openbook trace show r0123456789abcdef --export otlp > spans.json
    """
    if form not in ("", "jsonl", "otlp"):
        raise typer.BadParameter(f"unknown export {form!r}: choose jsonl or otlp")
    with connected(data_dir, wait=False) as client:
        if form:
            print(client.exported_trace(run_id, form), end="" if form == "jsonl" else "\n")
            return
        trace = client.trace(run_id)
    if as_json:
        print_json(trace)
        return
    for line in lines_of(trace):
        print(line)


@app.command()
def replay(
    run_id: RunId,
    question: Annotated[str | None, typer.Option("--question", help="Ask this instead.")] = None,
    strategy: Annotated[str | None, typer.Option("--strategy", "-s", help="Answer in this way instead.")] = None,
    said: Annotated[
        list[str] | None,
        typer.Option("--said", help="N=TEXT: as if the model had said TEXT in its N-th call. May be repeated."),
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Runs it again from what models and searches said then; with a change, shows what comes out otherwise.

    Exits 1 if, without a change, the replay is not identical.

    Example: openbook trace replay r0123456789abcdef --said "1=I don't know."
    """
    changes = {"question": question, "strategy": strategy, "said": dict(_said(s) for s in said or ())}
    wanted = {k: v for k, v in changes.items() if v}
    with connected(data_dir, lm=bool(wanted)) as client:
        if wanted:
            from app.waiting import wait_for_lm

            wait_for_lm(client, READY_TIMEOUT_S)
        result = client.replay(run_id, wanted)
    if as_json:
        print_json(result)
    else:
        _tell(result, changed=bool(wanted))
    if not wanted and not result["identical"]:
        raise typer.Exit(1)


@app.command()
def diff(
    run_a: RunId,
    run_b: Annotated[str, typer.Argument(help="The other run's id.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """What two runs did differently; times are no difference.

    Example: openbook trace diff r0123456789abcdef rfedcba9876543210
    """
    from app.trace_diff import differences

    with connected(data_dir, wait=False) as client:
        found = differences(client.trace(run_a), client.trace(run_b))
    if as_json:
        print_json({"run_a": run_a, "run_b": run_b, "differences": found})
        return
    _differences(found)


def _said(option: str) -> tuple[int, str]:
    number, sign, text = option.partition("=")
    if not sign or not number.isdigit():
        raise typer.BadParameter(f"{option!r} is not N=TEXT, such as 1=yes")
    return int(number), text


def _tell(result: dict[str, Any], *, changed: bool) -> None:
    if result["error"]:
        print(f"the replay failed: {result['error']}")
    if result["identical"]:
        print("identical, byte for byte")
        return
    if changed:
        print(f"{result['anew']} requests were asked anew")
    else:
        print("not identical: this version thinks otherwise")
    _differences(result["differences"])


def _differences(found: list[dict[str, Any]]) -> None:
    if not found:
        print("no difference")
    for one in found:
        print(one["at"])
        print(f"  - {_shown(one['was'])}")
        print(f"  + {_shown(one['is'])}")


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shortened(text, 240)
