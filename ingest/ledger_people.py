"""What people do with their jobs while these wait or run: cancel, pause, resume. SQL on the ledger's own tables.

Part of the caller's write transaction. A worker is only told, when it next says how far it is; what it makes of that is the
ledger's (``Ledger.advance``, ``Ledger.stopped``). To let a job wait again is ``Ledger.retry``, as that may find no room.
"""

from __future__ import annotations

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from core.clock import now_iso
from core.errors import Conflict
from core.types import Principal
from ingest.job import FINAL_STATES, Job
from ingest.ledger_ends import cancel
from ingest.ledger_family import unended_below
from ingest.ledger_rows import owned_job, read_job, update_job
from ingest.ledger_tables import jobs, paused_collections


def request_cancel(connection: Connection, principal: Principal, job_id: str) -> Job:
    """Cancels a waiting job at once, and tells the worker of a running one. Twice is as good as once.

    Raises:
        NotFound: no such job, or not yours.
        Conflict: it has ended otherwise.
    """
    job = owned_job(connection, principal, job_id)
    if job.state == "cancelled":
        return job
    if job.state in FINAL_STATES:
        raise Conflict(f"{job.file} is {job.state} already and cannot be cancelled", code="job-ended")
    return cancel(connection, job)


def cancel_collection(connection: Connection, collection: str) -> int:
    """Cancels every job of a collection that is being deleted; returns how many."""
    unended = select(jobs.c.job_id).where(jobs.c.collection == collection, jobs.c.state.not_in(FINAL_STATES))
    found = connection.scalars(unended).all()
    for job_id in found:
        job = read_job(connection, job_id)  # it may have been cancelled with its container
        if job.state not in FINAL_STATES:
            cancel(connection, job, "the collection was deleted")
    connection.execute(delete(paused_collections).where(paused_collections.c.collection == collection))
    return len(found)


def pause(connection: Connection, principal: Principal, job_id: str) -> Job:
    """Lets a job, and all that came out of it, wait until ``resume``; one at work stops and will begin anew.

    Raises:
        NotFound: no such job, or not yours.
        Conflict: it has ended.
    """
    return _set_paused(connection, principal, job_id, True)


def resume(connection: Connection, principal: Principal, job_id: str) -> Job:
    """Raises NotFound, Conflict as ``pause`` does."""
    return _set_paused(connection, principal, job_id, False)


def _set_paused(connection: Connection, principal: Principal, job_id: str, paused: bool) -> Job:
    job = owned_job(connection, principal, job_id)
    if job.state in FINAL_STATES:
        word = "paused" if paused else "resumed"
        raise Conflict(f"{job.file} is {job.state} already and cannot be {word}", code="job-ended")
    for one in [job_id, *unended_below(connection, job_id)]:
        update_job(connection, one, paused=paused)
    return read_job(connection, job_id)


def pause_collection(connection: Connection, principal: Principal, collection: str, paused: bool) -> int:
    """Pauses or resumes all jobs of a collection, whosesoever, and what will be added. The caller has seen to it that the
    principal may change the collection.

    Returns:
        How many of the principal's own (an administrator's: of all) that changes; how many others have is their business.
    """
    connection.execute(delete(paused_collections).where(paused_collections.c.collection == collection))
    if paused:
        connection.execute(insert(paused_collections).values(collection=collection))
    which = and_(jobs.c.collection == collection, jobs.c.state.not_in(FINAL_STATES), jobs.c.paused != paused)
    counted = select(func.count()).select_from(jobs).where(which)
    if not principal.is_admin:
        counted = counted.where(jobs.c.owner_id == principal.user_id)
    n = int(connection.execute(counted).scalar_one())
    connection.execute(update(jobs).where(which).values(paused=paused, updated_at=now_iso()))
    return n


def is_paused(connection: Connection, collection: str) -> bool:
    """Whether what is added to a collection is paused from the first."""
    query = select(paused_collections.c.collection).where(paused_collections.c.collection == collection)
    return connection.execute(query).first() is not None
