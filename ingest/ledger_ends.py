"""How a job ends, and what follows for those above and below it: a container ends when the last of its parts has, and
cancelling it cancels them. SQL on the ledger's own tables.

It knows nothing of who ends a job: a worker, a person, or the ledger itself, for good or ill.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, func, select

from core.errors import Conflict
from ingest.job import FINAL_STATES, Job
from ingest.ledger_family import outcome, share_done, unended_below, waits_for_its_parts
from ingest.ledger_rows import PROGRESS_STEP, add_event, find_job, move_job, read_job, update_job
from ingest.ledger_tables import job_events


def end_job(connection: Connection, job_id: str, state: str, reason: str, **values: Any) -> Job:
    """Ends a job, in whatever state it is; with ``values`` for further columns.

    Raises:
        Conflict: it has ended already.
    """
    job = read_job(connection, job_id)
    if job.state in FINAL_STATES:
        raise Conflict(f"{job.file} is {job.state} already", code="job-ended")
    # What a stream may have missed of the progress is of no use any more; the states stay.
    kept = select(func.min(job_events.c.seq)).where(job_events.c.job_id == job_id).group_by(job_events.c.state)
    connection.execute(delete(job_events).where(job_events.c.job_id == job_id, job_events.c.seq.not_in(kept)))
    move_job(connection, job_id, state, reason=reason, worker_id=None, lease_until=None, **values)
    if state == "cancelled":
        _cancel_below(connection, job_id, reason)
    if job.parent_id is not None:
        settle(connection, job.parent_id)
    return read_job(connection, job_id)


def cancel(connection: Connection, job: Job, reason: str = "cancelled") -> Job:
    """Ends a job that waits; of one at work only notes the wish, for its worker to hear."""
    if job.state == "queued":
        return end_job(connection, job.job_id, "cancelled", reason)
    if waits_for_its_parts(job):
        update_job(connection, job.job_id, cancel_requested=True)
        _cancel_below(connection, job.job_id, reason)
        return read_job(connection, job.job_id)
    if not job.cancel_requested:
        update_job(connection, job.job_id, cancel_requested=True)
        add_event(connection, job.job_id, job.state, job.progress, "cancelling")
    return read_job(connection, job.job_id)


def _cancel_below(connection: Connection, job_id: str, reason: str) -> None:
    for part_id in unended_below(connection, job_id):
        part = read_job(connection, part_id)
        if part.state not in FINAL_STATES:  # it may have ended with another
            cancel(connection, part, reason)


def settle(connection: Connection, job_id: str) -> None:
    """Moves a container on after one of its parts has ended; the last one ends it, also when it was retried."""
    job = find_job(connection, job_id)
    if job is None or not job.is_container or job.state in ("queued", "cancelled"):
        return
    done, parts = share_done(connection, job_id)
    if done < parts:
        if job.state == "indexing" and done / parts - job.progress >= PROGRESS_STEP:
            move_job(connection, job_id, "indexing", progress=done / parts)
        return
    state, reason = outcome(connection, job)
    if job.state == "indexing":
        end_job(connection, job_id, state, reason, progress=1.0)
    elif (state, reason) != (job.state, job.reason):
        move_job(connection, job_id, state, reason=reason)
