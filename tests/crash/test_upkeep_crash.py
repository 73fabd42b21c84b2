"""Killed at any step of a restore, a backup or a purge: the old state or the new one, whole, and nothing left lying."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from app.chats import Chats
from app.eval_runs import EvalRuns
from app.eval_sets import EvalSets
from app.traces import Traces
from app.upkeep.archive import write_archive
from app.upkeep.backup import Backup, sweep_leftovers
from app.upkeep.purge import RecentPurges, finish_purge, purge
from app.upkeep.restore import finish_restore, restore
from core.errors import OpenbookError
from core.ids import document_id
from core.types import Trace
from ingest.ledger import Ledger
from tests.support.hash_encoder import HashEncoder, WordTokenizer
from tests.support.library import LOCAL, Library, library, migrated_database

REPO = Path(__file__).resolve().parents[2]
WATCHED = tuple(str(REPO / folder) for folder in ("app", "retrieval", "core", "ingest"))
KILLED = 42
CANARY = "kanarienvogel"
TEXTS = {"x": f"some words of the {CANARY} file", "y": "other words of the second file"}


def killed_at(step: int, work: Callable[[], None]) -> tuple[bool, int]:
    """Runs ``work`` in a child that dies, running no handler, at the n-th line of ours that it runs for the first
    time; (whether it came to its end, how many lines there were)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        seen: set[tuple[str, int]] = set()

        def trace(frame: FrameType, event: str, _argument: Any) -> Any:
            if not frame.f_code.co_filename.startswith(WATCHED):
                return None
            if event == "line":
                seen.add((frame.f_code.co_filename, frame.f_lineno))
                if len(seen) == step:
                    os._exit(KILLED)
            return trace

        status = 1
        try:
            sys.settrace(trace)
            work()
            sys.settrace(None)
            os.write(writing, str(len(seen)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, KILLED), f"it failed by itself at step {step}"
    return status == 0, int(said or 0)


class SpellingTokenizer(WordTokenizer):
    """Knows no word as a whole."""

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(t) for t in texts]


class SpellingEncoder(HashEncoder):
    @property
    def tokenizer(self) -> WordTokenizer:
        return SpellingTokenizer()


def put(lib: Library, uri: str, text: str) -> None:
    with lib.store.originals.receiving([text.encode()], 10_000):
        lib.put("a", uri, text)


def documents(folder: Path) -> set[str]:
    with library(folder) as lib:
        found = {d.uri for d in lib.store.list_documents(LOCAL, "a")[0]}
        assert {h.title for h in lib.search("words file", 10, retriever="bm25")} == found
        assert lib.engine.settle(60)
        for uri in found:
            sha256 = lib.store.get_document_info(LOCAL, document_id("a", uri)).sha256
            assert (
                lib.store.originals.path(sha256).read_text()
                == lib.store.get_document(LOCAL, document_id("a", uri)).text
            )
        assert len(lib.store.originals.stored()) == len(found)
        return found


def steps(work: Callable[[], None], share: int) -> Iterator[int]:
    done, n = killed_at(0, work)
    assert done
    assert n > 20
    yield from range(1, n + 1, max(1, n // share))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with library(tmp_path / "data") as lib:
        lib.create("a")
        for uri, text in TEXTS.items():
            put(lib, uri, text)
        with closing(Backup(lib.store, lib.data_dir)) as made:
            write_archive(made, tmp_path / "backup.tar", compress=False)
        put(lib, "z", "words written after the backup of the file")
    return tmp_path / "data"


@pytest.mark.parametrize("share", [12, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_a_killed_restore_leaves_the_old_state_or_the_new(data: Path, share: int) -> None:
    folder = data.with_name("try")
    ended = set()

    def work() -> None:
        restore(data.with_name("backup.tar"), folder, replace=True)

    shutil.copytree(data, folder)
    for step in steps(work, share):
        shutil.rmtree(folder)
        shutil.copytree(data, folder)
        killed_at(step, work)
        killed_at(step, lambda: finish_restore(folder))  # and the mending of it is killed, too
        finish_restore(folder)
        found = documents(folder)
        assert found in ({"x", "y"}, {"x", "y", "z"}), f"killed at step {step}"
        assert not [p.name for p in folder.glob("restore*")]
        if found == {"x", "y"}:
            (aside,) = folder.glob("before-restore-*")
            assert documents(aside) == {"x", "y", "z"}
        ended.add(frozenset(found))
    assert len(ended) == 2


@pytest.mark.parametrize("share", [6, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_a_killed_backup_leaves_nothing_that_counts_as_one(data: Path, share: int) -> None:
    target = data.with_name("new.tar")

    def work() -> None:
        with library(data) as lib, closing(Backup(lib.store, data)) as made:
            write_archive(made, target, compress=False)

    for step in steps(work, share):
        target.unlink(missing_ok=True)
        killed_at(step, work)
        sweep_leftovers(data)
        assert not list(data.glob("backup-*"))
        if not target.exists():
            continue
        try:
            restore(target, data.with_name(f"new-{step}"), replace=False)
        except OpenbookError as e:
            assert "cannot be trusted" in e.message or "not a backup" in e.message
        else:
            assert documents(data.with_name(f"new-{step}")) == {"x", "y", "z"}
    assert documents(data) == {"x", "y", "z"}


@pytest.mark.parametrize("share", [6, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_a_killed_purge_is_finished_at_the_next_start_or_never_began(data: Path, share: int) -> None:
    folder = data.with_name("try")
    with library(data) as lib:
        Traces(lib.database).save(LOCAL, _trace(f"Who is the {CANARY}?"))
        chats = Chats(lib.database)
        chat = chats.create(LOCAL, title="", collections=["a"], strategy="extract")
        chats.ask(LOCAL, chat.chat_id, f"Who is the {CANARY}?")

    def work() -> None:
        with library(folder, SpellingEncoder()) as lib:
            purge(
                LOCAL,
                document_id("a", "x"),
                database=lib.database,
                store=lib.store,
                ledger=Ledger(),
                chats=Chats(lib.database),
                traces=Traces(lib.database),
                eval_sets=EvalSets(lib.database),
                eval_runs=EvalRuns(lib.database),
                engine=lib.engine,
                recent=RecentPurges(),
                data_dir=folder,
            )

    shutil.copytree(data, folder)
    for step in steps(work, share):
        shutil.rmtree(folder)
        shutil.copytree(data, folder)
        done, _ = killed_at(step, work)
        with closing(migrated_database(folder)) as database:
            finish_purge(database, folder)
        found = documents(folder)
        assert found == {"y", "z"} or (found == {"x", "y", "z"} and not done)
        if "x" not in found:
            held = [p for p in folder.rglob("*") if p.is_file() and CANARY.encode() in p.read_bytes().lower()]
            assert held == [], f"killed at step {step}"


def _trace(question: str) -> dict[str, Any]:
    return dataclasses.asdict(
        Trace(
            run_id="r1",
            strategy="extract",
            question=question,
            steps=(),
            answer=None,
            stop_reason="abstained",
            settings_hash="",
            prompt_hash="",
            index_version="",
        )
    )
