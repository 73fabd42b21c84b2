"""Jobs: one per file, durable, watched by polling or by events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from app.api.guard import PrincipalHere, ServicesHere
from app.api.sse import EventStream, event_bytes
from app.api.uploads import receive_files
from app.intake import accept_files, job_json
from app.services import Services
from core.types import Principal
from ingest.ledger import FINAL_STATES

router = APIRouter(prefix="/v1", tags=["jobs"])

_UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            }
        },
    }
}


@router.post("/collections/{collection}/documents", status_code=202, openapi_extra=_UPLOAD_BODY)
async def upload(
    collection: str,
    request: Request,
    services: ServicesHere,
    principal: PrincipalHere,
    chunker: Literal["fixed", "sentence", "semantic", "parent-child"] | None = None,
) -> dict[str, Any]:
    """Takes files in. 202 means kept, with a job each; a job in the state `ready` is searchable."""
    accepting = accept_files(services, principal, collection, chunker)
    async for uploaded in receive_files(request, accepting.keep, services.offload, services.settings.max_batch_files):
        await accepting.add(uploaded)
    return {"jobs": [job_json(job) for job in accepting.jobs]}


@router.get("/jobs")
async def list_jobs(
    services: ServicesHere,
    principal: PrincipalHere,
    collection: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> dict[str, Any]:
    """The newest first."""
    found = await services.offload(services.ledger.list_jobs, principal, collection=collection, limit=limit)
    return {"jobs": [job_json(j) for j in found]}


@router.get("/jobs/{job_id}")
async def get_job(job_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    return await services.offload(_shown, services, principal, job_id)


def _shown(services: Services, principal: Principal, job_id: str) -> dict[str, Any]:
    job = services.ledger.get(principal, job_id)
    estimate = {"remaining_s": services.reindexing.remaining_s(job_id)} if job.kind == "reindex" else {}
    return {**job_json(job), **estimate}


@router.get("/jobs/{job_id}/events")
async def job_events(
    job_id: str,
    services: ServicesHere,
    principal: PrincipalHere,
    last_event_id: Annotated[int, Header()] = 0,
) -> Response:
    """Server-sent events `job`, from after `Last-Event-ID`, until the job has ended."""
    await services.offload(services.ledger.get, principal, job_id)
    return EventStream(_follow(services, principal, job_id, last_event_id))


async def _follow(services: Services, principal: Principal, job_id: str, after: int) -> AsyncIterator[bytes]:
    while True:
        job = await services.offload(services.ledger.get, principal, job_id)
        estimate = {}
        if job.kind == "reindex":
            estimate["remaining_s"] = await services.offload(services.reindexing.remaining_s, job_id)
        for event in await services.offload(services.ledger.events_since, principal, job_id, after):
            after = event.seq
            shown = {**job_json(job), **estimate, "state": event.state, "progress": event.progress}
            yield event_bytes("job", shown, event.seq)
        if job.state in FINAL_STATES:
            return
        async with services.jobs_changed:
            # A timeout heals a notification missed between the reading and the waiting.
            try:
                await asyncio.wait_for(services.jobs_changed.wait(), timeout=1.0)
            except TimeoutError:
                continue


@router.post("/jobs/{job_id}/retry")
async def retry_job(job_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    def retry() -> None:
        with services.database.write() as connection:
            services.ledger.retry(connection, principal, job_id)

    await services.offload(retry)
    services.work_added.set()
    await services.announce_jobs()
    return job_json(await services.offload(services.ledger.get, principal, job_id))


@router.delete("/jobs/{job_id}")
async def cancel_job(job_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Cancels a job that has not ended; what it was about to add is not added."""

    def cancel() -> None:
        with services.database.write() as connection:
            services.ledger.request_cancel(connection, principal, job_id)
        services.reindexing.tidy()  # nobody is at work on such a job who would end it

    await services.offload(cancel)
    await services.announce_jobs()
    return job_json(await services.offload(services.ledger.get, principal, job_id))
