"""Makes stored documents searchable, all that wait at once, and then says so of their jobs.

One commit of the term index takes as long for fifty documents as for one, and small files come faster than it
commits. A job is "indexing" until its document can be found. If the process ends in between, the job begins anew, and
finds at once that its document is stored already.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.database import Database
from core.errors import OpenbookError, StorageFailed
from core.offload import Offload
from ingest.job import WORKING_STATES, JobState
from ingest.ledger import Ledger
from retrieval.engine import SearchEngine
from retrieval.records import Change

logger = logging.getLogger(__name__)

# The worker waits with its next result while so many documents wait to become searchable.
MAX_WAITING = 64
_TRIES = 3
_RETRY_S = 1.0
# After a commit the publisher rests this many times as long as the commit took, so that the next one is for more documents.
_PAUSE = 2.0
_MAX_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A document that is committed, and what is to be said of its job once it is searchable."""

    job_id: str
    change: Change
    state: JobState
    doc_id: str
    pages: int
    chunks: int
    seconds: float
    warnings: tuple[str, ...]


class Publisher:
    """Lives on the event loop; ``run`` is its one task."""

    def __init__(self) -> None:
        self._waiting: list[Stored] = []
        self._moved = asyncio.Condition()

    async def submit(self, stored: Stored) -> None:
        """Has a document made searchable soon; waits while too many wait for that already."""
        async with self._moved:
            await self._moved.wait_for(lambda: len(self._waiting) < MAX_WAITING)
            self._waiting.append(stored)
            self._moved.notify_all()

    async def run(
        self,
        engine: Callable[[], SearchEngine],
        database: Database,
        ledger: Ledger,
        offload: Offload,
        announce: Callable[[], Awaitable[None]],
    ) -> None:
        """Publishes until it is cancelled.

        Args:
            engine: asked for with each batch, as it loads after the server has begun.
            announce: called when jobs have ended.
        """
        while True:
            async with self._moved:
                await self._moved.wait_for(lambda: bool(self._waiting))
                batch, self._waiting = self._waiting, []
                self._moved.notify_all()
            begun = time.monotonic()
            problem = await self._publish(engine(), batch, offload)
            pause = min(_MAX_PAUSE_S, _PAUSE * (time.monotonic() - begun))
            while not await self._finished(database, ledger, batch, problem, offload):
                await asyncio.sleep(_RETRY_S)
            await announce()
            # One that comes alone is published already, and has nothing to wait for.
            await asyncio.sleep(pause)

    async def _finished(
        self, database: Database, ledger: Ledger, batch: list[Stored], problem: str | None, offload: Offload
    ) -> bool:
        """Notes the jobs' ends; False if that has to wait, as nothing else can be noted either."""
        try:
            await offload(_finish, database, ledger, batch, problem)
        except StorageFailed as e:
            logger.error("the end of %d jobs could not be noted: %s", len(batch), e.message)
            return False
        return True

    async def _publish(self, engine: SearchEngine, batch: list[Stored], offload: Offload) -> str | None:
        """Why the batch could not be made searchable; None if it is."""
        tries = 0
        while True:
            try:
                await offload(engine.publish_all, [stored.change for stored in batch])
            except OpenbookError as e:
                logger.error("%d documents could not be made searchable: %s", len(batch), e.message)
                tries += 1
                if tries == _TRIES:
                    return e.message
                await asyncio.sleep(_RETRY_S)
            except Exception:  # a fault of ours: the publisher has to live on
                logger.exception("%d documents could not be made searchable", len(batch))
                return "Openbook broke while it made the document searchable; the server's log has the details"
            else:
                return None


def _finish(database: Database, ledger: Ledger, batch: list[Stored], problem: str | None) -> None:
    with database.write() as connection:
        for stored in batch:
            job = ledger.peek(connection, stored.job_id)
            if job is None or job.state not in WORKING_STATES:
                continue  # it was given to be done anew meanwhile, and that will have an end of its own
            if problem is not None:
                ledger.fail(connection, stored.job_id, problem)
                continue
            ledger.finish(
                connection,
                stored.job_id,
                state=stored.state,
                doc_id=stored.doc_id,
                pages=stored.pages,
                chunks=stored.chunks,
                seconds=stored.seconds,
                warnings=stored.warnings,
            )
