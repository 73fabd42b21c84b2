"""``openbook ingest``."""

from __future__ import annotations

import enum
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.common import AsJson, Collection, DataDir, connected, fail, print_json, progress_bar, say
from app.client import ApiError, Client
from app.replies import Job
from core.ids import check_collection_name

FINAL = ("ready", "partial", "failed", "cancelled")
# One request carries at most this many files, so that a folder of any size is taken in parts.
FILES_PER_UPLOAD = 50
POLL_S = 0.2


class Chunker(enum.StrEnum):
    fixed = "fixed"
    sentence = "sentence"
    semantic = "semantic"
    parent_child = "parent-child"


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders (folders with all below them).")],
    collection: Collection,
    chunker: Annotated[Chunker | None, typer.Option(help="How text is cut into passages.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep the collection in step with one folder, until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Take files into a collection (made if it is new) and wait until they are searchable.

    Example: openbook ingest reports/ notes.md --collection work

    With --watch, files that are added, changed or deleted in a folder are followed until Ctrl-C; a document is deleted only
    if it was brought in from that folder.

    Example: openbook ingest --watch reports/ --collection work
    """
    check_collection_name(collection)
    if watch:
        from app.cli.watch import watch_folder

        watch_folder(paths, collection, chunker.value if chunker else None, as_json=as_json, data_dir=data_dir)
        return
    files = list(_files(paths))
    if not files:
        raise fail(f"no file in {', '.join(map(str, paths))}")
    with connected(data_dir, worker=True) as client:
        ensure_collection(client, collection)
        jobs: list[str] = []
        for start in range(0, len(files), FILES_PER_UPLOAD):
            part = files[start : start + FILES_PER_UPLOAD]
            jobs += [j["job_id"] for j in _upload(client, collection, part, chunker.value if chunker else None)]
        done = wait_for_jobs(client, jobs)
    report = [job_entry(job) for job in done]
    if as_json:
        print_json({"jobs": report})
    else:
        for entry in report:
            counts = (
                f"{entry['pages']} pages, {entry['chunks']} passages, {entry['seconds']:.1f} s"
                if entry["doc_id"]
                else ""
            )
            print(
                "  ".join(
                    part for part in (f"{entry['state']:<9}", entry["file"], counts, entry["reason"] or "") if part
                )
            )
    if not any(entry["state"] in ("ready", "partial") for entry in report):
        raise fail("no file became searchable")


def _files(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """(name, path) of each file; below a folder the name is the path from that folder's parent."""
    for path in paths:
        if path.is_dir():
            for found in sorted(p for p in path.rglob("*") if p.is_file()):
                relative = found.relative_to(path)
                if not any(part.startswith(".") for part in relative.parts):
                    yield str(relative), found
        elif path.exists():
            yield path.name, path
        else:
            raise fail(f"no such file: {path}")


def ensure_collection(client: Client, name: str) -> None:
    if name not in [c["name"] for c in client.collections()]:
        try:
            client.create_collection(name)
        except ApiError as e:
            if e.status != 409:  # 409: made by someone else meanwhile
                raise
        else:
            say(f"made the collection {name}")


def _upload(client: Client, collection: str, part: list[tuple[str, Path]], chunker: str | None) -> list[Job]:
    """Uploads, waiting and trying again while the queue is full."""
    while True:
        handles = [(name, path.open("rb")) for name, path in part]
        try:
            return client.upload(collection, handles, chunker=chunker)
        except ApiError as e:
            if e.status != 429:
                raise
            time.sleep(e.retry_after_s or 5)
        finally:
            for _, handle in handles:
                handle.close()


def wait_for_jobs(client: Client, job_ids: list[str]) -> list[Job]:
    """The jobs in their order, once all have ended."""
    done: dict[str, Job] = {}
    with progress_bar("ingesting") as move:
        while len(done) < len(job_ids):
            for job_id in job_ids:
                if job_id in done:
                    continue
                job = client.job(job_id)
                move(len(done) / len(job_ids), f"{len(done)}/{len(job_ids)} {job['file']}: {job['state']}")
                if job["state"] not in FINAL:
                    break  # jobs are worked on in order
                done[job_id] = job
            else:
                break
            if len(done) < len(job_ids):
                time.sleep(POLL_S)
    return [done[job_id] for job_id in job_ids]


def job_entry(job: Job) -> dict[str, Any]:
    keys = ("job_id", "file", "state", "reason", "doc_id", "pages", "chunks", "seconds", "warnings")
    return {key: job.get(key) for key in keys}
