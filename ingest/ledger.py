"""The ledger of jobs: every file's state, durable at every step. SQL owner of ``jobs`` and ``job_events``.

    queued ──claim──▶ parsing ─▶ encoding ─▶ indexing ──finish──▶ ready | partial
      │ ▲                └───────────┴──────────┴──────fail─────▶ failed ──┐
      │ └── requeue_interrupted, lapsed lease (bounded attempts)           │ retry ▶ queued
      └──request_cancel──▶ cancelled ◀──stopped (worker saw the flag) ─────┘

A job may be *paused*: it is queued still, and nobody claims it. A *container* (an archive, a sitemap) is opened by a worker and
then waits in ``indexing``, with no worker, for the jobs that came out of it: see ``ingest.ledger_family``.

    ledger            the queue and the work: what comes in, who works on it, how that went
    ledger_turns      which of the jobs that wait is next
    ledger_people     what people do meanwhile: cancel, pause, resume
    ledger_listing    what people read
    ledger_reindex    jobs that make a whole collection anew, which never wait
    ledger_audit      jobs in states that cannot be
    ledger_ends       how a job ends, and its container with it;  ledger_rows  one row;  ledger_tables  the tables

All methods are part of the caller's transaction. The ledger knows nothing of documents.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select

from core.errors import Busy, Conflict, InvalidRequest
from core.types import Principal
from ingest.job import WORKING_STATES, Job, Lane
from ingest.ledger_ends import end_job, settle
from ingest.ledger_family import merged, waits_for_its_parts
from ingest.ledger_people import is_paused
from ingest.ledger_rows import (
    PROGRESS_STEP,
    as_job,
    as_json,
    find_job,
    insert_job,
    move_job,
    owned_job,
    read_job,
    update_job,
)
from ingest.ledger_tables import jobs
from ingest.ledger_turns import next_waiting, overtaken_by
from retrieval.tables import collections

_RETRY_AFTER_S = 5
# What a container loses when it is to be opened anew.
_CLOSED = dict.fromkeys(("container", "skipped", "more_skipped", "notes", "incomplete"))
_COUNT_WAITING = select(func.count()).select_from(jobs).where(jobs.c.state == "queued")


class Ledger:
    def __init__(
        self,
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
        return insert_job(
            connection,
            principal=principal,
            collection=collection,
            file=file,
            uri=uri,
            sha256=sha256,
            size=size,
            chunker=chunker,
            lane=lane,
            origin=as_json(origin or {}),
            paused=(parent is not None and parent.paused) or is_paused(connection, collection),
            parent_id=parent.job_id if parent is not None else None,
        )

    def check_room(self, connection: Connection) -> None:
        """Raises Busy if too many are waiting."""
        waiting = connection.execute(_COUNT_WAITING).scalar_one()
        if waiting >= self._max_queued:
            raise Busy(
                f"{waiting:,} files are waiting already, which is the limit: try again when some are done",
                retry_after_s=_RETRY_AFTER_S,
            )

    def retry(self, connection: Connection, principal: Principal, job_id: str) -> Job:
        """Lets a failed, cancelled or partial job wait again, its attempts counted anew.

        Raises:
            NotFound: no such job, or not yours.
            Conflict: it is waiting, running or ready.
            Busy: too many are waiting.
        """
        job = owned_job(connection, principal, job_id)
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
            again["origin"] = as_json(merged(job.origin, _CLOSED))
        if "url" in job.origin and "archive" not in job.origin:
            again |= {"lane": "urls", "sha256": "", "size": 0}  # the page may be another by now
        return move_job(
            connection, job_id, "queued", reason="", progress=0.0, attempts=0, seconds=0.0, cancel_requested=False,
            warnings="[]", worker_id=None, lease_until=None, paused=is_paused(connection, job.collection), **again,
        )  # fmt: skip

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
        return move_job(connection, job.job_id, "indexing", reason="", progress=0.0, cancel_requested=False)

    # ------------------------------------------------------------ work

    def claim(self, connection: Connection, worker_id: str, lanes: Sequence[Lane] = ("members", "files")) -> Job | None:
        """The next job for a worker, now ``parsing``; None if none waits in these lanes, or the next one has to wait.

        See ``ingest.ledger_turns``. Jobs whose lease has lapsed are requeued first.
        """
        now = self._clock()
        lapsed = connection.execute(
            select(jobs.c.job_id).where(jobs.c.state.in_(WORKING_STATES), jobs.c.lease_until < now)
        ).scalars()
        for job_id in lapsed.all():
            self._requeue(connection, job_id, "the worker fell silent")
        job_id = next_waiting(connection, lanes)
        if job_id is None:
            return None
        values = {"worker_id": worker_id, "claimed_at": now, "lease_until": now + self._lease_s}
        return move_job(connection, job_id, "parsing", progress=0.0, attempts=jobs.c.attempts + 1, **values)

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
        job = find_job(connection, job_id)
        if job is None or job.state not in WORKING_STATES or job.cancel_requested:
            return False
        if job.paused and state != "indexing":
            return False
        if worker_id is not None and not self.is_worked_on_by(connection, job_id, worker_id):
            return False
        row = connection.execute(select(jobs.c.lease_until).where(jobs.c.job_id == job_id)).one()
        progress = min(max(progress, 0.0), 1.0)
        if job.state != state or abs(progress - job.progress) >= PROGRESS_STEP:
            move_job(connection, job_id, state, progress=progress, lease_until=self._clock() + self._lease_s)
        elif row.lease_until is None or row.lease_until - self._clock() < self._lease_s / 2:
            update_job(connection, job_id, lease_until=self._clock() + self._lease_s)
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
        return end_job(
            connection, job_id, state, reason, doc_id=doc_id, pages=pages, chunks=chunks, seconds=seconds, progress=1.0,
            warnings=as_json(list(warnings)),
        )  # fmt: skip

    def fetched(self, connection: Connection, job_id: str, *, sha256: str, size: int, origin: Mapping[str, Any]) -> Job:
        """A page has come: from now on its job is that of a file, and waits for a worker."""
        job = read_job(connection, job_id)
        return move_job(
            connection, job_id, "queued", lane="files", sha256=sha256, size=size, progress=0.0, attempts=0,
            origin=as_json(merged(job.origin, origin)), worker_id=None, lease_until=None,
        )  # fmt: skip

    def opened(self, connection: Connection, job_id: str, origin: Mapping[str, Any]) -> Job:
        """All that is in a container has its job by now: it waits for them, and ends at once if there are none. It lets go
        of its own bytes, which are now its parts': so a part that is purged is nowhere else.

        Args:
            origin: ``container`` and what else ``ingest.ledger_family.outcome`` reads.
        """
        job = read_job(connection, job_id)
        values = {"origin": as_json(merged(job.origin, origin)), "worker_id": None, "lease_until": None, "sha256": ""}
        move_job(connection, job_id, "indexing", progress=0.0, **values)
        settle(connection, job_id)
        return read_job(connection, job_id)

    def part(self, connection: Connection, parent_id: str, uri: str, sha256: str | None = None) -> Job | None:
        """The job that was made of a part (with these bytes) before, when its container was opened and that broke off."""
        query = select(jobs).where(jobs.c.parent_id == parent_id, jobs.c.uri == uri)
        if sha256 is not None:
            query = query.where(jobs.c.sha256 == sha256)
        row = connection.execute(query.order_by(jobs.c.job_number.desc()).limit(1)).one_or_none()
        return as_job(row) if row is not None else None

    def stopped(self, connection: Connection, job_id: str) -> Job:
        """The worker stopped because it was told to: the job is cancelled, or waits again if it was only paused (and
        perhaps resumed since)."""
        job = read_job(connection, job_id)
        if job.cancel_requested:
            return end_job(connection, job_id, "cancelled", "cancelled")
        return self.again(connection, job_id)

    def again(self, connection: Connection, job_id: str) -> Job:
        """What was made of it is not wanted any more, through no fault of the file: it waits to be made anew."""
        job = read_job(connection, job_id)
        return move_job(
            connection, job_id, "queued", progress=0.0, attempts=max(job.attempts - 1, 0), worker_id=None,
            lease_until=None,
        )  # fmt: skip

    def fail(self, connection: Connection, job_id: str, reason: str, *, seconds: float = 0.0) -> Job:
        """Ends a job badly, with the reason that a person reads."""
        return end_job(connection, job_id, "failed", reason, seconds=seconds)

    def cancelled(self, connection: Connection, job_id: str, reason: str = "cancelled") -> Job:
        """Ends a job that someone cancelled."""
        return end_job(connection, job_id, "cancelled", reason)

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

    def put_back(self, connection: Connection, worker_id: str = "") -> int:
        """At an orderly end: what is being worked on waits again, as if nobody had begun; returns how many jobs.

        Args:
            worker_id: how the ids of the workers begin that end; all of them by default.
        """
        found = self._at_work(connection, worker_id)
        for job in found:
            self.stopped(connection, job.job_id)
        return len(found)

    def _at_work(self, connection: Connection, worker_id: str = "") -> list[Job]:
        query = select(jobs).where(jobs.c.state.in_(WORKING_STATES) & (jobs.c.kind == "ingest"))
        if worker_id:
            query = query.where(jobs.c.worker_id.startswith(worker_id, autoescape=True))
        return [job for job in map(as_job, connection.execute(query)) if not waits_for_its_parts(job)]

    def _requeue(self, connection: Connection, job_id: str, why: str) -> None:
        job = read_job(connection, job_id)
        if job.cancel_requested:
            end_job(connection, job_id, "cancelled", "cancelled")
        elif job.attempts >= self._max_attempts:
            reason = f"given up after {job.attempts} attempts: each time {why} while it was {job.state}"
            end_job(connection, job_id, "failed", reason)
        else:
            move_job(connection, job_id, "queued", progress=0.0, worker_id=None, lease_until=None)

    # ------------------------------------------------------------ for the service

    def peek(self, connection: Connection, job_id: str) -> Job | None:
        """The job, whoever asks."""
        return find_job(connection, job_id)

    def is_outdated(self, connection: Connection, job: Job, stored_sha256: str) -> bool:
        """Whether the document of its name, which has these bytes, came from a file that was added after this job's. A page is as
        new as its fetching, which comes now."""
        fetched = "url" in job.origin and "archive" not in job.origin
        return stored_sha256 != job.sha256 and not fetched and overtaken_by(connection, job.job_id, stored_sha256)

    def held_originals(self, connection: Connection) -> set[str]:
        """The SHA-256 of all uploads that a job that waits, runs or may be retried still needs.

        For a collection that was deleted nothing is made any more: what jobs tell of it needs no file.
        """
        # A page that is yet to be fetched, a refused file, an opened archive and a reindex have no bytes.
        query = select(jobs.c.sha256).distinct().where(jobs.c.state.not_in(("ready", "partial")), jobs.c.sha256 != "")
        return set(connection.scalars(query.where(jobs.c.collection.in_(select(collections.c.name)))))

    def named(self, connection: Connection, doc_id: str) -> tuple[str, str, str] | None:
        """(collection, uri, sha256) under which a document was last taken in, whosesoever; None if no job knows it."""
        query = select(jobs.c.collection, jobs.c.uri, jobs.c.sha256).where(jobs.c.doc_id == doc_id)
        found = connection.execute(query.order_by(jobs.c.job_number.desc()).limit(1)).first()
        return None if found is None else (str(found.collection), str(found.uri), str(found.sha256))

    def forget_document(self, connection: Connection, collection: str, uri: str) -> int:
        """Deletes every job of one name, also one at work (what it makes is not wanted any more); returns how many."""
        gone = connection.execute(delete(jobs).where(jobs.c.collection == collection, jobs.c.uri == uri))
        return int(gone.rowcount)

    def forget_collection(self, connection: Connection, collection: str) -> int:
        """Deletes every job of a collection that is gone, so that a new one of its name begins with none."""
        gone = connection.execute(delete(jobs).where(jobs.c.collection == collection))
        return int(gone.rowcount)
