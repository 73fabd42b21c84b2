"""A server for the length of one command: same routes, same worker, on a loopback port nobody was told."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from app.datadir import ServerAddress
from app.server import BackgroundServer
from core.settings import Settings, as_environment


@contextmanager
def local_server(settings: Settings, *, worker: bool, announce: bool = False) -> Iterator[ServerAddress]:
    """Takes the data directory's lock until the end. Raises DataDirLocked if another process has it."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with BackgroundServer(settings).run(announce=announce) as address:
        process = _start_worker(settings, address) if worker else None
        try:
            yield address
        finally:
            if process is not None:
                process.terminate()
                process.wait()


def _start_worker(settings: Settings, address: ServerAddress) -> subprocess.Popen[bytes]:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("OPENBOOK_")},
        **as_environment(settings),
        "OPENBOOK_API_URL": address.url,
        "OPENBOOK_WORKER_TOKEN": address.token,
        "OPENBOOK_PARENT_PID": str(os.getpid()),
    }
    return subprocess.Popen([sys.executable, "-m", "app.worker"], env=environment, stdin=subprocess.DEVNULL)
