"""Jobs: one per file, durable, watched by polling or by events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from app.api.guard import PrincipalHere, ServicesHere
from app.api.sse import EVENTS, EventStream, event_bytes
from app.api.uploads import receive_files
from app.idempotency import MAX_KEY_CHARACTERS
from app.intake import Accepting, accept_files, check_may_change, job_json
from app.services import Services
from core.types import Principal
from ingest import ledger_listing, ledger_people
from ingest.job import FINAL_STATES, Job, JobState

router = APIRouter(prefix="/v1", tags=["jobs"])
uploading = APIRouter(prefix="/v1", tags=["jobs"])  # which bounds what it takes while it arrives

IdempotencyKey = Annotated[
    str | None,
    Header(
        max_length=MAX_KEY_CHARACTERS + 2,
        description="sent again under the same key within 24 hours, the request makes nothing again and gets the same jobs; "
        "something else under it is refused",
        examples=["5c0ee0f2-8d3a-4d5b-9d5e-6d8f9a7e2b10"],
    ),
]

UPLOAD_BODY = {
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


@uploading.post("/collections/{collection}/documents", status_code=202, openapi_extra=UPLOAD_BODY)
async def upload(
    collection: str,
    request: Request,
    response: Response,
    services: ServicesHere,
    principal: PrincipalHere,
    chunker: Literal["fixed", "sentence", "semantic", "parent-child"] | None = None,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any]:
    """Takes files in. 202 means kept, with a job each; a job in the state `ready` is searchable.

    Under an `Idempotency-Key` an upload that broke off can be sent again as a whole: what had arrived keeps its jobs.
    """
    accepting = await services.offload(accept_files, services, principal, collection, chunker, "files", idempotency_key)
    async for uploaded in receive_files(request, accepting.keep, services.offload, services.settings.max_batch_files):
        await accepting.add(uploaded)
    await accepting.finish()
    return accepted(accepting, response)


def accepted(accepting: Accepting, response: Response) -> dict[str, Any]:
    """The jobs of a request, and in a header whether none of them is new."""
    if accepting.jobs and accepting.repeated == len(accepting.jobs):
        response.headers["Idempotency-Replayed"] = "true"
    return {"jobs": [job_json(job) for job in accepting.jobs]}


@router.get("/jobs")
async def list_jobs(
    services: ServicesHere,
    principal: PrincipalHere,
    collection: str | None = None,
    state: Annotated[list[JobState] | None, Query()] = None,
    parent: Annotated[str | None, Query(description="the job of an archive or sitemap: only its parts")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    cursor: str | None = None,
) -> Response:
    """One page of the jobs, the newest first; ``next_cursor`` is null on the last.

    ``counts`` says how many jobs (of this collection, or of this parent) are in each state, whatever the page shows. ``gone`` is told
    of a job whose document has been deleted since.
    """

    def read() -> dict[str, Any]:
        found, following = ledger_listing.list_jobs(
            services.database,
            principal,
            collection=collection,
            states=state or (),
            parent=parent,
            limit=limit,
            after=cursor,
        )
        there = services.store.there(principal, (j.doc_id for j in found if j.doc_id))

        def shown(job: Job) -> dict[str, Any]:
            gone = bool(job.doc_id) and job.state in ("ready", "partial") and job.doc_id not in there
            return job_json(job) | ({"gone": True} if gone else {})

        return {
            "jobs": [shown(j) for j in found],
            "next_cursor": following,
            "counts": ledger_listing.count_jobs(services.database, principal, collection, parent),
        }

    # As it is: the framework's own way to JSON looks at every value, which takes longer than reading them.
    return JSONResponse(await services.offload(read))


@router.get("/jobs/{job_id}")
async def get_job(job_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    return await services.offload(_shown, services, principal, job_id)


def _shown(services: Services, principal: Principal, job_id: str) -> dict[str, Any]:
    job = ledger_listing.get_job(services.database, principal, job_id)
    estimate = {"remaining_s": services.reindexing.remaining_s(job_id)} if job.kind == "reindex" else {}
    return {**job_json(job), **estimate}


@router.get("/jobs/{job_id}/events", response_class=Response, responses=EVENTS)
async def job_events(
    job_id: str,
    services: ServicesHere,
    principal: PrincipalHere,
    last_event_id: Annotated[int, Header()] = 0,
) -> Response:
    """Server-sent events `job`, from after `Last-Event-ID`, until the job has ended."""
    await services.offload(ledger_listing.get_job, services.database, principal, job_id)
    return EventStream(_follow(services, principal, job_id, last_event_id))


async def _follow(services: Services, principal: Principal, job_id: str, after: int) -> AsyncIterator[bytes]:
    while True:
        job = await services.offload(ledger_listing.get_job, services.database, principal, job_id)
        estimate = {}
        if job.kind == "reindex":
            estimate["remaining_s"] = await services.offload(services.reindexing.remaining_s, job_id)
        for event in await services.offload(ledger_listing.events_since, services.database, principal, job_id, after):
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
    """Lets a failed, cancelled or partial job wait again; of an archive, those of its parts. A page is fetched anew."""
    return await _change(services, principal, job_id, services.ledger.retry)


@router.post("/jobs/{job_id}/pause")
async def pause_job(job_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Lets a job, with all parts of it, wait until it is resumed; one at work stops, and begins anew then."""
    return await _change(services, principal, job_id, ledger_people.pause)


@router.post("/jobs/{job_id}/resume")
async def resume_job(job_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    return await _change(services, principal, job_id, ledger_people.resume)


@router.post("/collections/{collection}/jobs/pause")
async def pause_collection(collection: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Pauses all jobs of a collection, whosesoever, and those that are added until it is resumed; survives a restart. `jobs` counts
    one's own."""
    return await _pause_all(services, principal, collection, True)


@router.post("/collections/{collection}/jobs/resume")
async def resume_collection(collection: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Lets all jobs of a collection go on, whosesoever. `jobs` counts one's own."""
    return await _pause_all(services, principal, collection, False)


async def _pause_all(services: Services, principal: Principal, collection: str, paused: bool) -> dict[str, Any]:
    def change() -> int:
        check_may_change(services, principal, collection)
        with services.database.write() as connection:
            return ledger_people.pause_collection(connection, principal, collection, paused)

    n = await services.offload(change)
    services.work_added.set()
    await services.announce_jobs()
    return {"collection": collection, "paused": paused, "jobs": n}


@router.delete("/jobs/{job_id}")
async def cancel_job(job_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Cancels a job that has not ended, with all parts of it; what it was about to add is not added."""
    return await _change(services, principal, job_id, ledger_people.request_cancel)


async def _change(
    services: Services, principal: Principal, job_id: str, change: Callable[[Connection, Principal, str], Job]
) -> dict[str, Any]:
    def apply() -> Job:
        with services.database.write() as connection:
            change(connection, principal, job_id)
        services.reindexing.tidy()  # nobody is at work on a reindex who would end it
        return ledger_listing.get_job(services.database, principal, job_id)

    job = await services.offload(apply)
    services.work_added.set()
    await services.announce_jobs()
    return job_json(job)
