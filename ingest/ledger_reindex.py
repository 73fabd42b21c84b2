"""Jobs of the kind ``reindex``: a whole collection is made anew. SQL on the ledger's own tables.

    encoding ──note_switched──▶ indexing ──finish──▶ ready | partial
        └── fail, cancelled

Such a job never waits in the queue: what is to be done next follows from the documents themselves, so that it holds no
place, is claimed by nobody, and needs nothing to be resumed after a stop. ``app.reindexing`` works on it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, select, update

from core.clock import now_iso
from core.ids import new_id
from core.types import Principal
from ingest.job import FINAL_STATES
from ingest.ledger_tables import job_events, jobs


def begin_reindex(
    connection: Connection, principal: Principal, collection: str, what: str, *, paused: bool = False
) -> str:
    """A new job, at work at once; returns its id.

    Args:
        what: shown where other jobs have the name of their file.
    """
    now = now_iso()
    values: dict[str, Any] = {
        "job_id": new_id("j"), "owner_id": principal.user_id, "collection": collection, "file": what, "uri": "",
        "sha256": "", "size": 0, "chunker": "", "state": "encoding", "reason": "", "pages": 0, "chunks": 0,
        "seconds": 0.0, "progress": 0.0, "attempts": 1, "cancel_requested": False, "warnings": "[]",
        "created_at": now, "updated_at": now, "kind": "reindex",
        "paused": paused,
    }  # fmt: skip
    connection.execute(insert(jobs).values(values))
    _event(connection, values["job_id"], "encoding", 0.0)
    return str(values["job_id"])


def note_progress(connection: Connection, job_id: str, progress: float, seconds: float) -> None:
    """Args: progress: of the whole job; seconds: of work since the last note."""
    connection.execute(
        update(jobs)
        .where(jobs.c.job_id == job_id)
        .values(progress=progress, seconds=jobs.c.seconds + seconds, updated_at=now_iso())
    )
    _event(connection, job_id, "encoding", progress)


def note_switched(connection: Connection, job_id: str, reason: str) -> None:
    """Part of the transaction that switches: a job that a crash finds in this state has only to be ended.

    Args:
        reason: which documents could not be made anew; "" if all were.
    """
    values = {"state": "indexing", "progress": 0.99, "reason": reason, "updated_at": now_iso()}
    connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(values))
    _event(connection, job_id, "indexing", 0.99)


def unended(connection: Connection) -> list[str]:
    """The ids of all that have not ended, the oldest first."""
    query = select(jobs.c.job_id).where(jobs.c.kind == "reindex", jobs.c.state.not_in(FINAL_STATES))
    return list(connection.scalars(query.order_by(jobs.c.job_number)))


def _event(connection: Connection, job_id: str, state: str, progress: float) -> None:
    values = {"job_id": job_id, "state": state, "progress": progress, "reason": "", "at": now_iso()}
    connection.execute(insert(job_events).values(values))
