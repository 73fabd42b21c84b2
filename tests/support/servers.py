"""Real servers for tests: `openbook serve` on free loopback ports over a data directory of the test's own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.client import Client, ServerUnreachable
from app.datadir import find_server
from app.waiting import wait_until_ready

REPO = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 120.0


@dataclass(slots=True)
class RunningServer:
    process: subprocess.Popen[str]
    data_dir: Path
    log: list[str] = field(default_factory=list)

    @property
    def api_url(self) -> str:
        return self._said(r"API\s+(http://\S+)")

    @property
    def ui_url(self) -> str:
        return self._said(r"Page\s+(http://\S+)")

    @property
    def output(self) -> str:
        return "".join(self.log)

    def client(self) -> Client:
        return Client(self.api_url)

    def stop(self) -> int:
        """As Ctrl-C would; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def _said(self, pattern: str) -> str:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            found = re.search(pattern, self.output)
            if found:
                return found.group(1)
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"the server did not say {pattern}:\n{self.output}")


@contextmanager
def openbook_server(
    data_dir: Path,
    *,
    ui: bool = False,
    env: Mapping[str, str] | None = None,
    wait: bool = True,
    options: Sequence[str] = (),
) -> Iterator[RunningServer]:
    """Starts a server, waits until searching is ready, and stops it at the end."""
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--ui-port", "0", "--data-dir", str(data_dir)]
    if not ui:
        command.append("--no-ui")
    command += options
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBOOK_")}
    environment |= {"OPENBOOK_LM_RUNTIME": "none", "COLUMNS": "500", **(env or {})}
    process = subprocess.Popen(
        command, cwd=REPO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    server = RunningServer(process, data_dir)
    reader = threading.Thread(target=_collect, args=(server,), daemon=True)
    reader.start()
    try:
        if wait:
            with server.client() as client:
                wait_until_ready(client, START_TIMEOUT_S)
        yield server
    finally:
        try:
            server.stop()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            reader.join(5)
            if process.stdout is not None:
                process.stdout.close()


def _collect(server: RunningServer) -> None:
    if server.process.stdout is not None:
        for line in server.process.stdout:
            server.log.append(line)


def api_pid(server: RunningServer) -> int:
    """The process that writes: the one to kill."""
    found = find_server(server.data_dir)
    if found is None:
        raise AssertionError("no server holds the data directory")
    return found.pid


def kill_api(server: RunningServer, within_s: float = 60.0) -> None:
    """Kills it (SIGKILL) and returns when its successor answers, or when that takes too long to wait for."""
    os.kill(api_pid(server), signal.SIGKILL)
    deadline = time.monotonic() + within_s
    with server.client() as client:
        while time.monotonic() < deadline:
            try:
                client.health()
                return
            except ServerUnreachable:
                time.sleep(0.2)
