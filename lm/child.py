"""A child process that is spoken to in lines of JSON. Knows the lines, not what they mean.

Each exchange has a number; what the child says under it goes to that exchange's sink, from the reader's thread.
Nothing here waits for the child: a thread writes and a thread reads.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

Sink: TypeAlias = Callable[[Mapping[str, Any]], object]
LAST_EVENTS = frozenset({"done", "cancelled", "counted", "error", "gone"})
_ROOT = Path(__file__).resolve().parent.parent
_CLOSE_WAIT_S = 2.0


class Child:
    """Starts ``python -m module``. ``general`` hears what has no number.

    When the process ends, every open sink and ``general`` hear {"event": "gone", "exit_code": N}.
    """

    def __init__(self, module: str, general: Sink) -> None:
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._lock = threading.Lock()
        self._sinks: dict[int, Sink] = {}
        self._general = general
        self._next = 1
        self.gone = False
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._write, name=f"{module}-in", daemon=True),
            threading.Thread(target=self._read, name=f"{module}-out", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def open_exchanges(self) -> int:
        with self._lock:
            return len(self._sinks)

    def send(self, message: Mapping[str, Any]) -> None:
        self._outbox.put(json.dumps(message).encode() + b"\n")

    def ask(self, message: Mapping[str, Any], sink: Sink) -> int:
        """Sends ``message`` under a new number, which is returned; ``sink`` hears what is said under it."""
        with self._lock:
            number = self._next
            self._next += 1
            gone = self.gone
            if not gone:
                self._sinks[number] = sink
        if gone:
            sink(self._farewell())
        else:
            self.send({**message, "id": number})
        return number

    def close(self) -> None:
        """Ends the process: politely, then not."""
        self._outbox.put(None)
        if not self._ended():
            self._process.terminate()
            if not self._ended():
                self._process.kill()
                self._process.wait()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_CLOSE_WAIT_S)

    def _ended(self) -> bool:
        try:
            self._process.wait(_CLOSE_WAIT_S)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _write(self) -> None:
        stdin = self._process.stdin
        if stdin is None:
            return
        try:
            while (line := self._outbox.get()) is not None:
                stdin.write(line)
                stdin.flush()
        except BrokenPipeError:
            pass  # the reader sees the end of the process and tells everyone
        with contextlib.suppress(BrokenPipeError):
            stdin.close()

    def _read(self) -> None:
        stdout = self._process.stdout
        if stdout is None:
            return
        with stdout:
            for line in stdout:
                self._dispatch(json.loads(line))
        self._process.wait()
        with self._lock:
            self.gone = True
            sinks = [*self._sinks.values(), self._general]
            self._sinks.clear()
        self._outbox.put(None)
        for sink in sinks:
            sink(self._farewell())

    def _dispatch(self, message: Mapping[str, Any]) -> None:
        number = message.get("id")
        if number is None:
            self._general(message)
            return
        with self._lock:
            last = message["event"] in LAST_EVENTS
            sink = self._sinks.pop(number, None) if last else self._sinks.get(number)
        if sink is not None:
            sink(message)

    def _farewell(self) -> Mapping[str, Any]:
        return {"event": "gone", "exit_code": self._process.returncode}
