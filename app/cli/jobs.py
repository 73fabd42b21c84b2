"""``openbook jobs``."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.common import AsJson, DataDir, connected, print_json
from app.replies import Job

app = typer.Typer(no_args_is_help=True, help="List, cancel and retry ingestion jobs.", rich_markup_mode=None)

JobId = Annotated[str, typer.Argument(help="The job's id, from `openbook jobs list`.")]


@app.command("list")
def list_jobs(
    collection: Annotated[str | None, typer.Option("--collection", "-c", help="Only of this collection.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many, the newest first.")] = 50,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List the jobs, the newest first.

    Example: openbook jobs list --collection filings
    """
    with connected(data_dir, wait=False) as client:
        found = client.jobs(collection=collection, limit=limit)
    if as_json:
        print_json({"jobs": found})
        return
    if not found:
        print("no job yet")
    for job in found:
        _print(job)


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


def _print(job: Job) -> None:
    print(f"{job['job_id']}  {job['state']:<10} {job['collection']:<20} {job['file']}  {job['reason'] or ''}")
