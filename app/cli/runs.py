"""``openbook runs``: what is being answered, and a yes or no to what a run would do outside."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from app.cli.common import AsJson, DataDir, connected, print_json, say
from app.client import Client
from core.errors import OpenbookError

LOOK_S = 1.0

app = typer.Typer(
    name="runs", help="Shows runs in progress; says yes or no to what they would do.", no_args_is_help=True
)

RunId = Annotated[str, typer.Argument(help="The run's id, as `openbook runs list` says it.")]


@app.command("list")
def list_(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Your runs in progress, with what each waits for.

    Example: openbook runs list
    """
    with connected(data_dir, wait=False) as client:
        runs = client.runs()
    if as_json:
        print_json({"runs": runs})
        return
    for run in runs:
        print(f"{run['run_id']}  {run['state']:<8} {run['strategy']:<10} {run['question']}")
        for asked in run["pending"]:
            print("\n".join(f"    {line}" for line in _preview(asked)))


@app.command()
def approve(run_id: RunId, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Let a run do what it waits to do.

    Example: openbook runs approve r0123456789abcdef
    """
    _say(run_id, True, as_json, data_dir)


@app.command()
def deny(run_id: RunId, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Do not let it; the run goes on without.

    Example: openbook runs deny r0123456789abcdef
    """
    _say(run_id, False, as_json, data_dir)


def _say(run_id: str, yes: bool, as_json: bool, data_dir: DataDir) -> None:
    with connected(data_dir, wait=False) as client:
        said = client.approve_run(run_id, yes=yes)
    if as_json:
        print_json(said)
        return
    print(f"{'yes' if yes else 'no'}: {said['tool']} {json.dumps(said['arguments'], ensure_ascii=False)}")


@contextmanager
def telling(client: Client, *, wanted: bool) -> Iterator[None]:
    """Meanwhile says on stderr what runs wait for, each once, and how to answer; nothing where it is not ``wanted``."""
    done = threading.Event()
    told: set[str] = set()

    def watch() -> None:
        while not done.wait(LOOK_S):
            try:
                runs = client.runs()
            except OpenbookError:
                continue  # the command that waits for the answer says what is wrong
            for run in runs:
                for asked in run["pending"]:
                    if asked["approval_id"] not in told:
                        told.add(asked["approval_id"])
                        how = f"openbook runs approve {run['run_id']}   (or deny)"
                        say("\n".join(["waiting for a yes:", *_preview(asked), how]))

    watcher = threading.Thread(target=watch, daemon=True)
    if wanted:
        watcher.start()
    try:
        yield
    finally:
        done.set()
        if wanted:
            watcher.join(LOOK_S)


def _preview(asked: dict[str, Any]) -> list[str]:
    lines = [f"would call {asked['tool']} {json.dumps(asked['arguments'], ensure_ascii=False)}"]
    lines.append(f"expected: {asked['predicted'] or 'the model does not say'} (worth {asked['worth']:.1f} of 1)")
    lines += [
        f"instead of {json.dumps(o['arguments'], ensure_ascii=False)} ({o['worth']:.1f})" for o in asked["others"]
    ]
    return lines
