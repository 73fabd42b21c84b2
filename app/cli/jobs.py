"""``openbook jobs``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.common import AsJson, DataDir, connected, print_json, say
from app.replies import Job
from core.errors import InvalidRequest
from core.wording import plural
from ingest.job import STATES

app = typer.Typer(
    no_args_is_help=True, help="List, pause, resume, cancel and retry ingestion jobs.", rich_markup_mode=None
)

JobId = Annotated[str, typer.Argument(help="The job's id, from `openbook jobs list`.")]


def _known_states(states: list[str] | None) -> list[str] | None:
    for state in states or ():
        if state not in STATES:
            raise typer.BadParameter(f"{state!r} is none of {', '.join(STATES)}")
    return states


@app.command("list")
def list_jobs(
    collection: Annotated[str | None, typer.Option("--collection", "-c", help="Only of this collection.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many, the newest first.")] = 50,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", callback=_known_states, help="Only in this state; may be given again."),
    ] = None,
    parent: Annotated[str | None, typer.Option("--parent", help="Only the parts of this archive or sitemap.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List the jobs, the newest first.

    Example: openbook jobs list --collection filings --state failed
    """
    with connected(data_dir, wait=False) as client:
        page = client.job_page(collection=collection, states=state or (), parent=parent, limit=limit)
    found = page["jobs"]
    if as_json:
        print_json(page)
        return
    if not found:
        print("no job yet")
    for job in found:
        _print(job)
    if page["next_cursor"] is not None:
        say("there are more: " + ", ".join(f"{n:,} {state}" for state, n in page["counts"].items() if n))


@app.command("cancel")
def cancel(job_id: JobId, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Cancel a job that has not ended.

    Example: openbook jobs cancel j0123456789abcdef0123456789abcdef
    """
    with connected(data_dir, wait=False) as client:
        job = client.cancel_job(job_id)
    print_json(job) if as_json else _print(job)


@app.command("retry")
def retry(job_id: JobId, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Try a failed or cancelled job again. Without a running server it waits until one starts.

    Example: openbook jobs retry j0123456789abcdef0123456789abcdef
    """
    with connected(data_dir, wait=False) as client:
        job = client.retry_job(job_id)
    print_json(job) if as_json else _print(job)


JobIdOrNone = Annotated[str | None, typer.Argument(help="The job's id; or give --collection for all of its jobs.")]
CollectionOption = Annotated[str | None, typer.Option("--collection", "-c", help="All jobs of it, and those to come.")]


@app.command("pause")
def pause(
    job_id: JobIdOrNone = None, collection: CollectionOption = None, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Let a job, or all of a collection, wait until it is resumed, also across a restart.

    Example: openbook jobs pause --collection filings
    """
    _pause(job_id, collection, True, as_json, data_dir)


@app.command("resume")
def resume(
    job_id: JobIdOrNone = None, collection: CollectionOption = None, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Let what was paused go on. Without a running server it waits until one starts.

    Example: openbook jobs resume --collection filings
    """
    _pause(job_id, collection, False, as_json, data_dir)


def _pause(job_id: str | None, collection: str | None, paused: bool, as_json: bool, data_dir: Path | None) -> None:
    word = "paused" if paused else "resumed"
    if (job_id is None) == (collection is None):
        raise InvalidRequest(f"name one job, or --collection, to be {word}", code="usage")
    with connected(data_dir, wait=False) as client:
        if collection is not None:
            n = client.pause_collection(collection, paused=paused)
            found = {"collection": collection, "paused": paused, "jobs": n}
            print_json(found) if as_json else print(f"{word} {plural(n, 'job')} of {collection}")
            return
        job = client.pause_job(str(job_id)) if paused else client.resume_job(str(job_id))
    print_json(job) if as_json else _print(job)


def _print(job: Job) -> None:
    waits = job["state"] == "queued" or (job.get("kind") == "reindex" and job["state"] == "encoding")
    state = "paused" if job.get("paused") and waits else job["state"]
    print(f"{job['job_id']}  {state:<10} {job['collection']:<20} {job['file']}  {job['reason'] or ''}")
