"""The ledger of jobs: every file's state, durable at every step. SQL owner of ``jobs`` and ``job_events``.

    queued ──claim──▶ parsing ─▶ encoding ─▶ indexing ──finish──▶ ready | partial
      │ ▲                └───────────┴──────────┴──────fail─────▶ failed ──┐
      │ └── requeue_interrupted, lapsed lease (bounded attempts)           │ retry ▶ queued
      └──request_cancel──▶ cancelled ◀──cancelled (worker saw the flag) ───┘

A job may be *paused*: it is queued still, and nobody claims it. A *container* (an archive, a sitemap) is opened by a worker and
then waits in ``indexing``, with no worker, for the jobs that came out of it: see ``ingest.ledger_family``.

Methods that take a ``connection`` are part of the caller's write transaction; the others read by themselves. A job
is seen by its owner and by administrators; to anyone else it does not exist. The ledger knows nothing of documents.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from core.clock import now_iso
from core.database import Database
from core.errors import Busy, Conflict, InvalidRequest, NotFound
from core.ids import new_id
from core.types import Principal
from ingest.job import FINAL_STATES, STATES, WORKING_STATES, Job, JobEvent, Lane
from ingest.ledger_family import merged, outcome, share_done, unended_below, waits_for_its_parts
from ingest.ledger_tables import job_events, jobs, paused_collections

__all__ = ["FINAL_STATES", "Job", "JobEvent", "Ledger"]

# A step of progress smaller than this makes no event and no write: each costs a flush to the disk.
_PROGRESS_STEP = 0.05
_MAX_LIST = 1001  # a page of a thousand, and whether there is more
_RETRY_AFTER_S = 5
# What a container loses when it is to be opened anew.
_CLOSED = dict.fromkeys(("container", "skipped", "more_skipped", "notes", "incomplete"))
# Built once: an upload of ten thousand files adds ten thousand jobs.
_INSERT_JOB = insert(jobs)
_INSERT_EVENT = insert(job_events)
_COUNT_WAITING = select(func.count()).select_from(jobs).where(jobs.c.state == "queued")
# The next owner in the order of ids, and the oldest of their jobs: one step in an index, where grouping reads the whole queue.
_NEXT_WAITING = (
    select(jobs.c.owner_id, jobs.c.job_number)
    .where(jobs.c.state == "queued", jobs.c.paused.is_(False), jobs.c.lane == bindparam("lane"))
    .where(jobs.c.owner_id > bindparam("after"))
    .order_by(jobs.c.owner_id, jobs.c.job_number)
    .limit(1)
)


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
        lane: Lane = "files",
        parent: Job | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> Job:
        """A new job in the state ``queued``; paused, if its collection or its parent is.

        Args:
            parent: the archive or sitemap that it came out of. That has its place in the queue already, so that its parts are
                never refused; a worker that opens one could not wait for room that it makes itself.
            chunker: "" as the collection has it when the job is worked on.

        Raises:
            Busy: too many are waiting.
        """
        if parent is None:
            self.check_room(connection)
        paused = parent.paused if parent is not None else False
        now = now_iso()
        values: dict[str, Any] = {
            "job_id": new_id("j"), "owner_id": principal.user_id, "collection": collection, "file": file, "uri": uri,
            "sha256": sha256, "size": size, "chunker": chunker, "state": "queued", "reason": "", "pages": 0, "chunks": 0,
            "seconds": 0.0, "progress": 0.0, "attempts": 0, "cancel_requested": False, "warnings": "[]",
            "created_at": now, "updated_at": now, "lane": lane, "origin": _json(origin or {}),
            "paused": paused or self.is_paused(connection, collection),
            "parent_id": parent.job_id if parent is not None else None,
        }  # fmt: skip
        connection.execute(_INSERT_JOB, values)
        self._event(connection, values["job_id"], "queued", 0.0, "")
        return Job(**{**values, "warnings": (), "origin": dict(origin or {})})

    def check_room(self, connection: Connection) -> None:
        """Raises Busy if too many are waiting."""
        waiting = connection.execute(_COUNT_WAITING).scalar_one()
        if waiting >= self._max_queued:
            raise Busy(
                f"{waiting:,} files are waiting already, which is the limit: try again when some are done",
                retry_after_s=_RETRY_AFTER_S,
            )

    # ------------------------------------------------------------ work

    def claim(self, connection: Connection, worker_id: str, lanes: Sequence[Lane] = ("members", "files")) -> Job | None:
        """The next job for a worker, now ``parsing``; None if none waits in these lanes, or the next one has to wait.

        A job that was broken off before is worked on alone: whichever of the files that are read at once brings the
        worker down, all of them are broken off, and only one of them is to blame.

        The owner who has been served longest ago comes first, then the oldest of their jobs, so that ten thousand
        files of one person do not hold up the one file of another; of one owner the lanes go in their order. Jobs whose
        lease has lapsed are requeued first.
        """
        now = self._clock()
        lapsed = connection.execute(
            select(jobs.c.job_id).where(jobs.c.state.in_(WORKING_STATES), jobs.c.lease_until < now)
        ).scalars()
        for job_id in lapsed.all():
            self._requeue(connection, job_id, "the worker fell silent")
        owners: dict[str, int] = {}
        for lane in reversed(lanes):
            after = ""
            while (row := connection.execute(_NEXT_WAITING, {"lane": lane, "after": after}).one_or_none()) is not None:
                owners[row.owner_id] = row.job_number
                after = row.owner_id
        if not owners:
            return None
        served = {
            owner: connection.execute(select(func.max(jobs.c.claimed_at)).where(jobs.c.owner_id == owner)).scalar()
            or 0.0
            for owner in owners
        }
        _, number = min(owners.items(), key=lambda row: (served[row[0]], row[1]))
        job_id, suspect = connection.execute(
            select(jobs.c.job_id, jobs.c.attempts > 0).where(jobs.c.job_number == number)
        ).one()
        if "files" in lanes:
            at_work = select(func.count(), func.coalesce(func.max(jobs.c.attempts), 0))
            at_work = at_work.where(jobs.c.state.in_(WORKING_STATES), jobs.c.worker_id.is_not(None))
            busy, most = connection.execute(at_work.where(jobs.c.lane != "urls")).one()
            if busy and (suspect or most > 1):
                return None
        values = {"worker_id": worker_id, "claimed_at": now, "lease_until": now + self._lease_s}
        self._set(connection, job_id, "parsing", progress=0.0, attempts=jobs.c.attempts + 1, **values)
        return self._row(connection, job_id)

    def advance(
        self, connection: Connection, job_id: str, state: str, progress: float, *, worker_id: str | None = None
    ) -> bool:
        """Notes how far a job is. False: stop, because a person cancelled or paused it, it has ended, or (when
        ``worker_id`` is given) it belongs to another worker by now. What comes to be stored is not paused any more.

        Raises:
            InvalidRequest: not a state that work can be in.
        """
        if state not in WORKING_STATES:
            raise InvalidRequest(f"a job cannot advance to {state!r}: choose {', '.join(WORKING_STATES)}")
        job = self.peek(connection, job_id)
        if job is None or job.state not in WORKING_STATES or job.cancel_requested:
            return False
        if job.paused and state != "indexing":
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

    def fetched(self, connection: Connection, job_id: str, *, sha256: str, size: int, origin: Mapping[str, Any]) -> Job:
        """A page has come: from now on its job is that of a file, and waits for a worker."""
        job = self._row(connection, job_id)
        self._set(
            connection, job_id, "queued", lane="files", sha256=sha256, size=size, progress=0.0, attempts=0,
            origin=_json(merged(job.origin, origin)), worker_id=None, lease_until=None,
        )  # fmt: skip
        return self._row(connection, job_id)

    def opened(self, connection: Connection, job_id: str, origin: Mapping[str, Any]) -> Job:
        """All that is in a container has its job by now: it waits for them, and ends at once if there are none. It lets go
        of its own bytes, which are now its parts': so a part that is purged is nowhere else.

        Args:
            origin: ``container`` and what else ``ingest.ledger_family.outcome`` reads.
        """
        job = self._row(connection, job_id)
        values = {"origin": _json(merged(job.origin, origin)), "worker_id": None, "lease_until": None, "sha256": ""}
        self._set(connection, job_id, "indexing", progress=0.0, **values)
        self._settle(connection, job_id)
        return self._row(connection, job_id)

    def part(self, connection: Connection, parent_id: str, uri: str, sha256: str | None = None) -> Job | None:
        """The job that was made of a part (with these bytes) before, when its container was opened and that broke off."""
        query = select(jobs).where(jobs.c.parent_id == parent_id, jobs.c.uri == uri)
        if sha256 is not None:
            query = query.where(jobs.c.sha256 == sha256)
        row = connection.execute(query.order_by(jobs.c.job_number.desc()).limit(1)).one_or_none()
        return _job(row) if row is not None else None

    def stopped(self, connection: Connection, job_id: str) -> Job:
        """The worker stopped because it was told to: the job is cancelled, or waits again if it was only paused (and
        perhaps resumed since)."""
        job = self._row(connection, job_id)
        if job.cancel_requested:
            return self._end(connection, job_id, "cancelled", "cancelled")
        self.again(connection, job_id)
        return self._row(connection, job_id)

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
        found = self._at_work(connection)
        for job in found:
            self._requeue(connection, job.job_id, "the service stopped")
        return len(found)

    def requeue_of(self, connection: Connection, worker_id: str) -> int:
        """What a worker that died had in hand waits again, without waiting for its lease; returns how many jobs.

        Args:
            worker_id: how the ids of its threads begin.
        """
        found = self._at_work(connection, worker_id)
        for job in found:
            self._requeue(connection, job.job_id, "the worker died")
        return len(found)

    def put_back(self, connection: Connection) -> int:
        """At an orderly end: whatever is being worked on waits again, as if nobody had begun; returns how many jobs."""
        found = self._at_work(connection)
        for job in found:
            self.stopped(connection, job.job_id)
        return len(found)

    def _at_work(self, connection: Connection, worker_id: str = "") -> list[Job]:
        query = select(jobs).where(jobs.c.state.in_(WORKING_STATES) & (jobs.c.kind == "ingest"))
        if worker_id:
            query = query.where(jobs.c.worker_id.startswith(worker_id, autoescape=True))
        return [job for job in map(_job, connection.execute(query)) if not waits_for_its_parts(job)]

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
        # A sitemap that brought nothing is fetched anew; an archive that has been opened is in its parts only.
        if job.is_container and (job.state == "partial" or job.origin["container"] == "archive"):
            return self._retry_parts(connection, principal, job)
        self.check_room(connection)
        again: dict[str, Any] = {}
        if job.is_container:
            again["origin"] = _json(merged(job.origin, _CLOSED))
        if "url" in job.origin and "archive" not in job.origin:
            again |= {"lane": "urls", "sha256": "", "size": 0}  # the page may be another by now
        self._set(
            connection, job_id, "queued", reason="", progress=0.0, attempts=0, seconds=0.0, cancel_requested=False,
            warnings="[]", worker_id=None, lease_until=None, paused=self.is_paused(connection, job.collection), **again,
        )  # fmt: skip
        return self._row(connection, job_id)

    def _retry_parts(self, connection: Connection, principal: Principal, job: Job) -> Job:
        """Of what came out of an archive, lets those wait again that have not become a document."""
        query = select(jobs.c.job_id).where(
            jobs.c.parent_id == job.job_id, jobs.c.state.in_(("failed", "cancelled", "partial"))
        )
        found = list(connection.scalars(query))
        if not found:
            raise Conflict(f"nothing in {job.file} can be tried again: change it and send it again", code="job-state")
        for part in found:
            self.retry(connection, principal, part)
        self._set(connection, job.job_id, "indexing", reason="", progress=0.0, cancel_requested=False)
        return self._row(connection, job.job_id)

    def pause(self, connection: Connection, principal: Principal, job_id: str) -> Job:
        """Lets a job, and all that came out of it, wait until ``resume``; one at work stops and will begin anew.

        Raises:
            NotFound: no such job, or not yours.
            Conflict: it has ended.
        """
        return self._pause(connection, principal, job_id, True)

    def resume(self, connection: Connection, principal: Principal, job_id: str) -> Job:
        """Raises NotFound, Conflict as ``pause`` does."""
        return self._pause(connection, principal, job_id, False)

    def _pause(self, connection: Connection, principal: Principal, job_id: str, paused: bool) -> Job:
        job = self._owned(connection, principal, job_id)
        if job.state in FINAL_STATES:
            word = "paused" if paused else "resumed"
            raise Conflict(f"{job.file} is {job.state} already and cannot be {word}", code="job-ended")
        for one in [job_id, *unended_below(connection, job_id)]:
            self._update(connection, one, paused=paused)
        return self._row(connection, job_id)

    def pause_collection(self, connection: Connection, principal: Principal, collection: str, paused: bool) -> int:
        """Pauses or resumes all of the principal's jobs of a collection, and what will be added; returns how many."""
        connection.execute(delete(paused_collections).where(paused_collections.c.collection == collection))
        if paused:
            connection.execute(insert(paused_collections).values(collection=collection))
        mine = jobs.c.collection == collection, jobs.c.state.not_in(FINAL_STATES), jobs.c.paused != paused
        statement = update(jobs).where(*mine).values(paused=paused, updated_at=now_iso())
        if not principal.is_admin:
            statement = statement.where(jobs.c.owner_id == principal.user_id)
        return int(connection.execute(statement).rowcount)

    def is_paused(self, connection: Connection, collection: str) -> bool:
        query = select(paused_collections.c.collection).where(paused_collections.c.collection == collection)
        return connection.execute(query).first() is not None

    def cancel_collection(self, connection: Connection, collection: str) -> int:
        """Cancels every job of a collection that is being deleted; returns how many."""
        rows = connection.execute(
            select(jobs).where(jobs.c.collection == collection, jobs.c.state.not_in(FINAL_STATES))
        ).all()
        for row in rows:
            job = self._row(connection, row.job_id)  # it may have been cancelled with its container
            if job.state not in FINAL_STATES:
                self._cancel(connection, job, "the collection was deleted")
        connection.execute(delete(paused_collections).where(paused_collections.c.collection == collection))
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
        parent: str | None = None,
        limit: int = 200,
        before: str | None = None,
    ) -> list[Job]:
        """The principal's jobs, newest first; ``before`` is the job_id after which the next page begins, ``parent`` that of
        the container whose parts are meant."""
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
        if parent is not None:
            query = query.where(jobs.c.parent_id == parent)
        with self._database.read() as connection:
            if before is not None:
                self._owned(connection, principal, before)
                query = query.where(
                    jobs.c.job_number < select(jobs.c.job_number).where(jobs.c.job_id == before).scalar_subquery()
                )
            return [_job(row) for row in connection.execute(query)]

    def counts(
        self, principal: Principal, collection: str | None = None, parent: str | None = None
    ) -> Mapping[str, int]:
        """How many of the principal's jobs are in each state; states without any are there with 0."""
        query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        if not principal.is_admin:
            query = query.where(jobs.c.owner_id == principal.user_id)
        if collection is not None:
            query = query.where(jobs.c.collection == collection)
        if parent is not None:
            query = query.where(jobs.c.parent_id == parent)
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
        # A page that is yet to be fetched, a refused file, an opened archive and a reindex have no bytes.
        query = select(jobs.c.sha256).distinct().where(jobs.c.state.not_in(("ready", "partial")), jobs.c.sha256 != "")
        return set(connection.execute(query).scalars())

    def forget_document(self, connection: Connection, collection: str, uri: str) -> int:
        """Deletes every job of one name, also one at work (what it makes is not wanted any more); returns how many."""
        gone = connection.execute(delete(jobs).where(jobs.c.collection == collection, jobs.c.uri == uri))
        return int(gone.rowcount)

    def forget_collection(self, connection: Connection, collection: str) -> int:
        """Deletes every job of a collection that is gone, so that a new one of its name begins with none."""
        gone = connection.execute(delete(jobs).where(jobs.c.collection == collection))
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
        if waits_for_its_parts(job):
            self._update(connection, job.job_id, cancel_requested=True)
            self._cancel_below(connection, job.job_id, reason)
            return self._row(connection, job.job_id)
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
        if state == "cancelled":
            self._cancel_below(connection, job_id, reason)
        if job.parent_id is not None:
            self._settle(connection, job.parent_id)
        return self._row(connection, job_id)

    def _cancel_below(self, connection: Connection, job_id: str, reason: str) -> None:
        for part_id in unended_below(connection, job_id):
            part = self._row(connection, part_id)
            if part.state not in FINAL_STATES:  # it may have ended with another
                self._cancel(connection, part, reason)

    def _settle(self, connection: Connection, job_id: str) -> None:
        """Moves a container on after one of its parts has ended; the last one ends it, also when it was retried."""
        job = self.peek(connection, job_id)
        if job is None or not job.is_container or job.state in ("queued", "cancelled"):
            return
        done, parts = share_done(connection, job_id)
        if done < parts:
            if job.state == "indexing" and done / parts - job.progress >= _PROGRESS_STEP:
                self._set(connection, job_id, "indexing", progress=done / parts)
            return
        state, reason = outcome(connection, job)
        if job.state == "indexing":
            self._end(connection, job_id, state, reason, progress=1.0)
        elif (state, reason) != (job.state, job.reason):
            self._set(connection, job_id, state, reason=reason)

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
    return Job(**{**values, "warnings": tuple(json.loads(row.warnings)), "origin": json.loads(row.origin)})


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
