"""One row of the ledger: made, read as a Job, moved to another state with its event. SQL on the ledger's own tables.

It knows nothing of which state may follow which, nor of what one job's state means for another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from core.clock import now_iso
from core.errors import NotFound
from core.ids import new_id
from core.types import Principal
from ingest.job import Job
from ingest.ledger_tables import job_events, jobs

# A step of progress smaller than this makes no event and no write: each costs a flush to the disk.
PROGRESS_STEP = 0.05
_JOB_FIELDS = tuple(Job.__dataclass_fields__)
# Built once: an upload of ten thousand files adds ten thousand jobs.
_INSERT_JOB = insert(jobs)
_INSERT_EVENT = insert(job_events)


def insert_job(
    connection: Connection, *, principal: Principal, collection: str, file: str, state: str = "queued", **others: Any
) -> Job:
    """A new job with its first event; ``others`` are columns that are not as those of a job that has just come."""
    now = now_iso()
    values: dict[str, Any] = {
        "job_id": new_id("j"), "owner_id": principal.user_id, "collection": collection, "file": file, "uri": "",
        "sha256": "", "size": 0, "chunker": "", "state": state, "reason": "", "pages": 0, "chunks": 0,
        "seconds": 0.0, "progress": 0.0, "attempts": 0, "cancel_requested": False, "warnings": "[]", "origin": "{}",
        "created_at": now, "updated_at": now, **others,
    }  # fmt: skip
    connection.execute(_INSERT_JOB, values)
    add_event(connection, values["job_id"], state, 0.0)
    return Job(**{**values, "warnings": (), "origin": json.loads(values["origin"])})


def as_job(row: Any) -> Job:
    """A Job of a row of ``jobs``."""
    values = {name: getattr(row, name) for name in _JOB_FIELDS}
    return Job(**{**values, "warnings": tuple(json.loads(row.warnings)), "origin": json.loads(row.origin)})


def as_json(value: Mapping[str, Any] | Sequence[str]) -> str:
    """As ``origin`` and ``warnings`` are kept."""
    return json.dumps(value, ensure_ascii=False)


def find_job(connection: Connection, job_id: str) -> Job | None:
    row = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one_or_none()
    return as_job(row) if row is not None else None


def read_job(connection: Connection, job_id: str) -> Job:
    """Raises NotFound."""
    job = find_job(connection, job_id)
    if job is None:
        raise _no_job(job_id)
    return job


def owned_job(connection: Connection, principal: Principal, job_id: str) -> Job:
    """A job is seen by its owner and by administrators; to anyone else it does not exist: raises NotFound."""
    job = find_job(connection, job_id)
    if job is None or not (principal.is_admin or job.owner_id == principal.user_id):
        raise _no_job(job_id)
    return job


def move_job(connection: Connection, job_id: str, state: str, **values: Any) -> Job:
    """A change of state or progress, with its event; returns the job as it is now."""
    update_job(connection, job_id, state=state, **values)
    job = read_job(connection, job_id)
    add_event(connection, job_id, state, job.progress, job.reason)
    return job


def update_job(connection: Connection, job_id: str, **values: Any) -> None:
    """A change that those who watch the job need not hear of."""
    connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(updated_at=now_iso(), **values))


def add_event(connection: Connection, job_id: str, state: str, progress: float, reason: str = "") -> None:
    values = {"job_id": job_id, "state": state, "progress": progress, "reason": reason, "at": now_iso()}
    connection.execute(_INSERT_EVENT, values)


def _no_job(job_id: str) -> NotFound:
    return NotFound(f"no job {job_id!r}", code="unknown-job")
