"""``openbook trace``: which runs there were, what one did, again, and how two differ."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

import typer

from app.cli.common import READY_TIMEOUT_S, AsJson, DataDir, connected, print_json
from app.cli.trace_text import line_of_run, lines_of
from core.wording import shortened

app = typer.Typer(name="trace", help="Lists, shows, replays, compares and forgets what runs did.", no_args_is_help=True)

RunId = Annotated[str, typer.Argument(help="The run's id, as `openbook ask --json` says it.")]


@app.command("list")
def list_runs(
    strategy: Annotated[
        str | None, typer.Option("--strategy", "-s", help="Only runs that answered in this way.")
    ] = None,
    chat: Annotated[str | None, typer.Option("--chat", help="Only runs of this conversation, by its id.")] = None,
    since: Annotated[
        datetime | None, typer.Option("--since", help="Only runs that ended then or later, in UTC.")
    ] = None,
    until: Annotated[datetime | None, typer.Option("--until", help="Only runs that ended before, in UTC.")] = None,
    words: Annotated[str, typer.Option("--words", help="Only questions that have all of these.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = 20,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Your runs, the last first.

    Example: openbook trace list --strategy react --since 2026-11-01
    """
    with connected(data_dir, wait=False) as client:
        page = client.trace_page(strategy=strategy, chat=chat, since=since, until=until, words=words, limit=limit)
    if as_json:
        print_json(page)
        return
    for line in page["traces"]:
        print(line_of_run(line))
    if not page["traces"]:
        print("no runs")
    elif page["next_cursor"]:
        print("there are more: raise --limit, or narrow with --since, --until, --strategy, --words")


@app.command()
def delete(run_id: RunId, data_dir: DataDir = None) -> None:
    """Forgets what a run asked and heard; an answer in a conversation stays, without its steps.

    Example: openbook trace delete r0123456789abcdef
    """
    with connected(data_dir, wait=False) as client:
        client.delete_trace(run_id)
    print(f"forgot {run_id}")


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
    with connected(data_dir, wait=False) as client:
        found = client.trace_differences(run_a, run_b)
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
