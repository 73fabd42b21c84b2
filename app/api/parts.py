"""The worker's side door, for what comes out of an archive or a sitemap, and for pages it has fetched. Not for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from sqlalchemy import Connection

from app.api.guard import ServicesHere, worker_only
from app.api.uploads import Uploaded, receive_body
from app.api.work import WorkerId
from app.handover import ORIGIN_HEADER, Opened
from app.intake import name_in
from app.services import Services
from core.clock import now_iso
from core.errors import Conflict, InvalidRequest
from core.types import Principal
from ingest.fetch.address import parse_url
from ingest.job import Job
from ingest.pii import redact_text
from retrieval.collection_rows import pii_of

router = APIRouter(prefix="/internal", include_in_schema=False, dependencies=[Depends(worker_only)])

# Reasons that a job keeps; of more of them it is said how many there are.
_MAX_SKIPPED = 200


@router.put("/jobs/{job_id}/parts")
async def part(
    job_id: str,
    name: Annotated[str, Query(min_length=1, max_length=1000)],
    request: Request,
    worker_id: WorkerId,
    services: ServicesHere,
) -> dict[str, Any]:
    """One member of an archive, as the body; it gets a job of its own. Sent again, it is the job that it was."""

    def add(connection: Connection, parent: Job, came: Uploaded) -> None:
        uri = f"{parent.uri}/{name_in(services, connection, parent.collection, name, came.sha256)}"
        made = services.ledger.part(connection, parent.job_id, uri, came.sha256)
        owner = Principal(user_id=parent.owner_id)
        if made is None:
            services.ledger.add(
                connection,
                principal=owner,
                collection=parent.collection,
                file=uri,
                uri=uri,
                sha256=came.sha256,
                size=came.size,
                chunker=parent.chunker,
                lane="members",
                parent=parent,
                origin={"archive": parent.uri},
            )
        elif made.state in ("failed", "cancelled"):
            services.ledger.retry(connection, owner, made.job_id)

    await _keep(services, job_id, worker_id, request, name, add)
    return {}


@router.put("/jobs/{job_id}/page")
async def page(
    job_id: str,
    request: Request,
    worker_id: WorkerId,
    services: ServicesHere,
    origin: Annotated[str, Header(alias=ORIGIN_HEADER)] = "{}",
) -> dict[str, Any]:
    """A page of the web, as the body: its job waits for a worker now."""
    found = json.loads(origin)
    if not isinstance(found, dict):
        raise InvalidRequest(f"{ORIGIN_HEADER} is no JSON object", code="bad-result")

    def store(connection: Connection, job: Job, came: Uploaded) -> None:
        values = {**found, "fetched_at": now_iso()}
        services.ledger.fetched(connection, job.job_id, sha256=came.sha256, size=came.size, origin=values)

    await _keep(services, job_id, worker_id, request, "the page", store)
    return {}


@router.post("/jobs/{job_id}/opened")
async def opened(job_id: str, found: Opened, worker_id: WorkerId, services: ServicesHere) -> dict[str, Any]:
    """All members of an archive have been sent, or these are the pages of a sitemap."""

    def note() -> str:
        with services.database.write() as connection:
            job = _mine(services, connection, job_id, worker_id)
            skipped = list(found.skipped)
            # One index lets in no more pages than one sitemap does.
            each = max(1, services.settings.max_sitemap_pages // max(1, len(found.urls))) if found.is_index else None
            for url in found.urls:
                try:
                    _add_page(services, connection, job, parse_url(url).url, each)
                except InvalidRequest as e:
                    skipped.append((url[:300], e.message))
            if pii_of(connection, job.collection) == "redact":
                regions = services.settings.phone_regions
                skipped = [(redact_text(name, regions), redact_text(why, regions)) for name, why in skipped]
            origin = {
                "container": found.container,
                "skipped": skipped[:_MAX_SKIPPED],
                "more_skipped": max(0, len(skipped) - _MAX_SKIPPED) or None,
                "notes": found.notes or None,
                "incomplete": found.incomplete or None,
            }
            services.ledger.opened(connection, job_id, origin)
        return job.sha256

    sha256 = await services.offload(note)
    await services.offload(services.store.remove_originals, [sha256] if sha256 else [])
    services.work_added.set()
    await services.announce_jobs()
    return {}


def _add_page(services: Services, connection: Connection, parent: Job, url: str, pages: int | None) -> None:
    """A job for what a sitemap names, which is a page, whatever it is; or an index, which is a sitemap, but no index.

    Args:
        pages: of an index: how many each of its sitemaps may bring.
    """
    owner = Principal(user_id=parent.owner_id)
    made = services.ledger.part(connection, parent.job_id, url)
    if made is not None and made.state in ("failed", "cancelled"):
        services.ledger.retry(connection, owner, made.job_id)
    if made is not None or url == parent.uri:
        return
    services.ledger.add(
        connection,
        principal=owner,
        collection=parent.collection,
        file=url,
        uri=url,
        sha256="",
        size=0,
        chunker=parent.chunker,
        lane="urls",
        parent=parent,
        origin={"url": url, "sitemap": parent.uri, "of_index": pages is not None} | ({"pages": pages} if pages else {}),
    )


async def _keep(
    services: Services,
    job_id: str,
    worker_id: str,
    request: Request,
    name: str,
    note: Callable[[Connection, Job, Uploaded], None],
) -> None:
    """Stores the body among the originals, durable before ``note`` speaks of it in a transaction.

    Raises:
        Conflict: the job is not this worker's, any more.
        TooLarge, StorageFailed: the body could not be stored.
    """

    def keep(pieces: Any) -> tuple[str, int]:
        return services.store.originals.put_stream(pieces, services.settings.max_upload_bytes)

    came = await receive_body(request, name, keep, services.offload)
    if came.error is not None:
        raise came.error

    def commit() -> None:
        with services.database.write() as connection:
            note(connection, _mine(services, connection, job_id, worker_id), came)

    try:
        await services.offload(commit)
    finally:
        services.store.originals.release(came.sha256)
    services.work_added.set()
    await services.announce_jobs()


def _mine(services: Services, connection: Connection, job_id: str, worker_id: str) -> Job:
    """The job, if this worker still has it and it is still wanted; else raises Conflict, which ends the work."""
    job = services.ledger.peek(connection, job_id)
    if job is None or not services.ledger.is_worked_on_by(connection, job_id, worker_id):
        raise Conflict(f"job {job_id} is not this worker's (any more)", code="not-yours")
    if job.cancel_requested:
        raise Conflict(f"job {job_id} is being cancelled", code="not-wanted")
    return job
