"""``openbook reindex`` and ``openbook rollback``."""

from __future__ import annotations

import enum
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.common import AsJson, DataDir, connected, fail, print_json, progress_bar
from app.cli.ingest import FINAL, POLL_S, Chunker
from app.client import Client
from app.replies import Job
from app.waiting import about, left
from core.wording import plural

Name = Annotated[str, typer.Argument(help="The collection's name.")]


class Context(enum.StrEnum):
    nothing = "none"
    its_title = "title"
    title_and_headings = "headings"


class Precision(enum.StrEnum):
    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


def reindex(
    name: Name,
    chunker: Annotated[Chunker | None, typer.Option(help="How text is cut into passages.")] = None,
    chunk_tokens: Annotated[int | None, typer.Option(help="Longest passage, in word pieces.")] = None,
    chunk_overlap_tokens: Annotated[int | None, typer.Option(help="What two passages share.")] = None,
    embed_context: Annotated[
        Context | None, typer.Option(help="What stands before a passage when it is embedded.")
    ] = None,
    encoder: Annotated[str | None, typer.Option(help='"packaged", or a model of sentence-transformers.')] = None,
    encoder_precision: Annotated[Precision | None, typer.Option(help="Of the encoder's numbers.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would come to, and begin nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has switched.")] = True,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make every document of a collection anew, with another chunker or encoder; what is not said stays as it is.

    The old passages are searched until all the new ones are there; then all of them are switched to at once. `openbook
    rollback` goes back. Ctrl-C ends the waiting, not the work (if a server runs): see `openbook jobs cancel`.

    Example: openbook reindex filings --chunker sentence --chunk-tokens 300
    """
    changes = {
        "chunker": chunker and chunker.value,
        "chunk_tokens": chunk_tokens,
        "chunk_overlap_tokens": chunk_overlap_tokens,
        "embed_context": embed_context and embed_context.value,
        "encoder": encoder,
        "encoder_precision": encoder_precision and encoder_precision.value,
    }
    if dry_run:
        _estimate(name, changes, as_json, data_dir)
        return
    with connected(data_dir, worker=True) as client:
        job = client.reindex(name, **changes)
        if wait:
            job = _wait(client, job["job_id"])
    if as_json:
        print_json({"job": job})
    elif not wait:
        print(f"{job['job_id']}  {job['state']}  {job['file']}")
    elif job["state"] in ("ready", "partial"):
        print(
            f"{name}: {job['file']}: {plural(job['chunks'] or 0, 'passage')}; go back with `openbook rollback {name}`"
        )
        if job["reason"]:
            print(job["reason"])
    if wait and job["state"] not in ("ready", "partial"):
        raise fail(f"{job['state']}: {job['reason']}; {name} is searched as it was")


def _estimate(name: str, changes: dict[str, Any], as_json: bool, data_dir: Path | None) -> None:
    with connected(data_dir) as client:
        found = client.reindex_estimate(name, **changes)
    if as_json:
        print_json(found)
        return
    for setting, change in found["changes"].items():
        print(f"{setting}: {change['is']} → {change['would_be']}")
    took = "" if found["seconds"] is None else f", which takes about {about(found['seconds'])}"
    print(f"{found['again']:,} of {plural(found['documents'], 'document')} would be read again{took}")


def _wait(client: Client, job_id: str) -> Job:
    with progress_bar("reindexing") as move:
        while True:
            job = client.job(job_id)
            move(job["progress"], left(job.get("remaining_s")))
            if job["state"] in FINAL:
                return job
            time.sleep(POLL_S)


def rollback(name: Name, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Search a collection again as it was before the last reindex. A second rollback undoes the first.

    Documents that were added or changed since stay; those that were deleted since do not come back.

    Example: openbook rollback filings
    """
    with connected(data_dir) as client:
        done = client.rollback(name)
    if as_json:
        print_json(done)
        return
    made = done["pipeline"]
    print(f"{name} is searched as before: {made.get('chunker')}, {made.get('chunk_tokens')} word pieces")
