"""A service that is stopped, or whose processes are killed, in the middle of taking in a folder: it goes on where it was."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.client import Client
from app.datadir import find_server
from bench.kills import pid_of
from tests.support.servers import REPO, openbook_server

FILES = 30
WORKERS = 2  # the setting's default: so many files are in flight


def text(number: int) -> bytes:
    body = "\n\n".join(
        f"Paragraph {i} of file {number} has words to be encoded, one after the other." for i in range(40)
    )
    return f"# File {number}\n\n{body}\n".encode()


def ready(client: Client) -> dict[str, str]:
    return {j["job_id"]: j["updated_at"] for j in client.job_page(collection="c", states=["ready"], limit=200)["jobs"]}


def until(true, timeout_s=120.0):
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_stop_in_the_middle_repeats_no_more_than_what_was_in_flight(tmp_path: Path, model_cache: Path) -> None:
    with openbook_server(tmp_path / "data") as server, server.client() as client:
        client.create_collection("c")
        client.upload("c", [(f"{n}.md", io.BytesIO(text(n))) for n in range(FILES)])
        until(lambda: len(ready(client)) >= FILES // 4)
        before = ready(client)
        assert server.stop() == 0
    with openbook_server(tmp_path / "data") as server, server.client() as client:
        until(lambda: len(ready(client)) == FILES)
        after = client.jobs(collection="c", limit=200)
        assert {j["job_id"]: j["updated_at"] for j in after if j["job_id"] in before} == before, "done is done"
        assert {j["attempts"] for j in after} == {1}, "a stop in good order is no failed attempt"
        assert client.collections()[0]["documents"] == FILES


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, 2])
def test_a_worker_that_is_killed_costs_its_files_an_attempt_and_the_rest_nothing(
    tmp_path: Path, model_cache: Path, kills: int
) -> None:
    with openbook_server(tmp_path / "data") as server, server.client() as client:
        client.create_collection("c")
        client.upload("c", [(f"{n}.md", io.BytesIO(text(n))) for n in range(FILES)])
        until(lambda: len(ready(client)) >= 5)
        killed: list[int] = []
        for _ in range(kills):  # the second as soon as it is there: before it could say that the first is no more
            until(lambda: pid_of(server.data_dir, "worker") not in (pid_of(server.data_dir, "api"), *killed))
            killed.append(pid_of(server.data_dir, "worker"))
            os.kill(killed[-1], signal.SIGKILL)
        until(lambda: len(ready(client)) == FILES, 60.0)  # without waiting for a lease of five minutes
        attempts = [j["attempts"] for j in client.jobs(collection="c", limit=200)]
        assert attempts.count(2) <= WORKERS
        assert set(attempts) <= {1, 2}


@pytest.mark.slow
def test_the_command_line_waits_while_the_server_is_started_again(tmp_path: Path, model_cache: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for n in range(FILES):
        (folder / f"{n}.md").write_bytes(text(n))
    with openbook_server(tmp_path / "data") as server, server.client() as client:
        command = [
            sys.executable,
            "-m",
            "app.cli",
            "ingest",
            str(folder),
            "-c",
            "c",
            "--data-dir",
            str(server.data_dir),
        ]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBOOK_")}
        with (
            subprocess.Popen(
                command, cwd=REPO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as running,
            contextlib.ExitStack() as stack,
        ):
            stack.callback(running.kill)
            until(lambda: client.collections() and len(ready(client)) >= 5)
            found = find_server(server.data_dir)
            assert found is not None
            os.kill(found.pid, signal.SIGKILL)
            said, _ = running.communicate(timeout=120)
            stack.pop_all()
        assert running.returncode == 0, said
        assert said.count("ready ") == FILES, said
