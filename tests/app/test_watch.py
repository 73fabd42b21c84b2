"""A collection follows a real folder: what is added, changed and deleted there, and nothing that came otherwise."""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest

from app.client import Client
from app.watch import Memory, Watch
from core.errors import Conflict
from tests.app.test_api import settle
from tests.support.commands import json_of, openbook
from tests.support.servers import REPO

_numbers = itertools.count()


class Followed:
    """A watch of a folder, stepped by the test with a clock of its own."""

    def __init__(self, client: Client, folder: Path, collection: str, data_dir: Path) -> None:
        self.client, self.folder, self.collection = client, folder, collection
        self.lines: list[str] = []
        self.now = 0.0
        self.state = data_dir
        self.begin()

    def begin(self) -> None:
        """As after a stop: nothing is known but what is in the file."""
        memory = Memory(self.state, self.collection, self.folder)
        with memory.held():
            self.watch = Watch(self.folder, self.collection, memory, self.lines.append, clock=lambda: self.now)

    def step(self, seconds: float = 0.4) -> bool:
        self.now += seconds
        return self.watch.step(self.client)

    def settle(self) -> None:
        deadline = time.monotonic() + 60
        while not self.step():
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.02)

    def documents(self) -> dict[str, str]:
        found = self.client.documents(self.collection, limit=1000)["documents"]
        return {d["uri"]: self.client.document_text(d["doc_id"]).strip() for d in found}


@pytest.fixture
def followed(client: Client, tmp_path: Path) -> Iterator[Followed]:
    name = f"watch-{next(_numbers)}"
    client.create_collection(name)
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    yield Followed(client, folder, name, tmp_path / "state")


def test_additions_changes_and_deletions_are_followed(followed: Followed) -> None:
    (followed.folder / "a.txt").write_text("Apples are red.")
    (followed.folder / "deep" / "b.txt").write_text("Bananas are yellow.")
    (followed.folder / ".hidden.txt").write_text("Nobody sees this.")
    followed.settle()
    assert followed.documents() == {"a.txt": "Apples are red.", "deep/b.txt": "Bananas are yellow."}
    (followed.folder / "a.txt").write_text("Apples are green, too.")
    (followed.folder / "deep" / "b.txt").unlink()
    (followed.folder / "c.txt").write_text("Cherries are dark.")
    followed.settle()
    assert followed.documents() == {"a.txt": "Apples are green, too.", "c.txt": "Cherries are dark."}
    (followed.folder / "c.txt").rename(followed.folder / "deep" / "d.txt")
    followed.settle()
    assert followed.documents() == {"a.txt": "Apples are green, too.", "deep/d.txt": "Cherries are dark."}


def test_a_link_to_itself_and_a_name_that_is_no_utf8_stop_nothing(followed: Followed) -> None:
    (followed.folder / "self").symlink_to("self")
    (followed.folder / "nowhere").symlink_to("away")
    odd = Path(os.fsdecode(os.fsencode(followed.folder) + b"/caf\xe9.txt"))
    odd.write_text("Coffee is black.")
    followed.settle()
    assert followed.documents() == {"caf%E9.txt": "Coffee is black."}
    odd.unlink()
    followed.settle()
    assert followed.documents() == {}
    assert not [line for line in followed.lines if "cannot be read" in line]


def test_a_file_that_is_still_being_written_is_not_taken(followed: Followed) -> None:
    path = followed.folder / "slow.txt"
    for n in range(6):
        path.write_text("word " * (n + 1))
        followed.step(0.6)
    assert followed.documents() == {}
    followed.step(0.6)
    assert followed.documents() == {}
    followed.settle()
    assert followed.documents() == {"slow.txt": "word " * 5 + "word"}


def test_a_file_that_fails_is_not_tried_again_until_it_changes(followed: Followed) -> None:
    (followed.folder / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")
    followed.settle()
    assert followed.watch.tally.failed.keys() == {"bad.pdf"}
    for _ in range(5):
        assert followed.step(5)
    jobs = followed.client.jobs(collection=followed.collection)
    assert len(jobs) == 1
    (followed.folder / "bad.pdf").write_bytes(b"Now it is plain text, whatever its name says.")
    followed.settle()
    assert len(followed.client.jobs(collection=followed.collection)) == 2


def test_what_was_taken_is_remembered_and_what_vanished_meanwhile_is_deleted(followed: Followed) -> None:
    for name in ("a.txt", "b.txt"):
        (followed.folder / name).write_text(f"The text of {name}")
    followed.settle()
    (followed.folder / "a.txt").unlink()
    followed.begin()
    followed.settle()
    assert list(followed.documents()) == ["b.txt"]
    assert len(followed.client.jobs(collection=followed.collection)) == 2  # b.txt was not sent again


class Stopped:
    """A client at which Ctrl-C is pressed: before an upload is sent, or once it was accepted and before that is known."""

    def __init__(self, client: Client, *, accepted: bool) -> None:
        self._client, self._accepted = client, accepted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def upload(self, *args: Any, **kwargs: Any) -> NoReturn:
        if self._accepted:
            self._client.upload(*args, **kwargs)
        raise KeyboardInterrupt


def stop_while_it_sends(followed: Followed, *, accepted: bool) -> None:
    """The watch ends within an upload, and another begins."""
    client = followed.client
    followed.client = cast(Client, Stopped(client, accepted=accepted))
    with pytest.raises(KeyboardInterrupt):
        followed.settle()
    followed.client = client
    followed.begin()


@pytest.mark.parametrize("accepted", [False, True])
def test_what_was_being_sent_when_it_was_stopped_is_sent_again(followed: Followed, accepted: bool) -> None:
    (followed.folder / "a.txt").write_text("Apples are red.")
    stop_while_it_sends(followed, accepted=accepted)
    followed.settle()
    assert followed.documents() == {"a.txt": "Apples are red."}
    (followed.folder / "a.txt").write_text("Apples are green.")
    stop_while_it_sends(followed, accepted=accepted)
    followed.settle()
    assert followed.documents() == {"a.txt": "Apples are green."}


@pytest.mark.parametrize("changed", [False, True])
def test_what_vanished_after_a_stop_in_its_upload_is_deleted(followed: Followed, changed: bool) -> None:
    (followed.folder / "a.txt").write_text("Apples are red.")
    if changed:
        followed.settle()
        (followed.folder / "a.txt").write_text("Apples are green.")
    stop_while_it_sends(followed, accepted=True)
    (followed.folder / "a.txt").unlink()
    followed.settle()
    assert followed.documents() == {}
    assert any(line.startswith("deleted") for line in followed.lines)


def test_what_vanished_after_a_stop_before_its_job_ended_is_deleted(followed: Followed) -> None:
    (followed.folder / "a.txt").write_text("Apples are red.")
    while not followed.client.jobs(collection=followed.collection):
        followed.step(0.6)
    followed.begin()  # it had accepted the file, and has not seen what became of it
    (followed.folder / "a.txt").unlink()
    followed.settle()
    assert followed.documents() == {}


def test_what_somebody_else_sent_after_a_stop_is_kept(followed: Followed) -> None:
    (followed.folder / "a.txt").write_text("Apples are red.")
    stop_while_it_sends(followed, accepted=False)
    (followed.folder / "a.txt").unlink()
    client = followed.client
    settle(client, client.upload(followed.collection, [("a.txt", io.BytesIO(b"Somebody's other text"))]))
    followed.settle()
    assert followed.documents() == {"a.txt": "Somebody's other text"}


def test_a_memory_of_an_earlier_version_is_read(followed: Followed) -> None:
    (followed.folder / "a.txt").write_text("Apples are red.")
    followed.settle()
    (path,) = followed.state.glob("watches/*.json")
    body = json.loads(path.read_text())
    for known in body["files"].values():
        del known["sent"], known["job_id"]
    path.write_text(json.dumps(body))
    followed.begin()
    (followed.folder / "a.txt").unlink()
    followed.settle()
    assert followed.documents() == {}


def test_only_what_the_watch_brought_in_is_deleted(followed: Followed) -> None:
    client, c = followed.client, followed.collection
    for name in ("mine.txt", "before.txt"):
        settle(client, client.upload(c, [(name, io.BytesIO(f"The text of {name}".encode()))]))
    (followed.folder / "before.txt").write_text("The text of before.txt")  # the same bytes: nothing to do
    (followed.folder / "new.txt").write_text("New text")
    (followed.folder / "replaced.txt").write_text("First text")
    followed.settle()
    settle(client, client.upload(c, [("replaced.txt", io.BytesIO(b"Somebody's other text"))]))
    for name in ("before.txt", "new.txt", "replaced.txt"):
        (followed.folder / name).unlink()
    followed.settle()
    assert set(followed.documents()) == {"mine.txt", "before.txt", "replaced.txt"}
    assert sum(line.startswith("kept") for line in followed.lines) == 2


def test_a_vanished_folder_deletes_nothing_and_is_waited_for(followed: Followed) -> None:
    (followed.folder / "a.txt").write_text("Apples are red.")
    followed.settle()
    away = followed.folder.with_name("away")
    followed.folder.rename(away)
    for _ in range(4):
        assert not followed.step(2)
    assert list(followed.documents()) == ["a.txt"]
    assert sum("waiting for it" in line for line in followed.lines) == 1
    away.rename(followed.folder)
    followed.settle()
    assert list(followed.documents()) == ["a.txt"]


def test_another_file_system_under_the_same_name_deletes_nothing(followed: Followed) -> None:
    (followed.folder / "a.txt").write_text("Apples are red.")
    followed.settle()
    followed.watch._memory.device = 12345  # as if a disk had been mounted there before
    (followed.folder / "a.txt").unlink()
    for _ in range(4):
        followed.step(2)
    assert list(followed.documents()) == ["a.txt"]
    assert "another file system" in followed.lines[-1]


def test_one_folder_is_watched_once(tmp_path: Path) -> None:
    first, second = (Memory(tmp_path, "c", tmp_path / "f") for _ in range(2))
    with first.held(), pytest.raises(Conflict, match="watches"), second.held():
        pass


@pytest.mark.slow
def test_the_command_follows_a_folder_without_a_server_and_ends_cleanly(tmp_path: Path, model_cache: Path) -> None:
    folder, data = tmp_path / "folder", tmp_path / "data"
    folder.mkdir()
    (folder / "a.txt").write_text("Apples are red.")
    command = [sys.executable, "-m", "app.cli", "ingest", "--watch", str(folder), "-c", "w", "--data-dir", str(data)]
    environment = {**os.environ, "OPENBOOK_LM_RUNTIME": "none", "COLUMNS": "300"}
    process = subprocess.Popen(
        command, cwd=REPO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("ready      a.txt")
        # Other commands meanwhile go through the one that watches.
        hits = json_of(openbook("search", "apples", "-c", "w", "--json", data_dir=data))["hits"]
        assert "red" in hits[0]["text"]
        (folder / "a.txt").unlink()
        assert process.stdout.readline().startswith("deleted    a.txt")
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "stopped: 1 taken, 1 deleted, 0 failed" in errors
    assert "Traceback" not in errors
    assert not (data / "server.json").exists()


def test_watching_a_file_or_two_folders_is_wrong_usage(tmp_path: Path) -> None:
    done = openbook("ingest", "--watch", "README.md", "-c", "w", data_dir=tmp_path)
    assert done.returncode == 2
    assert "one folder" in done.stderr
