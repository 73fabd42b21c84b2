"""A command that found no server is one itself, with a worker that is looked after like a server's own."""

from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from app.client import Client
from app.local import kept_alive, local_server
from app.serve import MAX_RESTARTS, Child
from app.waiting import wait_until_ready
from core.errors import OpenbookError
from core.settings import Settings
from tests.support.jobs import settled


def child(script: str) -> Child:
    return Child("worker", [sys.executable, "-S", "-c", script], dict(os.environ))


def test_what_ends_is_started_again_and_stopped_in_the_end(tmp_path: Path) -> None:
    # Ends at its first two starts, and stays from the third on.
    script = f"""
import pathlib, sys, time
starts = pathlib.Path({str(tmp_path / "starts")!r})
before = starts.read_text() if starts.exists() else ""
starts.write_text(before + "x")
sys.exit(1) if len(before) < 2 else time.sleep(60)
"""
    made = child(script)
    with kept_alive(made):
        deadline = time.monotonic() + 20
        while len(made.starts) < 3:
            assert time.monotonic() < deadline, "nobody started it again"
            time.sleep(0.02)
        assert made.environment["OPENBOOK_REPLACES"].count(",") == 1, "the third tells of both"
        time.sleep(0.5)
        assert made.exit_code is None
    assert made.exit_code is not None


def test_what_cannot_be_kept_alive_ends_the_command_that_would_wait_for_it_for_ever() -> None:
    made = child("raise SystemExit(3)")
    with pytest.raises(OpenbookError, match=r"the worker process keeps ending \(exit 3\)"), kept_alive(made):
        time.sleep(60)
    assert len(made.starts) == MAX_RESTARTS + 1


@pytest.mark.slow  # a server and two workers
def test_a_command_whose_worker_is_killed_still_comes_to_its_end(tmp_path: Path, model_cache: Path) -> None:
    settings = Settings(data_dir=tmp_path, lm_runtime="none", reranker="none", verifier="rules")
    with local_server(settings, worker=True) as address, Client(address.url, token=address.token) as client:
        wait_until_ready(client, 60)
        (worker,) = [p for p in psutil.Process().children() if "app.worker" in p.cmdline()]
        worker.kill()
        client.create_collection("c")
        (job,) = client.upload("c", [("lamp.md", io.BytesIO(b"The lamp burns for nine hours."))])
        assert settled(client, job["job_id"], 60)["state"] == "ready"
