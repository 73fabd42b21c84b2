"""What people read of the ledger: their jobs, how many are in which state, and what happened to one of them.

Each function reads by itself, what is true now. A job is seen by its owner and by administrators; to anyone else it does not
exist. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select

from core.database import Database
from core.errors import InvalidRequest
from core.paging import row_number
from core.types import Principal
from ingest.job import STATES, Job, JobEvent
from ingest.ledger_rows import as_job, owned_job
from ingest.ledger_tables import job_events, jobs
from retrieval.tables import collections

_MAX_PAGE = 1000


def get_job(database: Database, principal: Principal, job_id: str) -> Job:
    """Raises NotFound if there is no such job, or none that the principal may see."""
    with database.read() as connection:
        return owned_job(connection, principal, job_id)


def list_jobs(
    database: Database,
    principal: Principal,
    *,
    collection: str | None = None,
    states: Sequence[str] = (),
    parent: str | None = None,
    limit: int = 200,
    after: str | None = None,
) -> tuple[list[Job], str | None]:
    """One page of the principal's jobs, newest first, and the cursor to go on after (None: no more).

    Args:
        parent: the job_id of the container whose parts are meant.
        limit: 1 to 1000.
        after: the cursor that the page before gave.

    Raises:
        InvalidRequest: there is no such state, or ``after`` is no cursor.
    """
    unknown = set(states) - set(STATES)
    if unknown:
        raise InvalidRequest(f"no job state {sorted(unknown)[0]!r}: there are {', '.join(STATES)}")
    query = _of(select(jobs), principal, collection, parent)
    limit = min(max(limit, 1), _MAX_PAGE)
    query = query.order_by(jobs.c.job_number.desc()).limit(limit + 1)
    if states:
        query = query.where(jobs.c.state.in_(states))
    if after is not None:
        query = query.where(jobs.c.job_number < row_number(after))
    with database.read() as connection:
        rows = connection.execute(query).all()
    following = str(rows[limit - 1].job_number) if len(rows) > limit else None
    return [as_job(row) for row in rows[:limit]], following


def jobs_of_one(database: Database, principal: Principal, collection: str, *, parts: bool) -> list[Job]:
    """Every one of the principal's jobs of one collection, newest first, however many there are.

    Args:
        parts: also what came out of archives and sitemaps, which may be a thousand for one that was sent.
    """
    query = _of(select(jobs), principal, collection, None).order_by(jobs.c.job_number.desc())
    if not parts:
        query = query.where(jobs.c.parent_id.is_(None))
    with database.read() as connection:
        return [as_job(row) for row in connection.execute(query)]


def count_jobs(
    database: Database, principal: Principal, collection: str | None = None, parent: str | None = None
) -> Mapping[str, int]:
    """How many of the principal's jobs are in each state; states without any are there with 0."""
    query = _of(select(jobs.c.state, func.count()), principal, collection, parent).group_by(jobs.c.state)
    with database.read() as connection:
        found = {row[0]: int(row[1]) for row in connection.execute(query)}
    return {state: found.get(state, 0) for state in STATES}


def originals_of(connection: Connection, collection: str, uri: str | None = None) -> list[str]:
    """The SHA-256 of every file that a job of a collection (and of one name in it) is about, whosesoever."""
    query = select(jobs.c.sha256).distinct().where(jobs.c.collection == collection, jobs.c.sha256 != "")
    if uri is not None:
        query = query.where(jobs.c.uri == uri)
    return [str(sha256) for sha256 in connection.scalars(query)]


def events_since(
    database: Database, principal: Principal, job_id: str, after: int = 0, limit: int = 1000
) -> list[JobEvent]:
    """The events of a job with ``seq`` over ``after``, in order. Raises NotFound as ``get_job`` does.

    Steps of progress are forgotten when a job ends, changes of state are not.
    """
    query = select(job_events).where(job_events.c.job_id == job_id, job_events.c.seq > after)
    with database.read() as connection:
        owned_job(connection, principal, job_id)
        rows = connection.execute(query.order_by(job_events.c.seq).limit(limit))
        return [JobEvent(**row._mapping) for row in rows]


def _of(query: Select[Any], principal: Principal, collection: str | None, parent: str | None) -> Select[Any]:
    """The query, of what the principal may see of a collection and of a container; None: of all."""
    if not principal.is_admin:
        query = query.where(jobs.c.owner_id == principal.user_id)
    if collection is not None:
        query = query.where(jobs.c.collection == collection)
    elif parent is None:  # what is attached to something else is told there
        query = query.where(
            jobs.c.collection.not_in(select(collections.c.name).where(collections.c.attached_to.is_not(None)))
        )
    if parent is not None:
        query = query.where(jobs.c.parent_id == parent)
    return query


def seconds_of_documents(connection: Connection, collection: str) -> dict[str, float]:
    """Document → how long a worker took over it the last time, of those that some job still tells of. Asks nobody's rights."""
    query = select(jobs.c.doc_id, jobs.c.seconds).where(
        jobs.c.collection == collection, jobs.c.state.in_(("ready", "partial")), jobs.c.seconds > 0
    )
    rows = connection.execute(query.order_by(jobs.c.job_number))
    return {row.doc_id: float(row.seconds) for row in rows if row.doc_id}
