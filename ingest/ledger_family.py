"""Jobs that came out of one other: the members of an archive, the pages of a sitemap. SQL on the ledger's own tables.

It reads, and says what became of the whole; changing states is the ledger's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from ingest.job import FINAL_STATES, FinalState, Job
from ingest.ledger_tables import jobs

_NAMED = 5  # parts that a summary names with their reasons
_REASON_CHARACTERS = 200
_PARTS: Mapping[str, tuple[str, str]] = {"archive": ("member", "members"), "sitemap": ("page", "pages")}


def unended_below(connection: Connection, job_id: str) -> list[str]:
    """The ids of all jobs below one, at any depth, that have not ended."""
    below = select(jobs.c.job_id, jobs.c.state).where(jobs.c.parent_id == job_id).cte("below", recursive=True)
    further = select(jobs.c.job_id, jobs.c.state).join(below, jobs.c.parent_id == below.c.job_id)
    tree = below.union(further)
    return list(connection.scalars(select(tree.c.job_id).where(tree.c.state.not_in(FINAL_STATES))))


def waits_for_its_parts(job: Job) -> bool:
    """Whether it has been opened, and ends when what came out of it has ended: no worker has it."""
    return job.is_container and job.state == "indexing"


def share_done(connection: Connection, job_id: str) -> tuple[int, int]:
    """(how many parts have ended, how many there are)."""
    counted = _counted(connection, job_id)
    return sum(counted.get(state, 0) for state in FINAL_STATES), sum(counted.values())


def outcome(connection: Connection, job: Job) -> tuple[FinalState, str]:
    """How a container whose parts have all ended ends itself, and what a person reads of it.

    ``ready``: every part became a document. ``partial``: some did. ``failed``: none.
    """
    counted = _counted(connection, job.job_id)
    read = counted.get("ready", 0) + counted.get("partial", 0)
    skipped: list[tuple[str, str]] = [(str(name), str(why)) for name, why in job.origin.get("skipped", ())]
    one, many = _PARTS.get(str(job.origin["container"]), ("part", "parts"))
    said = [_plural(read, "document", "documents")]
    if n := counted.get("partial", 0):
        said[0] += f", {n} of them in part"
    lost = len(skipped) + int(job.origin.get("more_skipped", 0)) + counted.get("failed", 0)
    if lost:
        reasons = [f"{name}: {why}" for name, why in (skipped + _failed(connection, job))[:_NAMED]]
        more = "; …" if lost > len(reasons) else ""
        are = f"{_plural(lost, one, many)} {'is' if lost == 1 else 'are'} not read"
        said.append(f"{are}: {'; '.join(reasons)}{more}")
    if n := counted.get("cancelled", 0):
        said.append(f"{_plural(n, one, many)} cancelled")
    said += [str(note) for note in job.origin.get("notes", ())]
    text = "; ".join(said)
    if job.cancel_requested:
        return "cancelled", f"cancelled: {text}"
    if read == 0:
        return "failed", text
    whole = not lost and not counted.get("cancelled", 0) and not counted.get("partial", 0)
    return ("ready" if whole and not job.origin.get("incomplete") else "partial"), text


def _counted(connection: Connection, job_id: str) -> dict[str, int]:
    query = select(jobs.c.state, func.count()).where(jobs.c.parent_id == job_id).group_by(jobs.c.state)
    return {state: int(n) for state, n in connection.execute(query)}


def _failed(connection: Connection, job: Job) -> list[tuple[str, str]]:
    query = (
        select(jobs.c.file, jobs.c.reason)
        .where(jobs.c.parent_id == job.job_id, jobs.c.state == "failed")
        .order_by(jobs.c.job_number)
        .limit(_NAMED)
    )
    return [_shortly(str(row.file), str(row.reason), f"{job.file}/") for row in connection.execute(query)]


def _shortly(file: str, reason: str, prefix: str) -> tuple[str, str]:
    """A part's name within the whole, and its reason without that name and without all that could be read instead."""
    name = file.removeprefix(prefix)
    for said in (file, name, file.rsplit("/", 1)[-1]):
        reason = reason.removeprefix(f"{said}: ").removeprefix(f"{said} ")
    if len(reason) > _REASON_CHARACTERS:
        reason = reason[:_REASON_CHARACTERS] + "…"
    return name, reason


def _plural(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def merged(origin: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """``origin`` with ``new`` over it; None takes a key away."""
    return {key: value for key, value in {**origin, **new}.items() if value is not None}
