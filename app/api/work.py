"""The worker's side door: it claims jobs, tells how far it is, and hands over what it made. Not for people."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Request
from pydantic import BaseModel
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from app.api.guard import ServicesHere, worker_only
from app.handover import WORKER_HEADER, Task, unpack
from app.pipelines import with_pipeline
from app.publishing import Stored
from app.services import Services
from core.errors import NotFound, OpenbookError
from core.ids import document_id
from core.settings import Settings
from core.types import Principal
from ingest.job import WORKING_STATES, Job, Lane
from ingest.parse.document import AWAITS_OCR
from ingest.parse.ocr import missing_ocr
from ingest.pipeline import version_of
from retrieval.collection_rows import pii_of
from retrieval.editions import pipeline_of
from retrieval.reading import get_document_info
from retrieval.records import Change, DocumentInfo
from retrieval.token_rows import keeps_tokens

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/internal", include_in_schema=False, dependencies=[Depends(worker_only)])

# A waiting worker holds its request this long before it asks again.
CLAIM_WAIT_S = 10.0
# How soon a worker that has gone is noticed; also heals a wake-up missed between looking and waiting.
LOOK_S = 0.5

NEWER_CAME = "a newer file of this name has come"

# Which worker speaks: what one no longer owns (its lease ran out, the server began anew) it can neither move nor store.
WorkerId = Annotated[str, Header(alias=WORKER_HEADER)]


class Progress(BaseModel):
    """A state that work can be in, and the share in [0, 1] of the whole job."""

    state: str
    progress: float


class Failure(BaseModel):
    """``message`` is what a person reads; ``cancelled``: the worker stopped because it was told to."""

    message: str
    cancelled: bool = False


@router.post("/claim")
async def claim(
    worker_id: WorkerId, request: Request, services: ServicesHere, kind: Literal["files", "urls"] = "files"
) -> Response:
    """The next task, a file to be understood or a page to be fetched; 204 if there is none for a while, or if the worker
    has gone meanwhile."""
    lanes: tuple[Lane, ...] = ("members", "files") if kind == "files" else ("urls",)
    deadline = time.monotonic() + CLAIM_WAIT_S
    while time.monotonic() < deadline and not await request.is_disconnected():
        services.work_added.clear()
        # What is made can be stored only once the indexes are open; loading ends by setting work_added.
        task = await services.offload(_next_task, services, worker_id, lanes) if services.search_ready else None
        if task is not None:
            await services.announce_jobs()
            return JSONResponse(dataclasses.asdict(task))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(services.work_added.wait(), LOOK_S)
    return Response(status_code=204)


@router.post("/workers/{process}/gone")
async def gone(process: str, services: ServicesHere, stopped: bool = False) -> dict[str, Any]:
    """A worker process has died, as its successor says, or was stopped in good order, as who stopped it says: what it had in hand
    waits again. Of a death a file may be the cause, so it counts as an attempt."""

    def requeue() -> int:
        services.reindexing.copies.forget_worker(f"{process}.")
        with services.database.write() as connection:
            let_go = services.ledger.put_back if stopped else services.ledger.requeue_of
            return let_go(connection, f"{process}.")

    found = await services.offload(requeue)
    services.work_added.set()
    await services.announce_jobs()
    return {"jobs": found}


def _next_task(services: Services, worker_id: str, lanes: tuple[Lane, ...]) -> Task | None:
    """An uploaded file, or where none waits, a document that is to be made anew; or a page to be fetched."""
    while (job := _claim(services, worker_id, lanes)) is not None:
        try:
            return _task(services, job)
        except OpenbookError as e:  # its collection wants an encoder that cannot be loaded, or its bytes are gone
            _fail(services, job.job_id, worker_id, Failure(message=e.message))
    return services.reindexing.next_task(worker_id) if "files" in lanes else None


def _claim(services: Services, worker_id: str, lanes: tuple[Lane, ...]) -> Job | None:
    """The next job that needs work; files that are stored already, made the same way, are ready at once."""
    while True:
        with services.database.write() as connection:
            job = services.ledger.claim(connection, worker_id, lanes)
        if job is None:
            return None
        if (stored := _stored_already(services, job)) is None:
            if not _ended_as_outdated(services, job):
                return job
            continue
        with services.database.write() as connection:
            services.ledger.finish(
                connection,
                job.job_id,
                state="partial" if stored.metadata.get("incomplete") else "ready",
                doc_id=stored.doc_id,
                pages=stored.pages,
                chunks=stored.chunks,
                seconds=0.0,
                warnings=stored.metadata.get("warnings", ()),
            )


def _ended_as_outdated(services: Services, job: Job) -> bool:
    """Cancels a job whose file a newer one of its name has replaced already, as where an old one that failed is tried again."""
    with services.database.write() as connection:
        if not _is_outdated(services, connection, job):
            return False
        services.ledger.cancelled(connection, job.job_id, NEWER_CAME)
        return True


def _is_outdated(services: Services, connection: Connection, job: Job) -> bool:
    try:
        found = get_document_info(connection, Principal(user_id=job.owner_id), document_id(job.collection, job.uri))
    except NotFound:
        return False
    return services.ledger.is_outdated(connection, job, found.sha256)


def _stored_already(services: Services, job: Job) -> DocumentInfo | None:
    """The same bytes under the same name, by the same encoder and chunker, unless OCR has come since that it lacked."""
    principal = Principal(user_id=job.owner_id)
    try:
        found = services.store.get_document_info(principal, document_id(job.collection, job.uri))
    except NotFound:
        return None
    made = (found.sha256, found.encoder_revision, found.chunker_version)
    try:
        if made != (job.sha256, *_wanted(services, job)):
            return None
    except OpenbookError:
        return None  # which is said when the task is made
    if found.metadata.get(AWAITS_OCR) and services.settings.ocr == "auto":
        return found if missing_ocr(services.settings.ocr_languages) else None
    return found


def _settings_of(services: Services, job: Job, connection: Connection) -> Settings:
    """The settings under which a file of this job is made now: those of its collection, and of its upload over them."""
    of_collection = with_pipeline(services.settings, pipeline_of(connection, job.collection))
    return with_pipeline(of_collection, {"chunker": job.chunker or None})


def _wanted(services: Services, job: Job, connection: Connection | None = None) -> tuple[str, str]:
    """(encoder revision, chunker version) that a file of this job is to have."""
    if connection is None:
        with services.database.read() as connection:
            return _wanted(services, job, connection)
    settings = _settings_of(services, job, connection)
    encoder = services.models.encoders.get(settings)
    return encoder.revision, version_of(settings, encoder, pii=pii_of(connection, job.collection))


def _task(services: Services, job: Job) -> Task:
    """Raises OpenbookError if the encoder cannot be loaded."""
    with services.database.read() as connection:
        settings = _settings_of(services, job, connection)
        pipeline = pipeline_of(connection, job.collection)
        pii = pii_of(connection, job.collection)
        tokens = keeps_tokens(connection, job.collection)
    services.engine.add_encoder(services.models.encoders.get(settings))
    return Task(
        address=f"/internal/jobs/{job.job_id}",
        collection=job.collection,
        uri=job.uri,
        filename=str(job.origin.get("name") or job.file),
        sha256=job.sha256,
        path="" if job.lane == "urls" else str(services.store.originals.path(job.sha256).absolute()),
        chunker=settings.chunker,
        origin=dict(job.origin),
        pipeline=pipeline,
        pii=pii,
        tokens=tokens,
    )


@router.post("/jobs/{job_id}/progress")
async def progress(job_id: str, body: Progress, worker_id: WorkerId, services: ServicesHere) -> dict[str, Any]:
    """Notes how far the worker is and tells it whether to stop."""

    def note() -> bool:
        with services.database.write() as connection:
            return services.ledger.advance(connection, job_id, body.state, body.progress, worker_id=worker_id)

    go_on = await services.offload(note)
    await services.announce_jobs()
    return {"cancel": not go_on}


@router.put("/jobs/{job_id}/result")
async def result(job_id: str, request: Request, worker_id: WorkerId, services: ServicesHere) -> dict[str, Any]:
    """Commits the document; the publisher makes it searchable, and its job ready, with whatever else waits for that.

    ``outcome`` says what became of it: stored, cancelled, stale (not wanted any more, or to be made anew) or failed.
    """
    made = unpack(await request.body())

    def store() -> tuple[str, Change | None]:
        with services.database.write() as connection:
            if not services.ledger.advance(connection, job_id, "indexing", 0.95, worker_id=worker_id):
                return _not_wanted(services, connection, job_id), None
            job = services.ledger.peek(connection, job_id)
            if job is not None and _is_outdated(services, connection, job):
                services.ledger.cancelled(connection, job_id, NEWER_CAME)
                return "cancelled", None
            now = pii_of(connection, made.document.collection)
            how = (made.encoder_revision, made.chunker_version)
            if job is not None and (made.pii != now or how != _wanted(services, job, connection)):
                # The collection was switched to another pipeline, or another setting for personal data, while this file
                # was read.
                services.ledger.again(connection, job_id)
                return "stale", None
            return "stored", services.store.put_document(
                connection,
                made.document,
                made.chunks,
                made.vectors,
                encoder_revision=made.encoder_revision,
                chunker_version=made.chunker_version,
                parents_=made.parents,
                signature=made.signature,
                tokens=made.tokens,
                principal=_owner(services, connection, job_id),
            )

    try:
        outcome, change = await services.offload(store)
    except OpenbookError as e:
        logger.error("job %s could not be stored: %s", job_id, e.message)
        if e.code == "disk-full":
            raise  # nothing is wrong with the file: its worker waits for space
        await services.offload(_fail, services, job_id, worker_id, Failure(message=e.message))
        outcome, change = "failed", None
    if change is not None:
        await services.publisher.submit(
            Stored(
                job_id=job_id,
                change=change,
                state="partial" if made.partial else "ready",
                doc_id=made.document.doc_id,
                pages=len(made.document.pages),
                chunks=len(made.chunks),
                seconds=made.seconds,
                warnings=made.warnings,
            )
        )
    await services.announce_jobs()
    return {"outcome": outcome}


def _owner(services: Services, connection: Connection, job_id: str) -> Principal | None:
    """Who uploaded the file: a right that was taken back while it was read counts."""
    job = services.ledger.peek(connection, job_id)
    return Principal(user_id=job.owner_id) if job is not None else None


def _not_wanted(services: Services, connection: Connection, job_id: str) -> str:
    """A result that came too late: the job was cancelled, or the server began anew and the job waits again."""
    job = services.ledger.peek(connection, job_id)
    if job is not None and job.state in WORKING_STATES and job.cancel_requested:
        services.ledger.stopped(connection, job_id)
        return "cancelled"
    return "stale"


@router.post("/editions/{edition_id}/documents/{doc_id}/progress")
async def copy_progress(edition_id: int, doc_id: str, body: Progress, services: ServicesHere) -> dict[str, Any]:
    """A sign of life of a worker that makes a document anew."""
    return {"cancel": not await services.offload(services.reindexing.copies.go_on, edition_id, doc_id)}


@router.put("/editions/{edition_id}/documents/{doc_id}/result")
async def copy_result(edition_id: int, doc_id: str, request: Request, services: ServicesHere) -> dict[str, Any]:
    """Keeps what was made anew, seen by nobody until the switch."""
    made = unpack(await request.body())
    outcome = await services.offload(services.reindexing.copies.store, edition_id, doc_id, made)
    await services.announce_jobs()
    return {"outcome": outcome}


@router.post("/editions/{edition_id}/documents/{doc_id}/failure")
async def copy_failure(edition_id: int, doc_id: str, body: Failure, services: ServicesHere) -> dict[str, Any]:
    """A document that cannot be made anew stays searched as it is."""

    def fail() -> None:
        services.reindexing.copies.fail(edition_id, doc_id, body.message, cancelled=body.cancelled)

    await services.offload(fail)
    return {}


@router.post("/jobs/{job_id}/failure")
async def failure(job_id: str, body: Failure, worker_id: WorkerId, services: ServicesHere) -> dict[str, Any]:
    """The job ends without a document; or it waits again, if it was only paused."""
    await services.offload(_fail, services, job_id, worker_id, body)
    await services.announce_jobs()
    return {}


def _fail(services: Services, job_id: str, worker_id: str, what: Failure) -> None:
    with services.database.write() as connection:
        if not services.ledger.is_worked_on_by(connection, job_id, worker_id):
            return  # it was given to be done anew meanwhile, and that will have an end of its own
        if what.cancelled:
            services.ledger.stopped(connection, job_id)
        else:
            services.ledger.fail(connection, job_id, what.message)
