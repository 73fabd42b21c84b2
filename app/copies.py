"""What workers do for an edition: each document that it lacks is given to one of them, and the copy is kept.

Nothing is kept here that a restart would miss: what is to be done next is read from the documents, and which ones break is
noted beside them. It knows nothing of who asked for the edition, nor of what happens when every document has been tried:
that is ``app.reindexing``.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from app.handover import Result, Task
from app.pipelines import with_pipeline
from core.database import Database
from core.errors import NotFound, OpenbookError
from core.settings import Settings
from ingest.job import FINAL_STATES
from ingest.ledger import Ledger
from ingest.ledger_reindex import note_progress
from retrieval import edition_copies, editions
from retrieval.edition_copies import Unmade
from retrieval.editions import Edition
from retrieval.store import Store
from retrieval.token_rows import keeps_tokens

logger = logging.getLogger("openbook.reindexing")

LEASE_S = 300.0  # a worker that is silent for so long is taken for dead, and its document given to another
PROGRESS_EVERY_S = 1.0
_BATCH = 256  # documents looked up at once: finding the next one reads through all
_COPIED = 0.98  # of a job's progress, when every document has its copy


@dataclass(frozen=True, slots=True)
class _Lease:
    until: float
    worker_id: str


@dataclass(slots=True)
class _Building:
    """What is remembered of an edition while this process runs."""

    waiting: deque[Unmade] = field(default_factory=deque)
    at_work: dict[str, _Lease] = field(default_factory=dict)  # by doc_id
    seconds: float = 0.0  # of work that is not noted yet
    noted_at: float = 0.0
    begun_at: float | None = None  # the first look at how far it is, and how far that was
    characters_then: int = 0
    remaining_s: float | None = None


class Copies:
    """One per server. May be called from any thread.

    Args:
        clock: seconds that do not jump, for leases and estimates.
    """

    def __init__(
        self, settings: Settings, database: Database, store: Store, ledger: Ledger, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._database = database
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.RLock()  # around ``_known``
        self._known: dict[int, _Building] = {}

    # ------------------------------------------------------------ giving out

    def next_of(self, edition: Edition, worker_id: str = "") -> Task | None:
        """The next document of an edition, given to a worker; None if none is left, or each is at work."""
        with self._lock:
            building = self._of(edition.edition_id)
            while (document := self._pop(edition, building)) is not None:
                with self._database.write() as connection:
                    # What waits in memory may have been deleted, changed or made meanwhile.
                    lacking = edition_copies.is_unmade(connection, edition, document)
                    tried = lacking and edition_copies.note_attempt(connection, edition, document)
                if not tried:
                    continue
                try:
                    task = self._task(edition, document)
                except NotFound as e:  # its original is lost, which must not hold up the others
                    self.fail(edition.edition_id, document.doc_id, e.message)
                    continue
                building.at_work[document.doc_id] = _Lease(self._clock() + LEASE_S, worker_id)
                return task
        return None

    def is_idle(self, edition_id: int) -> bool:
        """Whether no worker has any document of an edition in hand."""
        with self._lock:
            return not self._of(edition_id).at_work

    def remaining_s(self, edition_id: int) -> float | None:
        """How long the rest will take, if that can be said: as fast as since this process began to work on it."""
        with self._lock:
            return self._of(edition_id).remaining_s

    def forget(self, edition_id: int) -> None:
        """An edition has been switched to: there is nothing more to be remembered of it."""
        with self._lock:
            self._known.pop(edition_id, None)

    def _pop(self, edition: Edition, building: _Building) -> Unmade | None:
        now = self._clock()
        building.at_work = {doc_id: lease for doc_id, lease in building.at_work.items() if lease.until > now}
        if not building.waiting:
            with self._database.read() as connection:
                building.waiting.extend(edition_copies.unmade(connection, edition, _BATCH, building.at_work))
            self._look(edition, building)
        return building.waiting.popleft() if building.waiting else None

    def _task(self, edition: Edition, document: Unmade) -> Task:
        origin = {**(document.source or {}), "of_index": False}  # it is a document, and not to be opened
        with self._database.read() as connection:
            tokens = keeps_tokens(connection, edition.collection)
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
            tokens=tokens,
        )

    # ------------------------------------------------------------ coming back

    def forget_worker(self, worker_id: str) -> None:
        """A worker process has died: what it was copying is to be copied by another; what others are at stays theirs.

        Args:
            worker_id: how the ids of its threads begin.
        """
        with self._lock:
            for building in self._known.values():
                gone = [d for d, lease in building.at_work.items() if lease.worker_id.startswith(worker_id)]
                for doc_id in gone:
                    del building.at_work[doc_id]

    def go_on(self, edition_id: int, doc_id: str) -> bool:
        """A sign of life from a worker; False tells it to stop."""
        with self._lock:
            building = self._of(edition_id)
            if (lease := building.at_work.get(doc_id)) is not None:
                building.at_work[doc_id] = replace(lease, until=self._clock() + LEASE_S)
        with self._database.read() as connection:
            return wanted(connection, self._ledger, edition_id) is not None

    def store(self, edition_id: int, doc_id: str, made: Result) -> str:
        """Keeps the copy of a document; says what became of it."""
        try:
            with self._database.write() as connection:
                edition = wanted(connection, self._ledger, edition_id)
                if edition is None:
                    return "stale"
                kept = edition_copies.put_copy(
                    connection,
                    edition,
                    made.document,
                    made.chunks,
                    made.vectors,
                    made.parents,
                    encoder_revision=made.encoder_revision,
                    chunker_version=made.chunker_version,
                    signature=made.signature,
                    tokens=made.tokens,
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
                edition_copies.note_failure(connection, edition_id, doc_id, reason)

    def _look(self, edition: Edition, building: _Building) -> None:
        """Notes how far it is, and reckons how long the rest will take."""
        with self._database.read() as connection:
            now, found = self._clock(), edition_copies.progress(connection, edition)
        if building.begun_at is None:
            building.begun_at, building.characters_then = now, found.characters_done
        done = found.characters_done - building.characters_then
        if done > 0 and now > building.begun_at:
            left = found.characters - found.characters_done
            building.remaining_s = left * (now - building.begun_at) / done
        share = found.characters_done / found.characters if found.characters else 1.0
        with self._database.write() as connection:
            if wanted(connection, self._ledger, edition.edition_id) is not None and edition.job_id is not None:
                note_progress(connection, edition.job_id, round(_COPIED * share, 4), building.seconds)
        building.seconds, building.noted_at = 0.0, now

    def _of(self, edition_id: int) -> _Building:
        return self._known.setdefault(edition_id, _Building())


def wanted(connection: Connection, ledger: Ledger, edition_id: int) -> Edition | None:
    """The edition, if it is still being built and its job has neither ended nor been cancelled."""
    edition = editions.get(connection, edition_id)
    if edition is None or edition.state != "building" or edition.job_id is None:
        return None
    job = ledger.peek(connection, edition.job_id)
    return None if job is None or job.state in FINAL_STATES or job.cancel_requested else edition
