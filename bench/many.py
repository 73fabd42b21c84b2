"""Whether the API stays quick while ten thousand files wait, and whether memory stays flat while they arrive.

    python -m bench.many [--files 10000] [--requests 200]

Small Markdown files are uploaded through the API of a server of its own, 50 to a request as the command line does. Each kind of
request is timed one after the other: with nothing queued, while all wait (the collection is paused), and while they
are worked on. There is no peer: the ratio to the empty queue is what counts.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import psutil

from app.cli.ingest import FILES_PER_UPLOAD
from app.client import Client
from bench.served import served

_PAGE = 200

Times = Mapping[str, tuple[float, float]]  # request -> (p50, p95) in ms


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.many", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=200, help="of each kind")
    args = parser.parse_args(argv)
    with (
        tempfile.TemporaryDirectory(prefix="bench-many-") as folder,
        served(Path(folder), {"OPENBOOK_LM_RUNTIME": "none"}) as server,
        Client(server.url, token=server.token) as client,
    ):
        process = psutil.Process(server.pid)
        client.create_collection("many")
        upload(client, 0, 100)
        while any(client.job_page(limit=1)["counts"][s] for s in ("queued", "parsing", "encoding", "indexing")):
            time.sleep(0.2)
        empty = measure(client, args.requests)
        client.pause_collection("many")
        memory = [process.memory_info().rss / 2**20]
        begun = time.perf_counter()
        for start in range(0, args.files, FILES_PER_UPLOAD):
            upload(client, 100 + start, min(FILES_PER_UPLOAD, args.files - start))
            memory.append(process.memory_info().rss / 2**20)
        took = time.perf_counter() - begun
        waiting = measure(client, args.requests)
        walked, pages, walk_s = walk(client)
        client.pause_collection("many", paused=False)
        time.sleep(2.0)
        working = measure(client, args.requests)
        left = client.job_page(limit=1)["counts"]["queued"]
    half = memory[len(memory) // 2]
    print(f"{args.files:,} files accepted in {took:.0f} s ({args.files / took:.0f} per second); the server's memory: "
          f"{memory[0]:.0f} MiB before, {half:.0f} half way, {memory[-1]:.0f} after, {max(memory):.0f} at most")  # fmt: skip
    print(f"{walked:,} jobs listed by {pages} pages of {_PAGE} in {walk_s:.1f} s; {left:,} still waited at the end\n")
    print("| request | empty queue p50 / p95 ms | all wait | being worked on |\n|---|---:|---:|---:|")
    for name in empty:
        print(
            f"| {name} | "
            + " | ".join("{:.1f} / {:.1f}".format(*times[name]) for times in (empty, waiting, working))
            + " |"
        )
    return 0


def upload(client: Client, first: int, count: int) -> None:
    names = [f"notes/{n:05}.md" for n in range(first, first + count)]
    files = [(name, io.BytesIO(f"# Note {name}\n\nThe pump of house {name} was checked.\n".encode())) for name in names]
    client.upload("many", files)


def measure(client: Client, requests: int) -> Times:
    newest = client.jobs(limit=1)[0]["job_id"]
    calls: dict[str, Callable[[], object]] = {
        "GET /health": client.health,
        "GET /v1/jobs (200, with counts)": lambda: client.job_page(collection="many", limit=_PAGE),
        "GET /v1/jobs/{id}": lambda: client.job(newest),
        "GET …/documents (100)": lambda: client.documents("many"),
        "POST /v1/search": lambda: client.search("Which pump was checked?", ["many"], k=8),
    }
    return {name: _percentiles(call, requests) for name, call in calls.items()}


def _percentiles(call: Callable[[], object], requests: int) -> tuple[float, float]:
    times = []
    for _ in range(requests):
        begun = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - begun))
    return float(np.percentile(times, 50)), float(np.percentile(times, 95))


def walk(client: Client) -> tuple[int, int, float]:
    """(jobs, pages, seconds) of reading the whole list, page by page."""
    seen: set[str] = set()
    pages, cursor, begun = 0, None, time.perf_counter()
    while True:
        page = client.job_page(collection="many", limit=_PAGE, cursor=cursor)
        seen |= {job["job_id"] for job in page["jobs"]}
        pages, cursor = pages + 1, page["next_cursor"]
        if cursor is None:
            return len(seen), pages, time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())
