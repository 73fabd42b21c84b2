"""The whole corpus of hostile files uploaded to a running service with its own settings: the limits of TRUST.md.

Each file ends within 10 s, the child that reads it stays under 512 MB, the API's p95 at most doubles, nothing falls.
"""

from __future__ import annotations

import contextlib
import io
import logging
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.client import ApiError, Client
from ingest.job import FINAL_STATES
from tests.support.hostile_files import HOSTILE, name_of
from tests.support.servers import RunningServer, openbook_server

logger = logging.getLogger(__name__)
LIMIT_S = 10.0
LIMIT_BYTES = 512 * 2**20
IDLE_S = 15.0
ASK_EVERY_S = 0.05
READ = 0.1  # of a job's progress


class Asker(threading.Thread):
    """Asks the API what people ask all the time, and notes how long each answer took."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._client = Client(url)
        self.took: list[float] = []
        self.stop = threading.Event()

    def run(self) -> None:
        with self._client as client:
            while not self.stop.wait(ASK_EVERY_S):
                begun = time.perf_counter()
                assert client.search("words of a benign file", ["c"], k=5)
                client.health()
                self.took.append(time.perf_counter() - begun)

    def p95(self) -> float:
        return statistics.quantiles(self.took, n=20)[-1]


@contextmanager
def asking(url: str) -> Iterator[Asker]:
    asker = Asker(url)
    asker.start()
    yield asker
    asker.stop.set()
    asker.join()


class Scale(threading.Thread):
    """Weighs the parsing children of a server until stopped."""

    def __init__(self, server: RunningServer) -> None:
        super().__init__(daemon=True)
        self._root = psutil.Process(server.process.pid)
        self.heaviest = 0
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.02):
            for child in self._root.children(recursive=True):
                try:
                    if "ingest.parse.child" in " ".join(child.cmdline()):
                        self.heaviest = max(self.heaviest, child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_hostile_files_end_soon_and_nobody_else_notices(tmp_path: Path, model_cache: Path) -> None:
    with openbook_server(tmp_path / "data") as server, server.client() as client:
        client.create_collection("c")
        (benign,) = client.upload("c", [("benign.txt", io.BytesIO(b"Words of a benign file."))])
        while client.job(benign["job_id"])["state"] != "ready":
            time.sleep(0.1)
        with asking(server.api_url) as idle:
            time.sleep(IDLE_S)
        scale = Scale(server)
        scale.start()
        late, states = {}, {}
        with asking(server.api_url) as busy:
            for what, make in HOSTILE.items():
                data = make()
                begun = time.monotonic()
                (job,) = client.upload("c", [(f"{len(states)}-{name_of(what)}", io.BytesIO(data))])
                job, took = ended(client, job["job_id"], begun)
                states[what] = job["state"]
                if took > LIMIT_S:
                    late[what] = (round(took, 1), job["state"], job["reason"])
                assert job["state"] != "failed" or job["reason"], what
        scale.stop.set()
        scale.join()
        logger.info("%d files, of which rejected: %d", len(states), list(states.values()).count("failed"))
        logger.info("heaviest child: %d MiB", scale.heaviest // 2**20)
        logger.info("p95: %.1f ms idle, %.1f ms meanwhile", idle.p95() * 1e3, busy.p95() * 1e3)
        assert late == {}
        assert scale.heaviest < LIMIT_BYTES
        assert busy.p95() <= 2 * idle.p95() + 0.005  # half of a tick of the kernel's is not the API's doing
        assert server.output.count("starting it again") == 0


def ended(client: Client, job_id: str, begun: float) -> tuple[Any, float]:
    """The job once it has ended, or once its file is read: what is read is cut and encoded as long as any other."""
    deadline = time.monotonic() + 60
    while (job := client.job(job_id))["state"] not in FINAL_STATES:
        assert time.monotonic() < deadline, job
        if job["progress"] >= READ:
            read, took = job, time.monotonic() - begun
            with contextlib.suppress(ApiError):  # it has just ended
                client.cancel_job(job_id)
            while client.job(job_id)["state"] not in FINAL_STATES:
                assert time.monotonic() < deadline, "it cannot be cancelled"
                time.sleep(0.02)
            return read, took
        time.sleep(0.02)
    return job, time.monotonic() - begun
