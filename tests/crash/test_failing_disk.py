"""A disk that is full or broken at any call of any write: no false yes, searches go on, nothing is lost.

The n-th write, sync or rename below the data directory fails, once or from then on, until the disk is well again.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.client import ApiError
from tests.crash.test_store_crash import AFTER, BEFORE, state
from tests.support.failing_disk import BROKEN, FULL, SYNCS, FailingDisk, preloadable
from tests.support.hash_encoder import HashEncoder
from tests.support.library import library
from tests.support.servers import openbook_server

pytestmark = pytest.mark.skipif(not preloadable(), reason="no C compiler to build the failing disk with")
DRIVER = Path(__file__).with_name("failing_disk_driver.py")
OPERATIONS = ["put", "replace", "delete", "drop"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared") / "data"
    with library(folder) as lib:
        lib.create("a")
        for text in BEFORE.values():
            lib.store.originals.put_stream([text.encode()], 1000)
        lib.put_many("a", BEFORE)
    return folder


class Driver:
    """A process under a failing disk that copies the prepared directory and does one thing to the copy."""

    def __init__(self, place: Path, prepared: Path) -> None:
        self.disk = FailingDisk(place / "disk", place / "control")
        self._prepared = prepared
        self._root = place / "disk"
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **self.disk.environment}
        self._process = subprocess.Popen(
            [sys.executable, str(DRIVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __call__(self, operation: str, *, at: int = 0, number: int = FULL, lasting: bool = True) -> str:
        """ "yes" if it was acknowledged, the error's code if not; the copy is checked and removed."""
        folder = self._root / f"{operation}-{at}"
        shutil.copytree(self._prepared, folder)
        self._tell(f"open {folder}", "opened")
        if at:
            self.disk.fail(number, at=at, lasting=lasting)
        else:
            self.disk.count()
        said = self._tell(operation)
        found = self._tell("search")
        self.disk.heal()
        assert found == "found" or AFTER[operation] is None, f"{operation}, call {at}: searches stopped: {found}"
        self._tell("settle", "settled")
        acknowledged = said == "yes"
        after = self._tell("state")
        expected = [AFTER[operation]] if acknowledged else [AFTER[operation], BEFORE]
        assert after in [json.dumps(e, sort_keys=True) for e in expected], f"{operation}, call {at}, {said}: {after}"
        self._tell("close", "closed")
        with library(folder, HashEncoder()) as lib:
            assert json.dumps(state(lib), sort_keys=True) == after, (
                f"{operation}, call {at}, {said}: another state after a restart"
            )
            assert lib.engine.settle(60)
            assert lib.engine.status().problems == ()
        shutil.rmtree(folder)
        return said

    def _tell(self, line: str, expected: str | None = None) -> str:
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert expected in (None, answer), f"{line}: {answer}"
        return answer

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)
        self.disk.close()


@pytest.fixture(scope="module")
def driver(tmp_path_factory, prepared):
    driver = Driver(tmp_path_factory.mktemp("failing"), prepared)
    yield driver
    driver.close()


def calls_of(driver: Driver, operation: str) -> int:
    assert driver(operation) == "yes"
    assert driver.disk.seen > 3, "the failing disk does not see this process write"
    return driver.disk.seen


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("number", "lasting"), [(FULL, True), (BROKEN, False)])
def test_a_disk_that_fails_at_some_calls_loses_nothing(driver, operation, number, lasting):
    calls = calls_of(driver, operation)
    for at in sorted({1, 2, 3, calls // 2, calls - 1}):
        driver(operation, at=at, number=number, lasting=lasting)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("number", [FULL, BROKEN])
@pytest.mark.parametrize("lasting", [True, False])
def test_a_disk_that_fails_at_any_call_loses_nothing(driver, operation, number, lasting):
    calls = calls_of(driver, operation)
    for at in range(1, calls + 1):
        driver(operation, at=at, number=number, lasting=lasting)


def test_a_full_disk_is_called_full(driver):
    assert driver("put", at=1, number=FULL) == "disk-full"
    assert driver("put", at=1, number=BROKEN) == "storage-failed"


def test_a_server_on_a_full_disk_says_507_goes_on_searching_and_recovers(tmp_path, model_cache):
    disk = FailingDisk(tmp_path / "data", tmp_path / "control")
    with openbook_server(tmp_path / "data", env=disk.environment) as server, server.client() as client:
        client.create_collection("c")
        client.upload("c", [("before.txt", io.BytesIO(b"Words that were there before the disk was full."))])
        until(lambda: client.documents("c")["documents"])
        disk.fail(FULL)
        refused = []
        for call in (
            lambda: client.upload("c", [("lost.txt", io.BytesIO(b"Words that come too late."))]),
            lambda: client.create_collection("d"),
            lambda: client.delete_document(client.documents("c")["documents"][0]["doc_id"]),
        ):
            with pytest.raises(ApiError) as caught:
                call()
            refused.append((caught.value.status, "full" in caught.value.message))
        assert refused == [(507, True)] * 3
        for retriever in ("bm25", "dense", "hybrid"):
            until(lambda retriever=retriever: found_now(client, retriever), 10)
        assert client.health()["status"] == "ok"
        disk.heal()
        client.upload("c", [("after.txt", io.BytesIO(b"Words after space was made."))])
        until(lambda: {d["title"] for d in client.documents("c")["documents"]} == {"before", "after"})
        until(lambda: {j["state"] for j in client.jobs()} == {"ready"})
    disk.close()


@pytest.mark.slow
def test_a_file_at_work_when_the_disk_fills_is_ready_once_there_is_space(tmp_path, model_cache):
    disk = FailingDisk(tmp_path / "data", tmp_path / "control")
    with openbook_server(tmp_path / "data", env=disk.environment) as server, server.client() as client:
        client.create_collection("c")
        text = "\n\n".join(f"Paragraph {i} of a file that takes a while to encode." for i in range(600))
        (job,) = client.upload("c", [("long.txt", io.BytesIO(text.encode()))])
        until(lambda: client.job(job["job_id"])["state"] not in ("queued", "received"))
        disk.fail(FULL)
        time.sleep(8)
        assert client.job(job["job_id"])["state"] not in ("ready", "partial")
        disk.heal()
        until(lambda: client.job(job["job_id"])["state"] == "ready", 120)
        assert client.search("paragraph 599", ["c"])


@pytest.mark.slow
def test_a_first_start_on_a_full_disk_says_so(tmp_path):
    disk = FailingDisk(tmp_path / "data", tmp_path / "control")
    disk.fail(FULL)
    environment = {**os.environ, **disk.environment}
    command = [sys.executable, "-m", "app.cli", "serve", "--no-ui", "--port", "0", "--data-dir", str(tmp_path / "data")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "full" in ended.stderr
    assert "Traceback" not in ended.stderr
    disk.close()


def test_the_shim_fails_what_it_is_told_to_and_nothing_else(tmp_path):
    disk = FailingDisk(tmp_path / "data", tmp_path / "control")
    disk.fail(BROKEN, at=2, lasting=False, kinds=SYNCS)
    script = """
import os, sys
for place in sys.argv[1:]:
    for n in range(3):
        with open(os.path.join(place, str(n)), "wb") as f:
            f.write(b"x")
            f.flush()
            try:
                os.fsync(f.fileno())
                print("ok")
            except OSError as e:
                print(e.errno)
"""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-c", script, str(elsewhere), str(tmp_path / "data")]
    ended = subprocess.run(command, env={**os.environ, **disk.environment}, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["ok"] * 3 + ["ok", str(errno.EIO), "ok"]
    disk.close()


def found_now(client, retriever):
    """Whether it is found; no is allowed for the moment in which the terms move from the full disk into memory alone."""
    try:
        return bool(client.search("words before", ["c"], retriever=retriever))
    except ApiError as e:
        assert (e.status, retriever) == (503, "bm25"), e.message
        return False


def until(true, timeout_s: float = 60.0):
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
