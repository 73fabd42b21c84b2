"""Runs one write in a child and stops the child dead at a chosen step of it; see ``test_store_crash``.

A step is a line of our own code that runs for the first time: with each of them in turn as the last one, every state
that a kill can leave behind is visited. ``os._exit`` runs no handler, flushes no buffer and closes nothing.

Reads lines ``DATA_DIR OPERATION STEP`` (step 0: run to the end) and answers each with ``STATUS ACKNOWLEDGED STEPS``.
It forks a child for each, so that the imports are paid for once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from retrieval import editions  # noqa: E402
from tests.support import edition_steps as steps  # noqa: E402
from tests.support.library import library_parts, open_library  # noqa: E402

WATCHED = (str(REPO / "retrieval"), str(REPO / "core"))
NEW_TEXT = "replaced with other words entirely and then some more of them"
FIRST = "some words of file number1 and a few more words to make two passages"
KILLED = 42


class Counter:
    """Counts lines that run for the first time, in any thread, and stops the process at one of them."""

    def __init__(self, stop_at: int) -> None:
        self.seen: set[tuple[str, int]] = set()
        self._stop_at = stop_at

    def arm(self) -> None:
        sys.settrace(self._trace)

    def disarm(self) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(WATCHED):
            return None
        if event == "line":
            self.seen.add((frame.f_code.co_filename, frame.f_lineno))
            if len(self.seen) == self._stop_at:
                os._exit(KILLED)
        return self._trace


def operate(data_dir: Path, operation: str, counter: Counter) -> None:
    if operation == "start":
        parts = library_parts(data_dir)
        counter.arm()
        parts.engine.open()
        counter.disarm()
        return
    lib = open_library(data_dir)
    if not lib.engine.settle(60):
        raise TimeoutError("the engine did not come to rest")
    counter.arm()
    match operation:
        case "put" | "replace":
            with lib.store.originals.receiving([NEW_TEXT.encode()], 10_000):
                lib.put("a", "new" if operation == "put" else "f1", NEW_TEXT)
        case "delete":
            lib.delete("a", "f1")
        case "drop":
            lib.drop("a")
        case "copy":
            steps.copy(lib, steps.begin(lib), "f1", FIRST)
        case "switch":  # all the copies are there
            steps.switch(lib, 1)
        case "roll-back":  # after the switch
            lib.engine.add_encoder(steps.NEW)
            steps.roll_back(lib)
        case "abandon":
            with lib.database.write() as connection:
                editions.abandon(connection, 1)
            steps.sweep(lib)
        case "close":
            lib.delete("a", "f1")
            lib.engine.close()
    counter.disarm()


def child(data_dir: Path, operation: str, stop_at: int, told: int) -> None:
    """Tells on the pipe ``told`` what the caller would have been told before the process died."""
    counter = Counter(stop_at)
    try:
        operate(data_dir, operation, counter)
        os.write(told, f"1 {len(counter.seen)}".encode())
    except BaseException as e:  # noqa: BLE001 (told to whoever waits, then over)
        os.write(2, f"{operation} {stop_at}: {e!r}\n".encode())
        os._exit(1)
    os._exit(0)


def main() -> None:
    for line in sys.stdin:
        data_dir, operation, stop_at = line.split()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            child(Path(data_dir), operation, int(stop_at), writing)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            told = pipe.read() or "0 0"
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)} {told}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
