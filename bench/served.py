"""A server in a process of its own, for benchmarks that ask as people do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.client import Client
from app.datadir import ServerAddress, find_server
from app.waiting import wait_until_ready

START_S = 180.0


@contextmanager
def served(data_dir: Path, environment: Mapping[str, str], *, page_port: int | None = None) -> Iterator[ServerAddress]:
    """Starts ``openbook serve`` over ``data_dir``, with its page only where that has a port, and ends it afterwards.

    Raises:
        RuntimeError: it did not start.
    """
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--data-dir", str(data_dir)]
    command += ["--no-ui"] if page_port is None else ["--ui-port", str(page_port)]
    process = subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_S
        while (found := find_server(data_dir)) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the server did not start")
            time.sleep(0.1)
        with Client(found.url, token=found.token) as client:
            wait_until_ready(client, START_S)
        yield found
    finally:
        process.terminate()
        process.wait(60)
