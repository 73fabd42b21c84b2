"""SIGKILL at random moments of real uploads and deletions, against a journal of what was acknowledged.

Nothing acknowledged is lost, nothing deleted comes back, nothing is half visible.
"""

from __future__ import annotations

import io
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.client import ApiError, Client, ServerUnreachable
from app.waiting import wait_until_ready
from core.errors import OpenbookError
from tests.support.servers import RunningServer, api_pid, openbook_server

COLLECTION = "kill"
FINAL = ("ready", "partial", "failed", "cancelled")
# The supervisor gives up on a server that keeps dying; a test that kills it on purpose waits this long between.
LIVE_S = (0.3, 2.5)


@dataclass
class Journal:
    """What the server has said yes to."""

    accepted: dict[str, str] = field(default_factory=dict)  # job id → word
    ready: dict[str, str] = field(default_factory=dict)  # doc id → word
    deleted: dict[str, str] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)  # a deletion was asked, and no answer came


def words() -> Iterator[str]:
    """Unlike each other, so that each finds its own document and no other."""
    number = 0
    while True:
        number += 1
        yield f"zq{number:05d}x"


def document(word: str) -> str:
    body = "\n\n".join(f"Paragraph {i} about {word} and nothing else that matters to anyone." for i in range(30))
    return f"# {word}\n\n{body}\n"


class Customer(threading.Thread):
    """Uploads, looks and deletes until told to stop; forgives a server that is away."""

    def __init__(self, url: str, journal: Journal, seed: int) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._journal = journal
        self._random = random.Random(seed)
        self.stop = threading.Event()
        self.broke: BaseException | None = None

    def run(self) -> None:
        source = words()
        with Client(self._url) as client:
            while not self.stop.is_set():
                try:
                    self._once(client, source)
                except (ServerUnreachable, ApiError):
                    time.sleep(0.05)
                except BaseException as e:
                    self.broke = e
                    raise

    def _once(self, client: Client, source: Iterator[str]) -> None:
        word = next(source)
        for job in client.upload(COLLECTION, [(f"{word}.md", io.BytesIO(document(word).encode()))]):
            self._journal.accepted[job["job_id"]] = word
        for job_id, known in list(self._journal.accepted.items()):
            job = client.job(job_id)
            if job["state"] == "ready":
                doc_id = str(job["doc_id"])
                if doc_id not in self._journal.deleted and doc_id not in self._journal.unsure:
                    self._journal.ready[doc_id] = known
        if self._journal.ready and self._random.random() < 0.3:
            doc_id = self._random.choice(sorted(self._journal.ready))
            word = self._journal.ready.pop(doc_id)
            self._journal.unsure.add(doc_id)
            client.delete_document(doc_id)
            self._journal.deleted[doc_id] = word


def check(client: Client, journal: Journal) -> None:
    """Every promise of the journal, once the server has finished what it had accepted."""
    deadline = time.monotonic() + 120
    for job_id, word in journal.accepted.items():
        while (job := client.job(job_id))["state"] not in FINAL:
            assert time.monotonic() < deadline, f"{job} does not end"
            time.sleep(0.05)
        assert job["state"] == "ready", job
        if (doc_id := str(job["doc_id"])) not in journal.deleted and doc_id not in journal.unsure:
            journal.ready[doc_id] = word
    present = {}
    cursor = None
    while True:
        page = client.documents(COLLECTION, limit=1000, cursor=cursor)
        present |= {d["doc_id"]: d for d in page["documents"]}
        cursor = page["next_cursor"]
        if cursor is None:
            break
    for doc_id, word in journal.ready.items():
        assert doc_id in present, f"{word} was acknowledged and is lost"
        assert client.document_text(doc_id) == document(word)
        assert len(client.chunks(doc_id)) == present[doc_id]["chunks"]
        for retriever in ("bm25", "dense"):
            found = client.search(f"{word} paragraph", [COLLECTION], k=200, retriever=retriever)
            rows = {h["chunk_id"] for h in found if h["doc_id"] == doc_id}
            assert rows, f"{word} is half visible: {retriever} does not find it"
    for doc_id, word in journal.deleted.items():
        assert doc_id not in present, f"{word} came back"
        found = client.search(word, [COLLECTION], k=50)
        assert doc_id not in {h["doc_id"] for h in found}, f"{word} came back in a search"


def kill_and_check(server: RunningServer, kills: int, seed: int) -> Journal:
    rng = random.Random(seed)
    journal = Journal()
    with server.client() as client:
        client.create_collection(COLLECTION)
    customer = Customer(server.api_url, journal, seed)
    customer.start()
    for _ in range(kills):
        time.sleep(rng.uniform(*LIVE_S))
        os.kill(api_pid(server), signal.SIGKILL)
        wait_for_server(server)
    customer.stop.set()
    customer.join(60)
    assert customer.broke is None
    with server.client() as client:
        check(client, journal)
    return journal


def wait_for_server(server: RunningServer) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with server.client() as client:
                wait_until_ready(client, 60)
            return
        except OpenbookError:
            assert time.monotonic() < deadline, server.output
            time.sleep(0.1)


def test_five_kills_lose_nothing_that_was_acknowledged(tmp_path: Path, model_cache: Path) -> None:
    with openbook_server(tmp_path / "data") as server:
        journal = kill_and_check(server, kills=5, seed=7)
    assert journal.accepted
    assert journal.ready


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("round_", range(10))
def test_fifty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path, model_cache: Path, round_: int) -> None:
    # Ten rounds of five: the supervisor gives up on a server that dies oftener than it should.
    with openbook_server(tmp_path / "data") as server:
        journal = kill_and_check(server, kills=5, seed=100 + round_)
    assert journal.accepted
