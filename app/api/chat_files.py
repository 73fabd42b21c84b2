"""Files of one conversation: asked together with what it asks, seen by nobody else, deleted with it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.guard import PrincipalHere, ServicesHere
from app.api.jobs import UPLOAD_BODY
from app.api.uploads import receive_files
from app.attachments import accept_attachments, check_room, detach
from app.intake import clean_uri, job_json

router = APIRouter(prefix="/v1/chats/{chat_id}/files", tags=["chats"])


@router.post("", status_code=202, openapi_extra=UPLOAD_BODY)
async def attach_files(
    chat_id: str, request: Request, services: ServicesHere, principal: PrincipalHere
) -> dict[str, Any]:
    """Takes files into this conversation only. 202 means kept, with a job each (`GET /v1/jobs/{id}`); from `ready` on the
    file is asked with whatever else the conversation asks. No list of collections or documents shows it."""
    accepting = await services.offload(accept_attachments, services, principal, chat_id)
    async for uploaded in receive_files(request, accepting.keep, services.offload, services.settings.max_batch_files):
        try:
            await services.offload(check_room, services, principal, chat_id, clean_uri(uploaded.filename))
        except BaseException:
            services.store.originals.release(uploaded.sha256)
            await services.offload(services.store.remove_originals, [uploaded.sha256])
            raise
        await accepting.add(uploaded)
    return {"files": [job_json(job) for job in accepting.jobs]}


@router.delete("/{job_id}", status_code=204)
async def detach_file(chat_id: str, job_id: str, services: ServicesHere, principal: PrincipalHere) -> Response:
    """Takes a file away, named by its job; one that is still being read is read no further. Quotes of it in this
    conversation stay until it is deleted."""
    await services.offload(detach, services, principal, chat_id, job_id)
    await services.announce_jobs()
    return Response(status_code=204)
