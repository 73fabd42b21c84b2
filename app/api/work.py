"""The worker's side door: it claims jobs, tells how far it is, and hands over what it made. Not for people."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from typing import Any, cast

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from app.api.guard import ServicesHere, worker_only
from app.handover import Task, unpack
from app.services import Services
from core.errors import OpenbookError
from ingest.chunk.choose import ChunkerName
from ingest.job import WORKING_STATES
from ingest.ledger import Job

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/internal", include_in_schema=False, dependencies=[Depends(worker_only)])

# A waiting worker holds its request this long before it asks again.
CLAIM_WAIT_S = 10.0
# How soon a worker that has gone is noticed; also heals a wake-up missed between looking and waiting.
LOOK_S = 0.5


class Claim(BaseModel):
    worker_id: str


class Progress(BaseModel):
    state: str
    progress: float


class Failure(BaseModel):
    message: str
    cancelled: bool = False


@router.post("/claim")
async def claim(body: Claim, request: Request, services: ServicesHere) -> Response:
    """The next task; 204 if there is none for a while, or if the worker has gone meanwhile."""
    deadline = time.monotonic() + CLAIM_WAIT_S
    while time.monotonic() < deadline and not await request.is_disconnected():
        services.work_added.clear()
        # What is made can be stored only once the indexes are open; loading ends by setting work_added.
        job = await services.offload(_claim, services, body.worker_id) if services.search_ready else None
        if job is not None:
            await services.announce_jobs()
            return JSONResponse(dataclasses.asdict(_task(services, job)))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(services.work_added.wait(), LOOK_S)
    return Response(status_code=204)


def _claim(services: Services, worker_id: str) -> Job | None:
    with services.database.write() as connection:
        return services.ledger.claim(connection, worker_id)


def _task(services: Services, job: Job) -> Task:
    return Task(
        job_id=job.job_id,
        collection=job.collection,
        uri=job.uri,
        filename=job.file,
        sha256=job.sha256,
        path=str(services.store.originals.path(job.sha256).absolute()),
        chunker=cast(ChunkerName, job.chunker),
    )


@router.post("/jobs/{job_id}/progress")
async def progress(job_id: str, body: Progress, services: ServicesHere) -> dict[str, Any]:
    """Notes how far the worker is and tells it whether to stop."""

    def note() -> bool:
        with services.database.write() as connection:
            return services.ledger.advance(connection, job_id, body.state, body.progress)

    go_on = await services.offload(note)
    await services.announce_jobs()
    return {"cancel": not go_on}


@router.put("/jobs/{job_id}/result")
async def result(job_id: str, request: Request, services: ServicesHere) -> dict[str, Any]:
    """Commits the document, makes it searchable, then says that the job is ready."""
    made = unpack(await request.body())
    engine = services.engine

    def store() -> str:
        with services.database.write() as connection:
            if not services.ledger.advance(connection, job_id, "indexing", 0.95):
                return _not_wanted(services, connection, job_id)
            change = services.store.put_document(
                connection,
                made.document,
                made.chunks,
                made.vectors,
                encoder_revision=made.encoder_revision,
                chunker_version=made.chunker_version,
            )
        engine.publish(change)
        with services.database.write() as connection:
            services.ledger.finish(
                connection,
                job_id,
                state="partial" if made.partial else "ready",
                doc_id=made.document.doc_id,
                pages=len(made.document.pages),
                chunks=len(made.chunks),
                seconds=made.seconds,
                warnings=made.warnings,
            )
        return "stored"

    try:
        outcome = await services.offload(store)
    except OpenbookError as e:
        logger.error("job %s could not be stored: %s", job_id, e.message)
        await services.offload(_fail, services, job_id, e.message, False)
        outcome = "failed"
    await services.announce_jobs()
    return {"outcome": outcome}


def _not_wanted(services: Services, connection: Connection, job_id: str) -> str:
    """A result that came too late: the job was cancelled, or the server began anew and the job waits again."""
    job = services.ledger.peek(connection, job_id)
    if job is not None and job.state in WORKING_STATES and job.cancel_requested:
        services.ledger.cancelled(connection, job_id)
        return "cancelled"
    return "stale"


@router.post("/jobs/{job_id}/failure")
async def failure(job_id: str, body: Failure, services: ServicesHere) -> dict[str, Any]:
    await services.offload(_fail, services, job_id, body.message, body.cancelled)
    await services.announce_jobs()
    return {}


def _fail(services: Services, job_id: str, message: str, cancelled: bool) -> None:
    with services.database.write() as connection:
        job = services.ledger.peek(connection, job_id)
        if job is None or job.state not in WORKING_STATES:
            return  # it was given to be done anew meanwhile, and that will have an end of its own
        if cancelled:
            services.ledger.cancelled(connection, job_id)
        else:
            services.ledger.fail(connection, job_id, message)
