"""Makes a collection anew beside what is searched, document by document, then switches; see ``retrieval.editions``.

This is the whole: what people ask for, when it is over, and what is left behind. The documents in between are ``app.copies``.
Nothing is kept here that a restart would miss; a job found switched is only ended. Uploads go first: a worker is given a
document to copy only when no file waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from app.copies import Copies, wanted
from app.handover import Task
from app.pipelines import Encoders, described, pipeline_of, with_pipeline
from core.database import Database
from core.errors import OpenbookError
from core.settings import Settings
from core.types import Principal
from core.wording import plural
from ingest.job import FINAL_STATES, Job
from ingest.ledger import Ledger
from ingest.ledger_listing import get_job
from ingest.ledger_people import is_paused
from ingest.ledger_reindex import begin_reindex, note_switched, unended
from ingest.pipeline import version_of
from retrieval import edition_copies, edition_switch, editions
from retrieval.access import require_role
from retrieval.collection_rows import pii_of
from retrieval.edition_copies import EditionProgress
from retrieval.editions import Edition
from retrieval.engine import SearchEngine
from retrieval.store import Store

logger = logging.getLogger("openbook.reindexing")

MAX_NAMED = 20  # documents that a job names as its reason
_SWEEP_S = 0.25


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
        self.copies = Copies(settings, database, store, ledger, clock)
        self._ending = threading.Lock()  # one switch at a time: it may take as long as indexing does

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
        chosen = with_pipeline(serving, changes)
        encoder = self._encoders().get(chosen)  # loaded now: one that cannot be is said at once
        with self._database.write() as connection:
            require_role(connection, principal, collection, ("owner", "editor"))
            pii = pii_of(connection, collection)  # which cannot be changed until the switch
            what = f"reindex: {described(pipeline_of(chosen))}"
            paused = is_paused(connection, collection)
            job_id = begin_reindex(connection, principal, collection, what, paused=paused)
            editions.begin(
                connection,
                collection,
                serving=pipeline_of(serving),
                pipeline={**pipeline_of(chosen), "pii": pii},
                chunker_version=version_of(chosen, encoder, pii=pii),
                encoder_revision=encoder.revision,
                job_id=job_id,
            )
        return get_job(self._database, principal, job_id)

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
                change = edition_switch.roll_back(connection, collection)
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
                    return self.copies.remaining_s(edition.edition_id)
        return None

    # ------------------------------------------------------------ workers

    def next_task(self, worker_id: str = "") -> Task | None:
        """The next document to be copied, by this worker; None if there is none, after ending what is done."""
        self.tidy()
        with self._database.read() as connection:
            found = editions.all_building(connection)
            waiting = {edition.edition_id for edition in found if self._is_paused(connection, edition)}
        for edition in found:
            if edition.edition_id in waiting:
                continue
            task = self.copies.next_of(edition, worker_id)
            if task is not None:
                return task
            if self.copies.is_idle(edition.edition_id):
                self._end(edition)
        return None

    def _is_paused(self, connection: Connection, edition: Edition) -> bool:
        job = self._ledger.peek(connection, edition.job_id) if edition.job_id is not None else None
        return job is not None and job.paused

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

    def _tidy_job(self, connection: Connection, job_id: str, edition: Edition | None) -> None:
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
        until = self._clock() + _SWEEP_S
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
                if wanted(connection, self._ledger, edition.edition_id) is None or edition.job_id is None:
                    return
                found = edition_copies.progress(connection, edition)
                if found.failures and len(found.failures) == found.documents:
                    editions.abandon(connection, edition.edition_id)
                    self._ledger.fail(connection, edition.job_id, f"nothing could be made anew: {_reason(found)}")
                    return
                change = edition_switch.switch(connection, edition)
                if change is None:
                    return  # a document came, or its attempt is to be repeated
                note_switched(connection, edition.job_id, _reason(found))
            self._engine().publish(change)
            with self._database.write() as connection:
                job = self._ledger.peek(connection, edition.job_id)
                if job is not None and job.state not in FINAL_STATES:
                    self._finish(connection, job)
            self.copies.forget(edition.edition_id)
        except OpenbookError as e:
            logger.error("%s could not be switched: %s", edition.collection, e.message)
            if e.code == "disk-full":
                return  # tried again when a worker asks next
            with self._database.write() as connection:
                if edition.job_id is not None and wanted(connection, self._ledger, edition.edition_id) is not None:
                    editions.abandon(connection, edition.edition_id)
                    self._ledger.fail(connection, edition.job_id, e.message)
        finally:
            self._engine().unprepare()  # nothing is left if it was switched to
            self._ending.release()
        self.sweep()

    def _finish(self, connection: Connection, job: Job) -> None:
        everything = self._store.list_collections(Principal(user_id=job.owner_id, is_admin=True))
        self._ledger.finish(
            connection,
            job.job_id,
            state="partial" if job.reason else "ready",
            doc_id="",
            pages=0,
            chunks=sum(c.chunks for c in everything if c.name == job.collection),  # 0 if it is gone
            seconds=job.seconds,
            reason=job.reason,
        )

    def _search_with(self, pipeline: Mapping[str, Any]) -> None:
        """Makes sure that what a pipeline encoded is searched by its encoder."""
        encoder = self._encoders().get(with_pipeline(self._settings, pipeline))
        self._engine().add_encoder(encoder)


def _reason(found: EditionProgress) -> str:
    """What a person reads of the documents that could not be made anew; "" if all were."""
    if not found.failures:
        return ""
    named = "; ".join(f"{uri}: {reason}" for uri, reason in found.failures[:MAX_NAMED])
    more = len(found.failures) - MAX_NAMED
    rest = f"; and {more:,} more" if more > 0 else ""
    return f"{plural(len(found.failures), 'document')} stayed as before: {named}{rest}"


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
