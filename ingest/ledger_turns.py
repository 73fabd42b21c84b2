"""Whose turn it is: which of the jobs that wait is given to a worker next. SQL on the ledger's own tables; reads only.

The owner who has been served longest ago comes first, then the oldest of their jobs, so that ten thousand files of one person
do not hold up the one file of another; of one owner the lanes go in their order.

A job that was broken off before is worked on alone: whichever of the files that are read at once brings the worker down, all
of them are broken off, and only one of them is to blame.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, select

from ingest.job import WORKING_STATES, Lane
from ingest.ledger_tables import jobs

# The next owner in the order of ids, and the oldest of their jobs: one step in an index, where grouping reads the whole queue.
_NEXT_WAITING = (
    select(jobs.c.owner_id, jobs.c.job_number)
    .where(jobs.c.state == "queued", jobs.c.paused.is_(False), jobs.c.lane == bindparam("lane"))
    .where(jobs.c.owner_id > bindparam("after"))
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
