"""Whose turn it is: which of the jobs that wait is given to a worker next, and which came too late. SQL on the ledger's own tables; reads only.

The owner who has been served longest ago comes first, then the oldest of their jobs, so that ten thousand files of one person
do not hold up the one file of another; of one owner the lanes go in their order.

Files of one name are worked on one after the other, the oldest first: two at once would let the one that takes longer, perhaps the
older, replace the other.

A job that was broken off before is worked on alone: whichever of the files that are read at once brings the worker down, all
of them are broken off, and only one of them is to blame.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, exists, func, select

from ingest.job import WORKING_STATES, Lane
from ingest.ledger_tables import jobs

_AT_WORK = jobs.alias("at_work")
_NAME_IS_AT_WORK = (
    exists()
    .where(_AT_WORK.c.collection == jobs.c.collection, _AT_WORK.c.uri == jobs.c.uri)
    .where(_AT_WORK.c.state.in_(WORKING_STATES), _AT_WORK.c.worker_id.is_not(None))
)
# The next owner in the order of ids, and the oldest of their jobs: one step in an index, where grouping reads the whole queue.
_NEXT_WAITING = (
    select(jobs.c.owner_id, jobs.c.job_number)
    .where(jobs.c.state == "queued", jobs.c.paused.is_(False), jobs.c.lane == bindparam("lane"))
    .where(jobs.c.owner_id > bindparam("after"), ~_NAME_IS_AT_WORK)
    .order_by(jobs.c.owner_id, jobs.c.job_number)
    .limit(1)
)


def next_waiting(connection: Connection, lanes: Sequence[Lane]) -> str | None:
    """The id of the next job to be worked on; None if none waits in these lanes, or the next one has to wait."""
    oldest: dict[str, int] = {}  # owner → the number of their job
    for lane in reversed(lanes):
        after = ""
        while (row := connection.execute(_NEXT_WAITING, {"lane": lane, "after": after}).one_or_none()) is not None:
            oldest[row.owner_id] = row.job_number
            after = row.owner_id
    if not oldest:
        return None
    served = {owner: _served_at(connection, owner) for owner in oldest}
    _, number = min(oldest.items(), key=lambda row: (served[row[0]], row[1]))
    query = select(jobs.c.job_id, jobs.c.attempts).where(jobs.c.job_number == number)
    job_id, attempts = connection.execute(query).one()
    if "files" in lanes:
        busy, most = _files_at_work(connection)
        if busy and (attempts > 0 or most > 1):
            return None
    return str(job_id)


def _served_at(connection: Connection, owner_id: str) -> float:
    query = select(func.max(jobs.c.claimed_at)).where(jobs.c.owner_id == owner_id)
    return connection.execute(query).scalar() or 0.0


def _files_at_work(connection: Connection) -> tuple[int, int]:
    """(how many files workers have in hand, the most attempts that one of them has had)."""
    query = select(func.count(), func.coalesce(func.max(jobs.c.attempts), 0)).where(
        jobs.c.state.in_(WORKING_STATES), jobs.c.worker_id.is_not(None), jobs.c.lane != "urls"
    )
    count, most = connection.execute(query).one()
    return count, most


def overtaken_by(connection: Connection, job_id: str, sha256: str) -> bool:
    """Whether a file of the same name that was added after this job's has become a document already, with these bytes.

    Then what the job makes must not replace it.
    """
    mine = select(jobs).where(jobs.c.job_id == job_id).subquery()
    query = select(jobs.c.job_id).where(
        jobs.c.sha256 == sha256, jobs.c.collection == mine.c.collection, jobs.c.uri == mine.c.uri,
        jobs.c.job_number > mine.c.job_number, jobs.c.state.in_(("ready", "partial")),
    )  # fmt: skip
    return connection.execute(query.limit(1)).first() is not None
