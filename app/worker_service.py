"""``openbook worker``: a worker in a process, or a container, of its own, for a server that was started with ``--no-worker``.

It shares the server's data directory, which it only reads: the server's address and token lie there, and so do the uploaded files.
A server that has begun anew has another token; the worker follows. What a worker does is ``app.worker``.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import httpx

from app.datadir import ServerAddress, announced_server
from app.handover import process_name
from app.serve import MAX_RESTARTS, STOP_TIMEOUT_S, Child
from core.settings import Settings, as_environment

LOOK_S = 1.0
# Touched at every look: whether this is alive, a container's health check tells by its age.
ALIVE = Path(tempfile.gettempdir()) / "openbook-worker.alive"


class WorkerService:
    """
    Args:
        api_url: where the server is reached from here; None: where it says itself.
        say: hears a line for people.
    """

    def __init__(self, settings: Settings, api_url: str | None, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._api_url = api_url
        self._say = say
        self._stopping = False

    def run(self) -> int:
        """Until a signal (0), or until the worker cannot be kept alive (1)."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        child: Child | None = None
        served: ServerAddress | None = None
        try:
            while not self._stopping:
                found = announced_server(self._settings.data_dir)
                if found is not None and (served is None or found.token != served.token):
                    if child is not None:
                        child.stop(STOP_TIMEOUT_S)
                    served, child = found, self._child(found)
                    child.start()
                    self._say(f"working for {self._url(found)}")
                elif child is not None and (code := child.exit_code) is not None:
                    if len(child.starts) > MAX_RESTARTS:
                        self._say(f"the worker process keeps ending (exit {code}): giving up")
                        return 1
                    self._say(f"the worker process ended (exit {code}): starting it again")
                    child.start()
                ALIVE.touch()
                time.sleep(LOOK_S)
            self._say("stopping")
            return 0
        finally:
            if child is not None and served is not None:
                child.stop(STOP_TIMEOUT_S)
                self._say_gone(child, served)

    def _say_gone(self, child: Child, server: ServerAddress) -> None:
        """So that what it had in hand need not wait for its lease to run out; a server that is away finds that out by itself."""
        if child.process is None:
            return
        url = f"{self._url(server)}/internal/workers/{process_name(child.process.pid, socket.gethostname())}/gone"
        try:
            httpx.post(
                url,
                params={"stopped": self._stopping},
                headers={"Authorization": f"Bearer {server.token}"},
                timeout=5,
                trust_env=False,
            )
        except httpx.HTTPError as e:
            self._say(f"the server does not answer ({e}): what was at work waits until its lease has run out")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _url(self, server: ServerAddress) -> str:
        return self._api_url or server.url

    def _child(self, server: ServerAddress) -> Child:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("OPENBOOK_")},
            **as_environment(self._settings),
            "OPENBOOK_PARENT_PID": str(os.getpid()),
            "OPENBOOK_API_URL": self._url(server),
            "OPENBOOK_WORKER_TOKEN": server.token,
            # Two containers may have the same process ids.
            "OPENBOOK_WORKER_HOST": socket.gethostname(),
        }
        return Child("worker", [sys.executable, "-m", "app.worker"], environment)


def work(settings: Settings, api_url: str | None, say: Callable[[str], None]) -> int:
    """As ``WorkerService.run``; waits for a server that is not there yet."""
    data_dir = Path(settings.data_dir)
    if announced_server(data_dir) is None:
        say(f"waiting for a server that uses {data_dir.absolute()}")
    return WorkerService(settings, api_url, say).run()
