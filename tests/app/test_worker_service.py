"""A worker apart from its server, as in containers: it finds the server by the data directory, and follows it when it begins anew."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from app.client import Client
from tests.support.jobs import settled
from tests.support.servers import REPO, openbook_server

pytestmark = pytest.mark.slow  # two servers and a worker
ENV = {"OPENBOOK_RERANKER": "none", "OPENBOOK_VERIFIER": "rules"}


@contextmanager
def worker(data_dir: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "app.cli", "worker", "--data-dir", str(data_dir)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBOOK_")}
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=REPO, env=environment, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def sent(client: Client, name: str) -> str:
    text = f"# {name}\n\nThe {name} lamp burns for nine hours.\n".encode()
    (job,) = client.upload("apart", [(f"{name}.md", io.BytesIO(text))])
    return job["job_id"]


def test_files_wait_for_a_worker_that_finds_its_server_and_finds_it_again(tmp_path: Path, model_cache: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "worker.log"
    with worker(data, log) as service:
        with openbook_server(data, env=ENV, options=["--no-worker"]) as server, server.client() as client:
            assert len(psutil.Process(server.process.pid).children()) == 1, "the API alone"
            client.create_collection("apart")
            assert settled(client, sent(client, "first"))["state"] == "ready"
        with openbook_server(data, env=ENV, options=["--no-worker"]) as server, server.client() as client:
            assert settled(client, sent(client, "second"))["state"] == "ready"
            # One that is killed is started again by its own supervisor, and what it had in hand waits no lease out.
            (child,) = psutil.Process(service.pid).children()
            child.send_signal(signal.SIGKILL)
            assert settled(client, sent(client, "third"))["state"] == "ready"
            assert client.search("which lamp", ["apart"])
        service.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 15
        while service.poll() is None:
            assert time.monotonic() < deadline, "it does not stop"
            time.sleep(0.05)
        assert service.returncode == 0
    said = log.read_text()
    assert "waiting for a server" in said and said.count("working for http://127.0.0.1:") == 2, said
    assert "starting it again" in said and "Traceback" not in said


def test_what_a_stopped_worker_had_in_hand_goes_to_the_next_at_once(tmp_path: Path, model_cache: Path) -> None:
    long = "\n\n".join(
        f"Entry {n}: the keeper of the lighthouse counted {n * 7} geese that night." for n in range(20_000)
    )
    with openbook_server(tmp_path / "data", env=ENV, options=["--no-worker"]) as server, server.client() as client:
        client.create_collection("apart")
        with worker(tmp_path / "data", tmp_path / "first.log") as service:
            (job,) = client.upload("apart", [("long.md", io.BytesIO(long.encode()))])
            settled(client, job["job_id"], 120.0, states=("parsing", "encoding"))
            service.send_signal(signal.SIGTERM)
            assert service.wait(30) == 0
        waiting = client.job(job["job_id"])
        assert waiting["state"] == "queued", "a lease lasts five minutes"
        assert waiting["attempts"] == 0, "it was stopped, which no file is to blame for"


def test_without_a_worker_a_file_waits(tmp_path: Path, model_cache: Path) -> None:
    with openbook_server(tmp_path, env=ENV, options=["--no-worker"]) as server, server.client() as client:
        client.create_collection("apart")
        job = sent(client, "first")
        time.sleep(2)
        assert client.job(job)["state"] == "queued"
