"""``openbook ingest --watch``."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import typer

from app.cli.common import connected, print_json, say, settings_of
from app.cli.ingest import ensure_collection
from app.client import Client, ServerUnreachable
from app.watch import POLL_S, Memory, Watch

RECONNECT_S = 2.0


def watch_folder(
    paths: Sequence[Path], collection: str, chunker: str | None, *, as_json: bool, data_dir: Path | None
) -> None:
    """Follows one folder until Ctrl-C or SIGTERM, through a server or as one; a server that goes is waited for."""
    if len(paths) != 1 or not paths[0].is_dir():
        raise typer.BadParameter(f"--watch takes one folder, not {', '.join(map(str, paths))}", param_hint="--watch")
    folder = paths[0].resolve()
    signal.signal(signal.SIGTERM, _stop)
    memory = Memory(settings_of(data_dir).data_dir, collection, folder)
    told = say if as_json else print_line
    watch = Watch(folder, collection, memory, told, chunker=chunker)
    say(f"watching {folder} for the collection {collection} (Ctrl-C stops)")
    try:
        with memory.held():
            while True:
                try:
                    with connected(data_dir, worker=True, announce=True) as client:
                        ensure_collection(client, collection)
                        _follow(watch, client)
                except ServerUnreachable as e:
                    say(f"{e.message}; trying again")
                    time.sleep(RECONNECT_S)
    except KeyboardInterrupt:
        done = watch.tally
        if as_json:
            print_json({"folder": str(folder), "collection": collection, **asdict(done)})
        say(f"stopped: {done.ready} taken, {done.deleted} deleted, {len(done.failed)} failed")


def _follow(watch: Watch, client: Client) -> None:
    in_step = False
    while True:
        before, in_step = in_step, watch.step(client)
        if in_step and not before:
            say("in step")
        time.sleep(POLL_S)


def print_line(line: str) -> None:
    print(line, flush=True)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
