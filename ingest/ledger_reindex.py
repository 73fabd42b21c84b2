"""Jobs of the kind ``reindex``: a whole collection is made anew. SQL on the ledger's own tables.

    encoding ──note_switched──▶ indexing ──finish──▶ ready | partial
        └── fail, cancelled

Such a job never waits in the queue: what is to be done next follows from the documents themselves, so that it holds no
place, is claimed by nobody, and needs nothing to be resumed after a stop. ``app.reindexing`` works on it.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from core.types import Principal
from ingest.job import FINAL_STATES
from ingest.ledger_rows import add_event, insert_job, update_job
from ingest.ledger_tables import jobs


def begin_reindex(
    connection: Connection, principal: Principal, collection: str, what: str, *, paused: bool = False
) -> str:
    """A new job, at work at once; returns its id.

    Args:
        what: shown where other jobs have the name of their file.
    """
    job = insert_job(
        connection, principal=principal, collection=collection, file=what, state="encoding", attempts=1, kind="reindex",
        paused=paused,
    )  # fmt: skip
    return job.job_id


def note_progress(connection: Connection, job_id: str, progress: float, seconds: float) -> None:
    """Args: progress: of the whole job; seconds: of work since the last note."""
    update_job(connection, job_id, progress=progress, seconds=jobs.c.seconds + seconds)
    add_event(connection, job_id, "encoding", progress)


def note_switched(connection: Connection, job_id: str, reason: str) -> None:
    """Part of the transaction that switches: a job that a crash finds in this state has only to be ended.

    Args:
        reason: which documents could not be made anew; "" if all were.
    """
    update_job(connection, job_id, state="indexing", progress=0.99, reason=reason)
    add_event(connection, job_id, "indexing", 0.99)


def unended(connection: Connection) -> list[str]:
    """The ids of all that have not ended, the oldest first."""
    query = select(jobs.c.job_id).where(jobs.c.kind == "reindex", jobs.c.state.not_in(FINAL_STATES))
    return list(connection.scalars(query.order_by(jobs.c.job_number)))
