"""Makes a collection anew beside what is searched, document by document, then switches; see ``retrieval.editions``.

Nothing is kept here that a restart would miss: what is to be done next is read from the documents, which ones break is
noted beside them, and a job found switched is only ended. Uploads go first: a worker is given a document to copy only
when no file waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.handover import Result, Task
from app.pipelines import Encoders, described, pipeline_of, with_pipeline
from core.database import Database
from core.errors import NotFound, OpenbookError
from core.settings import Settings
from core.types import Principal
from ingest.job import FINAL_STATES, Job
from ingest.ledger import Ledger
from ingest.ledger_reindex import begin_reindex, note_progress, note_switched, unended
from ingest.pipeline import version_of
from retrieval import editions
from retrieval.access import require_role
from retrieval.editions import Edition, EditionProgress, Unmade
from retrieval.engine import SearchEngine
from retrieval.store import Store

logger = logging.getLogger("openbook.reindexing")

LEASE_S = 300.0  # a worker that is silent for so long is taken for dead, and its document given to another
PROGRESS_EVERY_S = 1.0
MAX_NAMED = 20  # documents that a job names as its reason
_BATCH = 256  # documents looked up at once: finding the next one reads through all


@dataclass(slots=True)
class _Building:
    """What is remembered of an edition while this process runs."""

    waiting: deque[Unmade] = field(default_factory=deque)
    at_work: dict[str, float] = field(default_factory=dict)  # doc_id → when its lease ends
    seconds: float = 0.0  # of work that is not noted yet
    noted_at: float = 0.0
    begun_at: float | None = None  # the first look at how far it is, and how far that was
    characters_then: int = 0
    remaining_s: float | None = None


class Reindexing:
    """One per server. May be called from any thread.

    Args:
        engine, encoders: asked for when they are needed, as they load after the server has begun.
        clock: seconds that do not jump, for leases and estimates.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: Store,
        ledger: Ledger,
        engine: Callable[[], SearchEngine],
        encoders: Callable[[], Encoders],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._database = database
        self._store = store
        self._ledger = ledger
        self._engine = engine
        self._encoders = encoders
        self._clock = clock
        self._lock = threading.RLock()  # around ``_known``
        self._ending = threading.Lock()  # one switch at a time: it may take as long as indexing does
        self._known: dict[int, _Building] = {}

    # ------------------------------------------------------------ people

    def start(self, principal: Principal, collection: str, changes: Mapping[str, Any]) -> Job:
        """Begins to make a collection anew.

        Args:
            changes: what is to be other than now, as in ``app.pipelines.KEYS``.

        Raises:
            NotFound, Forbidden: no such collection for this person, or only to be read.
            InvalidRequest: a value that does not fit, or an encoder that there is not.
            Conflict: it is being made anew already.
        """
        with self._database.read() as connection:
            require_role(connection, principal, collection, ("owner", "editor"))
            serving = with_pipeline(self._settings, editions.pipeline_of(connection, collection))
        wanted = with_pipeline(serving, changes)
        encoder = self._encoders().get(wanted)  # loaded now: one that cannot be is said at once
        with self._database.write() as connection:
            require_role(connection, principal, collection, ("owner", "editor"))
            pii = self._store.pii_of(connection, collection)  # which cannot be changed until the switch
            what = f"reindex: {described(pipeline_of(wanted))}"
            paused = self._ledger.is_paused(connection, collection)
            job_id = begin_reindex(connection, principal, collection, what, paused=paused)
            editions.begin(
                connection,
                collection,
                serving=pipeline_of(serving),
                pipeline={**pipeline_of(wanted), "pii": pii},
                chunker_version=version_of(wanted, encoder, pii=pii),
                encoder_revision=encoder.revision,
                job_id=job_id,
            )
        return self._ledger.get(principal, job_id)

    def roll_back(self, principal: Principal, collection: str) -> Mapping[str, Any]:
        """Switches back to what was searched before the last switch; returns the pipeline that is now the collection's.

        Raises:
            NotFound, Forbidden: as for ``start``; NotFound also if nothing earlier is kept.
            Conflict: it is being made anew.
        """
        with self._database.read() as connection:
            require_role(connection, principal, collection, ("owner", "editor"))
            kept = editions.kept(connection, collection)
        if kept is not None:
            self._search_with(kept.pipeline)
            self._engine().prepare(kept.edition_id)
        try:
            with self._database.write() as connection:
                require_role(connection, principal, collection, ("owner", "editor"))
                change = editions.roll_back(connection, collection)
                pipeline = editions.pipeline_of(connection, collection)
            self._engine().publish(change)
        finally:
            self._engine().unprepare()  # nothing is left if it was switched to
        self.sweep()
        return pipeline

    def forget(self, principal: Principal, collection: str) -> None:
        """Gives the kept generation up, and its room on the disk. Raises NotFound, Forbidden."""
        with self._database.write() as connection:
            require_role(connection, principal, collection, ("owner", "editor"))
            editions.forget(connection, collection)
        self.sweep()

    def remaining_s(self, job_id: str) -> float | None:
        """How long a job will still take, if that can be said: as fast as since this process began to work on it."""
        with self._database.read() as connection:
            for edition in editions.all_building(connection):
                if edition.job_id == job_id:
                    with self._lock:
                        return self._of(edition.edition_id).remaining_s
        return None

    # ------------------------------------------------------------ workers

    def next_task(self) -> Task | None:
        """The next document to be copied; None if there is none, after ending what is done."""
        self.tidy()
        with self._database.read() as connection:
            found = editions.all_building(connection)
            waiting = {edition.edition_id for edition in found if self._is_paused(connection, edition)}
        for edition in found:
            if edition.edition_id in waiting:
                continue
            task = self._next_of(edition)
            if task is not None:
                return task
        return None

    def _is_paused(self, connection: Any, edition: Edition) -> bool:
        job = self._ledger.peek(connection, edition.job_id) if edition.job_id is not None else None
        return job is not None and job.paused

    def _next_of(self, edition: Edition) -> Task | None:
        with self._lock:
            building = self._of(edition.edition_id)
            while True:
                document = self._pop(edition, building)
                if document is None:
                    break
                with self._database.write() as connection:
                    # What waits in memory may have been deleted, changed or made meanwhile.
                    wanted = editions.is_unmade(connection, edition, document)
                    tried = wanted and editions.note_attempt(connection, edition, document)
                if not tried:
                    continue
                try:
                    task = self._task(edition, document)
                except NotFound as e:  # its original is lost, which must not hold up the others
                    self.fail(edition.edition_id, document.doc_id, e.message)
                    continue
                building.at_work[document.doc_id] = self._clock() + LEASE_S
                return task
            idle = not building.at_work
        if idle:
            self._end(edition)
        return None

    def _pop(self, edition: Edition, building: _Building) -> Unmade | None:
        now = self._clock()
        building.at_work = {doc_id: until for doc_id, until in building.at_work.items() if until > now}
        if not building.waiting:
            with self._database.read() as connection:
                building.waiting.extend(editions.unmade(connection, edition, _BATCH, building.at_work))
            self._look(edition, building)
        return building.waiting.popleft() if building.waiting else None

    def _task(self, edition: Edition, document: Unmade) -> Task:
        origin = {**(document.source or {}), "of_index": False}  # it is a document, and not to be opened
        return Task(
            address=f"/internal/editions/{edition.edition_id}/documents/{document.doc_id}",
            collection=edition.collection,
            uri=document.uri,
            filename=str(origin.get("name") or document.uri),
            sha256=document.sha256,
            path=str(self._store.originals.path(document.sha256).absolute()),
            chunker=with_pipeline(self._settings, edition.pipeline).chunker,
            pipeline=edition.pipeline,
            origin=origin,
            pii=edition.pipeline.get("pii", "off"),
        )

    def forget_workers(self) -> None:
        """The worker process has died: what it was copying is to be copied by another."""
        with self._lock:
            for building in self._known.values():
                building.at_work.clear()

    def go_on(self, edition_id: int, doc_id: str) -> bool:
        """A sign of life from a worker; False tells it to stop."""
        with self._lock:
            building = self._of(edition_id)
            if doc_id in building.at_work:
                building.at_work[doc_id] = self._clock() + LEASE_S
        with self._database.read() as connection:
            return self._wanted(edition_id, connection) is not None

    def store(self, edition_id: int, doc_id: str, made: Result) -> str:
        """Keeps the copy of a document; says what became of it."""
        try:
            with self._database.write() as connection:
                edition = self._wanted(edition_id, connection)
                if edition is None:
                    return "stale"
                kept = editions.put_copy(
                    connection,
                    edition,
                    made.document,
                    made.chunks,
                    made.vectors,
                    made.parents,
                    encoder_revision=made.encoder_revision,
                    chunker_version=made.chunker_version,
                    signature=made.signature,
                )
        except OpenbookError as e:
            if e.code == "disk-full":
                raise  # the worker keeps it, and says it again
            logger.error("the copy of %s could not be stored: %s", doc_id, e.message)
            self.fail(edition_id, doc_id, e.message)
            return "failed"
        with self._lock:
            building = self._of(edition_id)
            building.at_work.pop(doc_id, None)
            building.seconds += made.seconds
            if self._clock() - building.noted_at >= PROGRESS_EVERY_S:
                self._look(edition, building)
        return "stored" if kept else "stale"

    def fail(self, edition_id: int, doc_id: str, reason: str, *, cancelled: bool = False) -> None:
        """A worker could not make a copy: the document stays as it is."""
        with self._lock:
            self._of(edition_id).at_work.pop(doc_id, None)
        if not cancelled:
            with self._database.write() as connection:
                editions.note_failure(connection, edition_id, doc_id, reason)

    def _wanted(self, edition_id: int, connection: Any) -> Edition | None:
        edition = editions.get(connection, edition_id)
        if edition is None or edition.state != "building" or edition.job_id is None:
            return None
        job = self._ledger.peek(connection, edition.job_id)
        return None if job is None or job.state in FINAL_STATES or job.cancel_requested else edition

    def _look(self, edition: Edition, building: _Building) -> None:
        """Notes how far it is, and reckons how long the rest will take."""
        with self._database.read() as connection:
            now, found = self._clock(), editions.progress(connection, edition)
        if building.begun_at is None:
            building.begun_at, building.characters_then = now, found.characters_done
        done = found.characters_done - building.characters_then
        if done > 0 and now > building.begun_at:
            left = found.characters - found.characters_done
            building.remaining_s = left * (now - building.begun_at) / done
        share = found.characters_done / found.characters if found.characters else 1.0
        with self._database.write() as connection:
            if self._wanted(edition.edition_id, connection) is not None and edition.job_id is not None:
                note_progress(connection, edition.job_id, round(0.98 * share, 4), building.seconds)
        building.seconds, building.noted_at = 0.0, now

    def _of(self, edition_id: int) -> _Building:
        return self._known.setdefault(edition_id, _Building())

    # ------------------------------------------------------------ ends

    def tidy(self) -> None:
        """Ends what was cancelled, or was switched when the process stopped, and throws away what nobody wants."""
        with self._database.read() as connection:
            open_jobs = unended(connection)
            if not open_jobs and not editions.any_left(connection):
                return
        with self._database.write() as connection:
            found = {edition.job_id: edition for edition in editions.all_building(connection)}
            for job_id in unended(connection):
                self._tidy_job(connection, job_id, found.pop(job_id, None))
            for edition in found.values():  # their jobs have ended, or are gone
                editions.abandon(connection, edition.edition_id)
        self.sweep()

    def _tidy_job(self, connection: Any, job_id: str, edition: Edition | None) -> None:
        job = self._ledger.peek(connection, job_id)
        if job is None:
            return
        if edition is None and job.state == "indexing":
            if not self._ending.locked():  # else it is being published just now
                self._finish(connection, job)
        elif edition is None:
            self._ledger.cancelled(connection, job_id, "the collection was deleted")
        elif job.cancel_requested:
            editions.abandon(connection, edition.edition_id)
            self._ledger.cancelled(connection, job_id)

    def sweep(self) -> None:
        """Throws away some of what is leaving, for as long as nobody would notice."""
        until = self._clock() + 0.25
        while self._clock() < until:
            with self._database.write() as connection:
                if not editions.sweep(connection):
                    return

    def _end(self, edition: Edition) -> None:
        """Every document has been tried: switches, unless none could be made."""
        if not self._ending.acquire(blocking=False):
            return
        try:
            self._search_with(edition.pipeline)
            self._engine().prepare(edition.edition_id)
            with self._database.write() as connection:
                if self._wanted(edition.edition_id, connection) is None or edition.job_id is None:
                    return
                found = editions.progress(connection, edition)
                if found.failures and len(found.failures) == found.documents:
                    editions.abandon(connection, edition.edition_id)
                    self._ledger.fail(connection, edition.job_id, f"nothing could be made anew: {_reason(found)}")
                    return
                change = editions.switch(connection, edition)
                if change is None:
                    return  # a document came, or its attempt is to be repeated
                note_switched(connection, edition.job_id, _reason(found))
            self._engine().publish(change)
            with self._database.write() as connection:
                job = self._ledger.peek(connection, edition.job_id)
                if job is not None and job.state not in FINAL_STATES:
                    self._finish(connection, job)
            with self._lock:
                self._known.pop(edition.edition_id, None)
        except OpenbookError as e:
            logger.error("%s could not be switched: %s", edition.collection, e.message)
            if e.code == "disk-full":
                return  # tried again when a worker asks next
            with self._database.write() as connection:
                if edition.job_id is not None and self._wanted(edition.edition_id, connection) is not None:
                    editions.abandon(connection, edition.edition_id)
                    self._ledger.fail(connection, edition.job_id, e.message)
        finally:
            self._engine().unprepare()  # nothing is left if it was switched to
            self._ending.release()
        self.sweep()

    def _finish(self, connection: Any, job: Job) -> None:
        info = [
            c
            for c in self._store.list_collections(Principal(user_id=job.owner_id, is_admin=True))
            if c.name == job.collection
        ]
        self._ledger.finish(
            connection,
            job.job_id,
            state="partial" if job.reason else "ready",
            doc_id="",
            pages=0,
            chunks=info[0].chunks if info else 0,
            seconds=job.seconds,
            reason=job.reason,
        )

    def _search_with(self, pipeline: Mapping[str, Any]) -> None:
        """Makes sure that what a pipeline encoded is searched by its encoder."""
        encoder = self._encoders().get(with_pipeline(self._settings, pipeline))
        self._engine().add_encoder(encoder)


def _reason(found: EditionProgress) -> str:
    if not found.failures:
        return ""
    named = "; ".join(f"{uri}: {reason}" for uri, reason in found.failures[:MAX_NAMED])
    more = len(found.failures) - MAX_NAMED
    return f"{len(found.failures):,} documents stay as they were: {named}" + (
        f"; and {more:,} more" if more > 0 else ""
    )


def load_other_encoders(database: Database, settings: Settings, encoders: Encoders, engine: SearchEngine) -> None:
    """At start: the encoders of all collections that have their own. One that cannot be loaded is logged: its
    collections are searched by their terms."""
    with database.read() as connection:
        pipelines = editions.pipelines(connection)
    for pipeline in pipelines:
        try:
            engine.add_encoder(encoders.get(with_pipeline(settings, pipeline)))
        except OpenbookError as e:
            logger.error(
                "the encoder of %s cannot be loaded; what it made is found by its terms: %s", described(pipeline), e
            )
