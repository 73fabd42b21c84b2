"""The ledger of jobs: every file's state, durable at every step. SQL owner of ``jobs`` and ``job_events``.

    queued ──claim──▶ parsing ─▶ encoding ─▶ indexing ──finish──▶ ready | partial
      │ ▲                └───────────┴──────────┴──────fail─────▶ failed ──┐
      │ └── requeue_interrupted, lapsed lease (bounded attempts)           │ retry ▶ queued
      └──request_cancel──▶ cancelled ◀──cancelled (worker saw the flag) ───┘

Methods that take a ``connection`` are part of the caller's write transaction; the others read by themselves. A job
is seen by its owner and by administrators; to anyone else it does not exist. The ledger knows nothing of documents.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from core.clock import now_iso
from core.database import Database
from core.errors import Busy, Conflict, InvalidRequest, NotFound
from core.ids import new_id
from core.types import Principal
from ingest.job import FINAL_STATES, STATES, WORKING_STATES, Job, JobEvent
from ingest.ledger_tables import job_events, jobs

__all__ = ["FINAL_STATES", "Job", "JobEvent", "Ledger"]

# A step of progress smaller than this makes no event and no write: each costs a flush to the disk.
_PROGRESS_STEP = 0.05
_MAX_LIST = 1000
# Built once: an upload of ten thousand files adds ten thousand jobs.
_INSERT_JOB = insert(jobs)
_INSERT_EVENT = insert(job_events)
_COUNT_WAITING = select(func.count()).select_from(jobs).where(jobs.c.state == "queued")


class Ledger:
    def __init__(
        self,
        database: Database,
        *,
        max_queued: int = 20_000,
        max_attempts: int = 3,
        lease_s: float = 300.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            max_queued: jobs that may wait; one more is refused with Busy.
            max_attempts: how often work on a job may begin before it counts as poison.
            lease_s: a worker that is silent for so long is taken for dead. A sign of life is any ``advance``.
            clock: seconds, for leases only.
        """
        self._database = database
        self._max_queued = max_queued
        self._max_attempts = max_attempts
        self._lease_s = lease_s
        self._clock = clock

    # ------------------------------------------------------------ coming in

    def add(
        self,
        connection: Connection,
        *,
        principal: Principal,
        collection: str,
        file: str,
        uri: str,
        sha256: str,
        size: int,
        chunker: str,
    ) -> Job:
        """A new job in the state ``queued``.

        Args:
            chunker: "" as the collection has it when the job is worked on.

        Raises:
            Busy: too many are waiting.
        """
        waiting = connection.execute(_COUNT_WAITING).scalar_one()
        if waiting >= self._max_queued:
            raise Busy(
                f"{waiting:,} files are waiting already, which is the limit: try again when some are done",
                retry_after_s=30,
            )
        now = now_iso()
        values: dict[str, Any] = {
            "job_id": new_id("j"), "owner_id": principal.user_id, "collection": collection, "file": file, "uri": uri,
            "sha256": sha256, "size": size, "chunker": chunker, "state": "queued", "reason": "", "pages": 0, "chunks": 0,
            "seconds": 0.0, "progress": 0.0, "attempts": 0, "cancel_requested": False, "warnings": "[]",
            "created_at": now, "updated_at": now,
        }  # fmt: skip
        connection.execute(_INSERT_JOB, values)
        self._event(connection, values["job_id"], "queued", 0.0, "")
        return Job(**{**values, "warnings": ()})

    # ------------------------------------------------------------ work

    def claim(self, connection: Connection, worker_id: str) -> Job | None:
        """The next job for a worker, now ``parsing``; None if none waits.

        The owner who has been served longest ago comes first, then the oldest of their jobs, so that ten thousand
        files of one person do not hold up the one file of another. Jobs whose lease has lapsed are requeued first.
        """
        now = self._clock()
        lapsed = connection.execute(
            select(jobs.c.job_id).where(jobs.c.state.in_(WORKING_STATES), jobs.c.lease_until < now)
        ).scalars()
        for job_id in lapsed.all():
            self._requeue(connection, job_id, "the worker fell silent")
        owners = connection.execute(
            select(jobs.c.owner_id, func.min(jobs.c.job_number))
            .where(jobs.c.state == "queued")
            .group_by(jobs.c.owner_id)
        ).all()
        if not owners:
            return None
        served = {
            owner: connection.execute(select(func.max(jobs.c.claimed_at)).where(jobs.c.owner_id == owner)).scalar()
            or 0.0
            for owner, _ in owners
        }
        _, number = min(owners, key=lambda row: (served[row[0]], row[1]))
        job_id = connection.execute(select(jobs.c.job_id).where(jobs.c.job_number == number)).scalar_one()
        values = {"worker_id": worker_id, "claimed_at": now, "lease_until": now + self._lease_s}
        self._set(connection, job_id, "parsing", progress=0.0, attempts=jobs.c.attempts + 1, **values)
        return self._row(connection, job_id)

    def advance(
        self, connection: Connection, job_id: str, state: str, progress: float, *, worker_id: str | None = None
    ) -> bool:
        """Notes how far a job is. False: stop, because a person cancelled it, it has ended, or (when ``worker_id`` is
        given) it belongs to another worker by now.

        Raises:
            InvalidRequest: not a state that work can be in.
        """
        if state not in WORKING_STATES:
            raise InvalidRequest(f"a job cannot advance to {state!r}: choose {', '.join(WORKING_STATES)}")
        job = self.peek(connection, job_id)
        if job is None or job.state not in WORKING_STATES or job.cancel_requested:
            return False
        if worker_id is not None and not self.is_worked_on_by(connection, job_id, worker_id):
            return False
        row = connection.execute(select(jobs.c.lease_until).where(jobs.c.job_id == job_id)).one()
        progress = min(max(progress, 0.0), 1.0)
        if job.state != state or abs(progress - job.progress) >= _PROGRESS_STEP:
            self._set(connection, job_id, state, progress=progress, lease_until=self._clock() + self._lease_s)
        elif row.lease_until is None or row.lease_until - self._clock() < self._lease_s / 2:
            self._update(connection, job_id, lease_until=self._clock() + self._lease_s)
        return True

    def is_worked_on_by(self, connection: Connection, job_id: str, worker_id: str) -> bool:
        """Whether the job is at work, and this worker is the one that has it."""
        query = select(jobs.c.job_id).where(
            jobs.c.job_id == job_id, jobs.c.worker_id == worker_id, jobs.c.state.in_(WORKING_STATES)
        )
        return connection.execute(query).first() is not None

    def finish(
        self,
        connection: Connection,
        job_id: str,
        *,
        state: str = "ready",
        doc_id: str,
        pages: int,
        chunks: int,
        seconds: float,
        warnings: Sequence[str] = (),
        reason: str = "",
    ) -> Job:
        """Ends a job well: ``ready``, or ``partial`` with the warnings as its reason if none is given.

        Raises:
            Conflict: it has ended already.
        """
        if state not in ("ready", "partial"):
            raise InvalidRequest(
                f"a job cannot finish as {state!r}: choose ready or partial, or call fail or cancelled"
            )
        if state == "partial" and not reason:
            reason = "; ".join(warnings[:5]) + ("; …" if len(warnings) > 5 else "")
        return self._end(
            connection, job_id, state, reason, doc_id=doc_id, pages=pages, chunks=chunks, seconds=seconds, progress=1.0,
            warnings=json.dumps(list(warnings), ensure_ascii=False),
        )  # fmt: skip

    def again(self, connection: Connection, job_id: str) -> None:
        """What was made of it is not wanted any more, through no fault of the file: it waits to be made anew."""
        job = self._row(connection, job_id)
        self._set(
            connection, job_id, "queued", progress=0.0, attempts=max(job.attempts - 1, 0), worker_id=None,
            lease_until=None,
        )  # fmt: skip

    def fail(self, connection: Connection, job_id: str, reason: str, *, seconds: float = 0.0) -> Job:
        """Ends a job badly, with the reason that a person reads."""
        return self._end(connection, job_id, "failed", reason, seconds=seconds)

    def cancelled(self, connection: Connection, job_id: str, reason: str = "cancelled") -> Job:
        """Ends a job that someone cancelled."""
        return self._end(connection, job_id, "cancelled", reason)

    def requeue_interrupted(self, connection: Connection) -> int:
        """At start: whatever was being worked on waits again, or fails if that has happened too often.

        Returns:
            How many jobs there were.
        """
        at_work = jobs.c.state.in_(WORKING_STATES) & (jobs.c.kind == "ingest")
        found = connection.execute(select(jobs.c.job_id).where(at_work)).scalars().all()
        for job_id in found:
            self._requeue(connection, job_id, "the service stopped")
        return len(found)

    # ------------------------------------------------------------ people

    def request_cancel(self, connection: Connection, principal: Principal, job_id: str) -> Job:
        """Cancels a waiting job at once, and tells the worker of a running one. Twice is as good as once.

        Raises:
            NotFound: no such job, or not yours.
            Conflict: it has ended otherwise.
        """
        job = self._owned(connection, principal, job_id)
        if job.state == "cancelled":
            return job
        if job.state in FINAL_STATES:
            raise Conflict(f"{job.file} is {job.state} already and cannot be cancelled", code="job-ended")
        return self._cancel(connection, job)

    def retry(self, connection: Connection, principal: Principal, job_id: str) -> Job:
        """Lets a failed, cancelled or partial job wait again, its attempts counted anew.

        Raises:
            NotFound: no such job, or not yours.
            Conflict: it is waiting, running or ready.
            Busy: too many are waiting.
        """
        job = self._owned(connection, principal, job_id)
        if job.kind == "reindex":
            raise Conflict(
                f"what {job.file} made is thrown away: begin again with `openbook reindex {job.collection}`",
                code="job-state",
            )
        if job.state not in ("failed", "cancelled", "partial"):
            raise Conflict(
                f"{job.file} is {job.state}: only a failed, cancelled or partial job can be retried", code="job-state"
            )
        waiting = connection.execute(_COUNT_WAITING).scalar_one()
        if waiting >= self._max_queued:
            raise Busy(f"{waiting:,} files are waiting already, which is the limit", retry_after_s=30)
        self._set(
            connection, job_id, "queued", reason="", progress=0.0, attempts=0, seconds=0.0, cancel_requested=False,
            warnings="[]", worker_id=None, lease_until=None,
        )  # fmt: skip
        return self._row(connection, job_id)

    def cancel_collection(self, connection: Connection, collection: str) -> int:
        """Cancels every job of a collection that is being deleted; returns how many."""
        rows = connection.execute(
            select(jobs).where(jobs.c.collection == collection, jobs.c.state.not_in(FINAL_STATES))
        ).all()
        for row in rows:
            self._cancel(connection, _job(row), "the collection was deleted")
        return len(rows)

    # ------------------------------------------------------------ reading

    def get(self, principal: Principal, job_id: str) -> Job:
        """Raises NotFound if there is no such job, or none that the principal may see."""
        with self._database.read() as connection:
            return self._owned(connection, principal, job_id)

    def peek(self, connection: Connection, job_id: str) -> Job | None:
        """The job, whoever asks: for the service's own use."""
        row = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one_or_none()
        return _job(row) if row is not None else None

    def list_jobs(
        self,
        principal: Principal,
        *,
        collection: str | None = None,
        states: Sequence[str] = (),
        limit: int = 200,
        before: str | None = None,
    ) -> list[Job]:
        """The principal's jobs, newest first; ``before`` is the job_id after which the next page begins."""
        unknown = set(states) - set(STATES)
        if unknown:
            raise InvalidRequest(f"no job state {sorted(unknown)[0]!r}: there are {', '.join(STATES)}")
        query = select(jobs).order_by(jobs.c.job_number.desc()).limit(min(max(limit, 1), _MAX_LIST))
        if not principal.is_admin:
            query = query.where(jobs.c.owner_id == principal.user_id)
        if collection is not None:
            query = query.where(jobs.c.collection == collection)
        if states:
            query = query.where(jobs.c.state.in_(states))
        with self._database.read() as connection:
            if before is not None:
                self._owned(connection, principal, before)
                query = query.where(
                    jobs.c.job_number < select(jobs.c.job_number).where(jobs.c.job_id == before).scalar_subquery()
                )
            return [_job(row) for row in connection.execute(query)]

    def counts(self, principal: Principal, collection: str | None = None) -> Mapping[str, int]:
        """How many of the principal's jobs are in each state; states without any are there with 0."""
        query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        if not principal.is_admin:
            query = query.where(jobs.c.owner_id == principal.user_id)
        if collection is not None:
            query = query.where(jobs.c.collection == collection)
        with self._database.read() as connection:
            found = {row[0]: int(row[1]) for row in connection.execute(query)}
        return {state: found.get(state, 0) for state in STATES}

    def events_since(self, principal: Principal, job_id: str, after: int = 0, limit: int = 1000) -> list[JobEvent]:
        """The events of a job with ``seq`` over ``after``, in order.

        Steps of progress are forgotten when a job ends, changes of state are not.
        """
        with self._database.read() as connection:
            self._owned(connection, principal, job_id)
            rows = connection.execute(
                select(job_events)
                .where(job_events.c.job_id == job_id, job_events.c.seq > after)
                .order_by(job_events.c.seq)
                .limit(limit)
            )
            return [JobEvent(**row._mapping) for row in rows]

    def needs_original(self, connection: Connection, sha256: str) -> bool:
        """Whether a job that waits, runs or may be retried still needs the uploaded bytes."""
        query = (
            select(jobs.c.job_number).where(jobs.c.sha256 == sha256, jobs.c.state.not_in(("ready", "partial"))).limit(1)
        )
        return connection.execute(query).one_or_none() is not None

    def held_originals(self, connection: Connection) -> set[str]:
        """The SHA-256 of all uploads for which ``needs_original`` holds."""
        query = select(jobs.c.sha256).distinct()
        query = query.where(jobs.c.state.not_in(("ready", "partial")), jobs.c.kind == "ingest")
        return set(connection.execute(query).scalars())

    def forget_document(self, connection: Connection, collection: str, uri: str) -> int:
        """Deletes every job of one name, also one at work (what it makes is not wanted any more); returns how many."""
        gone = connection.execute(delete(jobs).where(jobs.c.collection == collection, jobs.c.uri == uri))
        return int(gone.rowcount)

    def forget_ended(self, connection: Connection, before: str) -> int:
        """Deletes jobs that ended before a time (as ``core.clock`` writes it), with their events."""
        gone = connection.execute(delete(jobs).where(jobs.c.state.in_(FINAL_STATES), jobs.c.updated_at < before))
        return int(gone.rowcount)

    # ------------------------------------------------------------ inside

    def _owned(self, connection: Connection, principal: Principal, job_id: str) -> Job:
        job = self.peek(connection, job_id)
        if job is None or not (principal.is_admin or job.owner_id == principal.user_id):
            raise NotFound(f"no job {job_id!r}", code="unknown-job")
        return job

    def _row(self, connection: Connection, job_id: str) -> Job:
        job = self.peek(connection, job_id)
        if job is None:
            raise NotFound(f"no job {job_id!r}", code="unknown-job")
        return job

    def _cancel(self, connection: Connection, job: Job, reason: str = "cancelled") -> Job:
        if job.state == "queued":
            return self._end(connection, job.job_id, "cancelled", reason)
        if not job.cancel_requested:
            self._update(connection, job.job_id, cancel_requested=True)
            self._event(connection, job.job_id, job.state, job.progress, "cancelling")
        return self._row(connection, job.job_id)

    def _requeue(self, connection: Connection, job_id: str, why: str) -> None:
        job = self._row(connection, job_id)
        if job.cancel_requested:
            self._end(connection, job_id, "cancelled", "cancelled")
        elif job.attempts >= self._max_attempts:
            reason = f"given up after {job.attempts} attempts: each time {why} while it was {job.state}"
            self._end(connection, job_id, "failed", reason)
        else:
            self._set(connection, job_id, "queued", progress=0.0, worker_id=None, lease_until=None)

    def _end(self, connection: Connection, job_id: str, state: str, reason: str, **values: Any) -> Job:
        job = self._row(connection, job_id)
        if job.state in FINAL_STATES:
            raise Conflict(f"{job.file} is {job.state} already", code="job-ended")
        # What a stream may have missed of the progress is of no use any more; the states stay.
        kept = select(func.min(job_events.c.seq)).where(job_events.c.job_id == job_id).group_by(job_events.c.state)
        connection.execute(delete(job_events).where(job_events.c.job_id == job_id, job_events.c.seq.not_in(kept)))
        self._set(connection, job_id, state, reason=reason, worker_id=None, lease_until=None, **values)
        return self._row(connection, job_id)

    def _set(self, connection: Connection, job_id: str, state: str, **values: Any) -> None:
        """A change of state or progress, with its event."""
        self._update(connection, job_id, state=state, **values)
        job = self._row(connection, job_id)
        self._event(connection, job_id, state, job.progress, job.reason)

    def _update(self, connection: Connection, job_id: str, **values: Any) -> None:
        connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(updated_at=now_iso(), **values))

    def _event(self, connection: Connection, job_id: Any, state: str, progress: float, reason: str) -> None:
        values = {"job_id": job_id, "state": state, "progress": progress, "reason": reason, "at": now_iso()}
        connection.execute(_INSERT_EVENT, values)


_JOB_FIELDS = tuple(Job.__dataclass_fields__)


def _job(row: Any) -> Job:
    values = {name: getattr(row, name) for name in _JOB_FIELDS}
    return Job(**{**values, "warnings": tuple(json.loads(row.warnings))})
