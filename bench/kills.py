"""Kills a running service again and again while files come and go, and checks that nothing was lost.

    python -m bench.kills [--kills 1000] [--seed 1] [--per-round 7]

A customer uploads, looks and deletes all the time and notes what was acknowledged. Meanwhile the API or the worker is
killed (SIGKILL) at random moments. At the end of each round every promise in the journal is checked: nothing
acknowledged is lost, nothing deleted comes back, nothing is half visible. Each round has a data directory of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from app.client import ApiError, Client, ServerUnreachable
from app.datadir import find_server
from app.waiting import wait_until_ready
from core.errors import OpenbookError
from ingest.job import FINAL_STATES

COLLECTION = "kill"
# The supervisor gives up on a child that ends six times within a minute: on purpose it is killed less often.
LIVE_S = (0.3, 2.5)
DEATHS_A_MINUTE = 5
WINDOW_S = 61.0
ROUND = ("api",) * 5 + ("worker",) * 2
ENDED_S = 300.0
START_S = 120.0


@dataclass
class Journal:
    """What the server has said yes to."""

    accepted: dict[str, str] = field(default_factory=dict)  # job id → word
    ready: dict[str, str] = field(default_factory=dict)  # doc id → word
    deleted: dict[str, str] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)  # a deletion was asked, and no answer came
    kills: Counter[str] = field(default_factory=Counter)


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
        journal = self._journal
        word = next(source)
        for job in client.upload(COLLECTION, [(f"{word}.md", io.BytesIO(document(word).encode()))]):
            journal.accepted[job["job_id"]] = word
        for job_id, known in list(journal.accepted.items())[-50:]:
            job = client.job(job_id)
            if job["state"] == "ready":
                doc_id = str(job["doc_id"])
                if doc_id not in journal.deleted and doc_id not in journal.unsure:
                    journal.ready[doc_id] = known
        if journal.ready and self._random.random() < 0.3:
            doc_id = self._random.choice(sorted(journal.ready))
            word = journal.ready.pop(doc_id)
            journal.unsure.add(doc_id)
            client.delete_document(doc_id)
            journal.deleted[doc_id] = word


class Broken(Exception):
    """A promise that was not kept."""


def _ended(client: Client, job_id: str, deadline: float) -> Mapping[str, Any]:
    while (job := client.job(job_id))["state"] not in FINAL_STATES:
        _hold(time.monotonic() < deadline, f"{job} does not end")
        time.sleep(0.05)
    return job


def check(client: Client, journal: Journal) -> None:
    """Every promise of the journal, once the server has finished what it had accepted.

    Raises:
        Broken: one was not kept.
    """
    deadline = time.monotonic() + ENDED_S
    for job_id, word in journal.accepted.items():
        job = _ended(client, job_id, deadline)
        if job["state"] == "failed" and "given up" in job["reason"]:  # it was at work at three of the kills
            client.retry_job(job_id)
            job = _ended(client, job_id, deadline)
        _hold(job["state"] == "ready", f"{job} is not ready")
        if (doc_id := str(job["doc_id"])) not in journal.deleted and doc_id not in journal.unsure:
            journal.ready[doc_id] = word
    present: dict[str, Mapping[str, Any]] = {}
    cursor: str | None = None
    while True:
        page = client.documents(COLLECTION, limit=1000, cursor=cursor)
        present |= {d["doc_id"]: d for d in page["documents"]}
        cursor = page["next_cursor"]
        if cursor is None:
            break
    for doc_id, word in journal.ready.items():
        _hold(doc_id in present, f"{word} was acknowledged and is lost")
        _hold(client.document_text(doc_id) == document(word), f"{word} has another text")
        _hold(len(client.chunks(doc_id)) == present[doc_id]["chunks"], f"{word} has lost passages")
        for retriever in ("bm25", "dense"):
            found = client.search(f"{word} paragraph", [COLLECTION], k=200, retriever=retriever)
            _hold(any(h["doc_id"] == doc_id for h in found), f"{word} is half visible: {retriever} does not find it")
    for doc_id, word in journal.deleted.items():
        _hold(doc_id not in present, f"{word} came back")
        found = client.search(word, [COLLECTION], k=50)
        _hold(doc_id not in {h["doc_id"] for h in found}, f"{word} came back in a search")


def _hold(kept: bool, otherwise: str) -> None:
    if not kept:
        raise Broken(otherwise)


def kill_and_check(url: str, data_dir: Path, kills: int, seed: int) -> Journal:
    """Kills the processes of the service at ``url`` so often, and checks the journal at the end.

    Raises:
        Broken: a promise was not kept.
    """
    rng = random.Random(seed)
    journal = Journal()
    with Client(url) as client:
        client.create_collection(COLLECTION)
    customer = Customer(url, journal, seed)
    customer.start()
    deaths: dict[str, list[float]] = {"api": [], "worker": []}
    for victim in _victims(rng, kills):
        time.sleep(rng.uniform(*LIVE_S))
        recent = deaths[victim][-DEATHS_A_MINUTE:]
        if len(recent) == DEATHS_A_MINUTE:
            time.sleep(max(0.0, recent[0] + WINDOW_S - time.monotonic()))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid_of(data_dir, victim), signal.SIGKILL)
            journal.kills[victim] += 1
        deaths[victim].append(time.monotonic())
        _wait_for_server(url)
    customer.stop.set()
    customer.join(60)
    if customer.broke is not None:
        raise customer.broke
    with Client(url) as client:
        check(client, journal)
    return journal


def _victims(rng: random.Random, kills: int) -> Iterator[str]:
    for start in range(0, kills, len(ROUND)):
        yield from rng.sample(ROUND, len(ROUND))[: kills - start]


def pid_of(data_dir: Path, victim: str) -> int:
    """The process of the service over ``data_dir`` that is called "api" or "worker"."""
    found = find_server(data_dir)
    if found is None:
        raise Broken("no server holds the data directory")
    if victim == "api":
        return found.pid
    supervisor = psutil.Process(found.pid).parent()
    for process in supervisor.children() if supervisor is not None else []:
        with contextlib.suppress(psutil.NoSuchProcess):
            if "app.worker" in process.cmdline():
                return int(process.pid)
    return found.pid  # the worker is on its way up again


def _wait_for_server(url: str) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            with Client(url) as client:
                wait_until_ready(client, START_S)
            return
        except OpenbookError:
            _hold(time.monotonic() < deadline, "the server did not come back")
            time.sleep(0.1)


@contextlib.contextmanager
def _served(data_dir: Path) -> Iterator[str]:
    """`openbook serve` in processes of its own; its URL."""
    command = [sys.executable, "-m", "app.cli", "serve", "--no-ui", "--port", "0", "--data-dir", str(data_dir)]
    environment = {**os.environ, "OPENBOOK_LM_RUNTIME": "none"}
    with (data_dir.parent / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + START_S
            while (found := find_server(data_dir)) is None:
                _hold(time.monotonic() < deadline and process.poll() is None, f"no server: see {log.name}")
                time.sleep(0.1)
            _wait_for_server(found.url)
            yield found.url
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.kills", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--per-round", type=int, default=len(ROUND))
    args = parser.parse_args(argv)
    total: Counter[str] = Counter()
    for n, start in enumerate(range(0, args.kills, args.per_round)):
        kills = min(args.per_round, args.kills - start)
        with tempfile.TemporaryDirectory(prefix="bench-kills-") as folder, _served(Path(folder, "data")) as url:
            journal = kill_and_check(url, Path(folder, "data"), kills, args.seed + n)
        total += journal.kills
        total += Counter(accepted=len(journal.accepted), deleted=len(journal.deleted), lost=0)
        print(
            f"round {n + 1}: {dict(journal.kills)}, {len(journal.accepted)} accepted, {len(journal.deleted)} deleted",
            flush=True,
        )
    print(f"\n{dict(total)}: nothing lost, nothing came back, nothing half visible")
    return 0


if __name__ == "__main__":
    sys.exit(main())
