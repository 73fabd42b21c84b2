"""Whether a team's searches stay quick, what happens when ten times too many come, and whether memory stays flat.

    openbook bench load -- [--chunks 100000] [--people 10] [--every-s 10] [--seconds 120] [--soak-minutes 30] [--data-dir DIR]

A server of its own, where people sign in, holds a collection of so many passages. Each of the people searches every ten
seconds, without reranking; then searches arrive at ten times the rate that the server can do, while another process asks
/health every tenth of a second; then, with ``--soak-minutes``, the people go on, one of them asks a question and changes
a document twice a minute, and the server's memory and open files are noted. Who asks runs on the same processors as the server.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psutil

from app.client import Client
from app.datadir import ServerAddress
from bench.collection import passages
from bench.served import served
from core.errors import OpenbookError
from ingest.job import FINAL_STATES

COLLECTION = "load"
PASSWORD = "four words nobody guesses"
PASSAGES_PER_FILE = 50
FILES_PER_UPLOAD = 8
PROBE_S = 0.1
TIMEOUT_S = 60.0
SAMPLE_S = 5.0
CHANGE_S = 30.0
# Searches alone are bounded then: no person's rate.
ENVIRONMENT = {"OPENBOOK_IDENTITY": "password", "OPENBOOK_LM_RUNTIME": "none", "OPENBOOK_REQUESTS_PER_MINUTE": "0"}


@dataclass
class Times:
    """Of requests: how long those took that were answered, in ms, and what became of all."""

    ms: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    def at(self, share: float) -> float:
        return float(np.percentile(self.ms, 100 * share)) if self.ms else float("nan")

    def __str__(self) -> str:
        said = ", ".join(f"{n:,} {what}" for what, n in sorted(self.outcomes.items())) or "none"
        return f"p50 {self.at(0.5):.0f} ms, p95 {self.at(0.95):.0f} ms, most {self.at(1.0):.0f} ms ({said})"


@dataclass
class Sample:
    """Of the server's process at a moment: seconds since the start, MiB of its own memory, MiB of files that it has mapped
    and touched (which the kernel may drop), open files, threads."""

    at_s: float
    own_mib: float
    mapped_mib: float
    files: int
    threads: int


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="openbook bench load --", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--chunks", type=int, default=3000, help="passages in the collection, at least")
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--every-s", type=float, default=10.0, help="between two searches of one person")
    parser.add_argument("--seconds", type=float, default=60.0, help="that they search before the overload")
    parser.add_argument("--overload", type=float, default=10.0, help="times the rate that can be done; 0: none")
    parser.add_argument("--overload-seconds", type=float, default=20.0)
    parser.add_argument("--soak-minutes", type=float, default=0.0)
    parser.add_argument(
        "--data-dir", type=Path, help="kept, and used again by the next call; default: a folder that goes"
    )
    args = parser.parse_args(argv)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # so that a long run says how far it is
    with ExitStack() as stack:
        folder = args.data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-load-")))
        server = stack.enter_context(served(folder, ENVIRONMENT))
        process = psutil.Process(server.pid)
        texts, origin = passages(args.chunks)
        n_chunks = fill(server, [text for _, text in texts], args.chunks)
        tokens = people(server, args.people)
        print(f"{n_chunks:,} passages ({origin}); {os.cpu_count()} processors, load before {os.getloadavg()[0]:.1f}\n")
        queries = Queries([text for _, text in texts])
        search_alone(server, tokens, queries)
        print(f"{args.people} people, each {args.every_s:g} s after the last, {args.seconds:g} s: "
              f"{steadily(server, tokens, queries, args.every_s, args.seconds)}")  # fmt: skip
        if args.overload:
            overloaded(server, process, tokens, queries, args.overload, args.overload_seconds)
        if args.soak_minutes:
            soak(server, process, tokens, queries, args.every_s, 60 * args.soak_minutes)
    return 0


# ---------------------------------------------------------------- the server, and what is in it


def fill(server: ServerAddress, texts: Sequence[str], n_chunks: int) -> int:
    """Adds files until there are enough passages; returns how many there are."""
    with Client(server.url, token=server.token, timeout_s=600.0) as client:
        if COLLECTION not in {c["name"] for c in client.collections()}:
            client.create_collection(COLLECTION, tokens=False)
        wait_for_jobs(client)  # of a call before this one that was broken off
        files = [texts[i : i + PASSAGES_PER_FILE] for i in range(0, len(texts), PASSAGES_PER_FILE)]
        for start in range(0, len(files), FILES_PER_UPLOAD):
            if held(client) >= n_chunks:
                break
            batch = enumerate(files[start : start + FILES_PER_UPLOAD], start)
            client.upload(COLLECTION, [(f"{i:05}.txt", io.BytesIO("\n\n".join(of).encode())) for i, of in batch])
            wait_for_jobs(client)
        return held(client)


def wait_for_jobs(client: Client) -> None:
    while any(n for state, n in client.job_page(limit=1)["counts"].items() if state not in FINAL_STATES):
        time.sleep(0.5)


def held(client: Client) -> int:
    return next(c["chunks"] for c in client.collections() if c["name"] == COLLECTION)


def people(server: ServerAddress, n: int) -> list[str]:
    """Tokens of so many new people who may read the collection."""
    tokens = []
    with Client(server.url, token=server.token) as owner, Client(server.url) as nobody:
        for i in range(n):
            name = f"reader-{i}-{time.time_ns()}"
            invite = owner.add_user(name)["invite"]
            tokens.append(nobody.accept_invite(invite, name, PASSWORD)["token"])
            owner.set_member(COLLECTION, name, "reader")
    return tokens


class Queries:
    """Runs of four to nine words out of the passages, hardly ever the same twice, so that no cache answers."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._random = random.Random(5)

    def one(self) -> str:
        words = self._random.choice(self._texts).split()
        n = self._random.randint(4, 9)
        start = self._random.randrange(max(1, len(words) - n))
        return " ".join(words[start : start + n])


# ---------------------------------------------------------------- who searches


def search_alone(server: ServerAddress, tokens: Sequence[str], queries: Queries, n: int = 20) -> None:
    """Warms the indexes up; then as the settings say, and with every candidate read and reranked."""
    with Client(server.url, token=tokens[0]) as client:
        for name, rerank in (("", False), (", as the settings say", None), (", reranked", True)):
            times = Times()
            for _ in range(n):
                timed_search(client, queries.one(), times, rerank)
            print(f"one after the other{name}: {times}")


def timed_search(client: Client, query: str, times: Times, rerank: bool | None = False) -> None:
    began = time.perf_counter()
    try:
        client.search(query, [COLLECTION], k=10, rerank=rerank)
    except OpenbookError as e:
        times.outcomes[e.code] += 1
        return
    times.ms.append(1000 * (time.perf_counter() - began))
    times.outcomes["answered"] += 1


def steadily(server: ServerAddress, tokens: Sequence[str], queries: Queries, every_s: float, seconds: float) -> Times:
    """What people see who search, read for ``every_s`` and search again; they begin spread over the first such time."""
    times, until = Times(), time.monotonic() + seconds

    def person(i: int, token: str) -> None:
        time.sleep(every_s * i / len(tokens))
        with Client(server.url, token=token) as client:
            while time.monotonic() < until:
                timed_search(client, queries.one(), times)
                time.sleep(min(every_s, max(0.0, until - time.monotonic())))

    threads = [threading.Thread(target=person, args=one) for one in enumerate(tokens)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


# ---------------------------------------------------------------- too many


def overloaded(
    server: ServerAddress,
    process: psutil.Process,
    tokens: Sequence[str],
    queries: Queries,
    factor: float,
    seconds: float,
) -> None:
    """Prints what can be done, and what becomes of ``factor`` times as much."""
    can = asyncio.run(arriving(server, tokens, queries, None, seconds / 2))
    rate = can.outcomes["200"] / (seconds / 2)
    print(f"what can be done: {rate:.0f} searches a second ({can})")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        health = pool.submit(probe, server.url, seconds + 2.0)
        time.sleep(2.0)  # until that process is there
        used, began = sum(process.cpu_times()[:2]), time.monotonic()
        found = asyncio.run(arriving(server, tokens, queries, factor * rate, seconds))
        used, took = sum(process.cpu_times()[:2]) - used, time.monotonic() - began
        offered = sum(found.outcomes.values()) / seconds
        print(f"{factor:g} times as much ({offered:.0f} a second arrived): {found}")
        print(f"/health meanwhile: {health.result()}; the server had {used:.0f} s of processors in {took:.0f} s")
    after = Times()
    with Client(server.url, token=tokens[0]) as client:
        for _ in range(5):
            timed_search(client, queries.one(), after)
    print(f"right after: {after}")


async def arriving(
    server: ServerAddress, tokens: Sequence[str], queries: Queries, rate: float | None, seconds: float
) -> Times:
    """Searches that arrive ``rate`` times a second, whatever became of those before; None: from four that never pause."""
    times, until = Times(), time.monotonic() + seconds

    async def one(i: int) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                began = time.perf_counter()
                status, retry = await post_search(server, tokens[i % len(tokens)], queries.one())
        except (OSError, TimeoutError, ValueError) as e:
            times.outcomes[type(e).__name__] += 1
            return
        if status == 200:
            times.ms.append(1000 * (time.perf_counter() - began))
        times.outcomes[f"{status} with Retry-After" if retry else str(status)] += 1

    async def always(i: int) -> None:
        while time.monotonic() < until:
            await one(i)

    if rate is None:
        await asyncio.gather(*(always(i) for i in range(4)))
        return times
    under_way: set[asyncio.Task[None]] = set()
    began, n = time.monotonic(), 0
    while (now := time.monotonic()) < until:
        due = int((now - began) * rate)
        for i in range(n, due):
            task = asyncio.create_task(one(i))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        n = max(n, due)
        await asyncio.sleep(0.005)
    await asyncio.gather(*under_way)
    return times


async def post_search(server: ServerAddress, token: str, query: str) -> tuple[int, bool]:
    """(status, whether there was a Retry-After) of one search over a line of its own.

    By hand: a client of any comfort takes more of the processors per request than a refusal costs the server, and its own
    queue would be timed.
    """
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    body = json.dumps({"query": query, "collections": [COLLECTION], "k": 10, "rerank": False}).encode()
    head = (
        f"POST /v1/search HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(head.encode() + body)
        reply = await reader.read(-1)
    finally:
        writer.close()
    said = reply.partition(b"\r\n\r\n")[0].decode("latin-1").lower()
    return int(said.split(" ", 2)[1]), "\r\nretry-after: " in said


def probe(url: str, seconds: float) -> Times:
    """How long /health takes, asked by a process of its own."""
    times, until = Times(), time.monotonic() + seconds
    with httpx.Client(base_url=url, timeout=30.0, trust_env=False) as http:
        while time.monotonic() < until:
            began = time.perf_counter()
            status = http.get("/health").status_code
            times.ms.append(1000 * (time.perf_counter() - began))
            times.outcomes[str(status)] += 1
            time.sleep(PROBE_S)
    return times


# ---------------------------------------------------------------- for long


def soak(
    server: ServerAddress,
    process: psutil.Process,
    tokens: Sequence[str],
    queries: Queries,
    every_s: float,
    seconds: float,
) -> None:
    """Prints memory and open files over the time, and how the last quarter compares with the second."""
    samples: list[Sample] = []
    ended = threading.Event()
    changes = Times()
    watching = threading.Thread(target=watch, args=(process, samples, ended))
    changing = threading.Thread(target=change, args=(server, queries, changes, ended))
    for thread in (watching, changing):
        thread.start()
    try:
        times = steadily(server, tokens, queries, every_s, seconds)
    finally:
        ended.set()
        for thread in (watching, changing):
            thread.join()
    print(f"\nsoak of {seconds / 60:g} min: {times}; questions and changes: {changes}\n")
    print("| minute | MiB of its own | MiB mapped | open files | threads |\n|---:|---:|---:|---:|---:|")
    for sample in samples[:: max(1, len(samples) // 12)]:
        print(
            f"| {sample.at_s / 60:.1f} | {sample.own_mib:.0f} | {sample.mapped_mib:.0f} | {sample.files} | {sample.threads} |"
        )
    quarter = max(1, len(samples) // 4)
    # The first quarter fills caches.
    then, now = samples[quarter : 2 * quarter] or samples, samples[-quarter:]
    for name, of in (("MiB of its own", lambda s: s.own_mib), ("open files", lambda s: float(s.files))):
        before, after = (float(np.median([of(s) for s in part])) for part in (then, now))
        print(f"median {name} of the second quarter {before:.0f}, of the last {after:.0f} ({after - before:+.1f})")


def watch(process: psutil.Process, samples: list[Sample], ended: threading.Event) -> None:
    began = time.monotonic()
    while True:
        with process.oneshot():
            memory = process.memory_info()
            own, mapped = (memory.rss - memory.shared) / 2**20, memory.shared / 2**20
            samples.append(Sample(time.monotonic() - began, own, mapped, process.num_fds(), process.num_threads()))
        if ended.wait(SAMPLE_S):
            return


def change(server: ServerAddress, queries: Queries, times: Times, ended: threading.Event) -> None:
    """Asks a question, adds a document and deletes it, twice a minute."""
    with Client(server.url, token=server.token, timeout_s=300.0) as client:
        while not ended.wait(CHANGE_S):
            began = time.perf_counter()
            try:
                client.ask(queries.one() + "?", [COLLECTION])
                (job,) = client.upload(COLLECTION, [("changing.txt", io.BytesIO(queries.one().encode()))])
                while (job := client.job(job["job_id"]))["state"] not in FINAL_STATES:
                    time.sleep(0.2)
                with contextlib.suppress(OpenbookError):  # one of the same words as the one before was not added
                    client.delete_document(str(job["doc_id"]))
            except OpenbookError as e:
                times.outcomes[e.code] += 1
                continue
            times.ms.append(1000 * (time.perf_counter() - began))
            times.outcomes["done"] += 1


if __name__ == "__main__":
    sys.exit(main())
