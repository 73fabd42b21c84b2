"""What every command shares: its options, one clear line for an error, one JSON document for --json."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.client import Client
from app.datadir import find_server
from app.wiring import load_cli_settings
from core.settings import Settings

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where everything is kept (default: data, or OPENBOOK_DATA_DIR).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Collection = Annotated[str, typer.Option("--collection", "-c", help="The collection's name.")]

# How long a command waits for the models of a server to load.
READY_TIMEOUT_S = 300.0

stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def say(line: str) -> None:
    """A line for people; stdout stays for results."""
    stderr.print(line, markup=False)


def fail(line: str) -> typer.Exit:
    """``raise fail(…)``: one clear line, exit code 1."""
    stderr.print(f"openbook: {line}", markup=False)
    return typer.Exit(1)


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


@contextmanager
def connected(
    data_dir: Path | None, *, worker: bool = False, lm: bool = False, wait: bool = True, announce: bool = False
) -> Iterator[Client]:
    """A client of the server that holds the data directory; without one, of a server that this command is.

    Args:
        data_dir: the command's own --data-dir, if it was given. Without it, OPENBOOK_API_KEY and OPENBOOK_API_URL name a
            server elsewhere.
        worker: whether files will be processed, which takes a worker process.
        lm: whether the language model will be asked; a server of this command's own loads it only then.
        wait: whether to wait until searching is ready.
        announce: whether other commands may meanwhile go through a server of this command's own.
    """
    settings = load_cli_settings(data_dir=data_dir)
    # A key speaks for its owner; without one, whoever can read the data directory speaks for this machine.
    key, elsewhere = os.environ.get("OPENBOOK_API_KEY"), os.environ.get("OPENBOOK_API_URL")
    if key and elsewhere and data_dir is None:
        with Client(elsewhere, token=key) as client:
            if wait:
                _wait_ready(client)
            yield client
        return
    running = find_server(settings.data_dir)
    if running is not None:
        with Client(running.url, token=key or running.token) as client:
            if wait:
                _wait_ready(client)
            yield client
        return
    # Imported here: a command that finds a server need not load one.
    from app.local import local_server

    if not lm:
        settings = settings.model_copy(update={"lm_runtime": "none"})
    with (
        local_server(settings, worker=worker, announce=announce) as address,
        Client(address.url, token=key or address.token) as client,
    ):
        if wait:
            _wait_ready(client)
        yield client


def _wait_ready(client: Client) -> None:
    from app.waiting import wait_until_ready

    if sys.stderr.isatty():
        with stderr.status("loading"):
            wait_until_ready(client, READY_TIMEOUT_S)
    else:
        wait_until_ready(client, READY_TIMEOUT_S)


def settings_of(data_dir: Path | None, **overrides: Any) -> Settings:
    return load_cli_settings(data_dir=data_dir, **overrides)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[float, str], None]]:
    """Calls with (share done, detail) move a bar on stderr, if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _share, _detail: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[detail]}"), TimeElapsedColumn())
    with Progress(*columns, console=stderr, transient=True) as progress:
        task = progress.add_task(label, total=1.0, detail="")
        yield lambda share, detail: progress.update(task, completed=share, detail=detail)


@contextmanager
def told(label: str) -> Iterator[Callable[[str, int, int], None]]:
    """Progress of an evaluation (its stage, how much is done, of how much) as a bar."""
    with progress_bar(label) as bar:

        def tell(stage: str, done: int, total: int) -> None:
            bar(done / total if total else 1.0, f"{stage} {done:,} of {total:,}")

        yield tell
