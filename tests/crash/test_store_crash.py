"""Killed at any step of any write: what was acknowledged is there, what was not is there in whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.ids import document_id
from tests.support.hash_encoder import HashEncoder
from tests.support.library import LOCAL, library

DRIVER = Path(__file__).with_name("crash_driver.py")
NEW_TEXT = "replaced with other words entirely and then some more of them"  # as in the driver
KILLED = 42
BEFORE = {f"f{i}": f"some words of file number{i} and a few more words to make another of number{i}" for i in range(4)}
AFTER = {
    "put": {**BEFORE, "new": NEW_TEXT},
    "replace": {**BEFORE, "f1": NEW_TEXT},
    "delete": {k: v for k, v in BEFORE.items() if k != "f1"},
    "close": {k: v for k, v in BEFORE.items() if k != "f1"},
    "drop": None,
    "start": BEFORE,
}


class Driver:
    def __init__(self):
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(DRIVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __call__(self, data_dir: Path, operation: str, stop_at: int = 0) -> tuple[int, bool, int]:
        """(exit status, acknowledged, number of steps)"""
        self._process.stdin.write(f"{data_dir} {operation} {stop_at}\n")
        self._process.stdin.flush()
        status, acknowledged, steps = map(int, self._process.stdout.readline().split())
        return status, bool(acknowledged), steps

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)


@pytest.fixture(scope="module")
def driver():
    driver = Driver()
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A data directory with one collection of four documents, closed in good order."""
    folder = tmp_path_factory.mktemp("prepared") / "data"
    with library(folder) as lib:
        lib.create("a")
        with lib.store.originals.receiving([b"nobody's"], 10):
            pass
        for text in BEFORE.values():
            lib.store.originals.put_stream([text.encode()], 1000)  # pinned until the end: the sweep may come now
        lib.put_many("a", BEFORE)
    return folder


def state(lib):
    """What everybody can see, checked to be the same in every way of looking; None without the collection."""
    if not lib.store.list_collections(LOCAL):
        assert lib.search("words", 100) == []
        return None
    listed, _ = lib.store.list_documents(LOCAL, "a")
    found = {d.uri: lib.store.get_document(LOCAL, d.doc_id).text for d in listed}
    chunks = {c.chunk_id for uri in found for c in lib.store.list_chunks(LOCAL, document_id("a", uri))}
    for retriever in ("bm25", "dense"):
        hits = lib.search("words", 100, retriever=retriever)
        having = {h.chunk.chunk_id for h in hits}
        assert having == chunks if retriever == "dense" else {h.title for h in hits} == set(found), retriever
    for uri, text in found.items():
        (best, *_) = lib.search(text, 1, collections=["a"])
        assert best.chunk.text in text and best.title == uri
    return found


def check_after_kill(folder: Path, operation: str, acknowledged: bool, where: str):
    with library(folder, HashEncoder()) as lib:
        after = state(lib)
        assert lib.engine.settle(60)
        assert state(lib) == after, f"{where}: it changed by itself"
        assert after == AFTER[operation] or (after == BEFORE and not acknowledged), f"{where}: {after}"
        assert lib.engine.status().problems == (), where
        texts = set((after or {}).values())
        kept = {lib.store.originals.path(s).read_text() for s in lib.store.originals.stored()}
        assert kept <= texts, f"{where}: a file that nobody needs is left"
        assert (texts & (set(BEFORE.values()) | {NEW_TEXT})) <= kept, f"{where}: a file that is needed is gone"
        assert list((folder / "originals" / "tmp").glob("*")) == []
        # And it goes on from here.
        if after is None:
            lib.create("a")
        lib.put("a", "later", "words written after the crash")
        assert lib.search("crash", 1, retriever="bm25")[0].title == "later"
    with library(folder, HashEncoder()) as lib:
        assert state(lib) == {**(after or {}), "later": "words written after the crash"}


def kill_at(driver, prepared, tmp_path, operation, steps):
    for step in steps:
        folder = tmp_path / f"{operation}-{step}"
        shutil.copytree(prepared, folder)
        status, acknowledged, _ = driver(folder, operation, step)
        assert status in (KILLED, 0), f"{operation} failed at step {step} by itself"
        check_after_kill(folder, operation, acknowledged, f"{operation} killed at step {step}")
        shutil.rmtree(folder)


def count_steps(driver, prepared, tmp_path, operation):
    folder = tmp_path / f"{operation}-count"
    shutil.copytree(prepared, folder)
    status, acknowledged, steps = driver(folder, operation)
    assert (status, acknowledged) == (0, True)
    assert steps > 20
    check_after_kill(folder, operation, acknowledged, f"{operation}, killed after the end")
    return steps


@pytest.mark.parametrize("operation", list(AFTER))
def test_a_kill_at_some_steps_loses_nothing(driver, prepared, tmp_path, operation):
    steps = count_steps(driver, prepared, tmp_path, operation)
    kill_at(driver, prepared, tmp_path, operation, range(steps // 10, steps, steps // 5))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("operation", list(AFTER))
def test_a_kill_at_any_step_loses_nothing(driver, prepared, tmp_path, operation):
    steps = count_steps(driver, prepared, tmp_path, operation)
    kill_at(driver, prepared, tmp_path, operation, range(1, steps + 1))


def test_a_first_start_can_be_killed_too(driver, tmp_path):
    """Nothing is there yet: the database file exists, the indexes do not."""
    status, _, steps = driver(tmp_path / "count", "start")
    assert status == 0
    for step in range(steps // 8, steps, steps // 4):
        folder = tmp_path / str(step)
        assert driver(folder, "start", step)[0] in (KILLED, 0)
        with library(folder) as lib:
            lib.create("a")
            lib.put("a", "x", "first words")
            assert state(lib) == {"x": "first words"}
