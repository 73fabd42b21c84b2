"""Pages of the web as documents: fetched by the server's worker, safely (see ``ingest.fetch``)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from app.api.guard import PrincipalHere, ServicesHere
from app.api.jobs import IdempotencyKey, accepted
from app.intake import accept_files
from core.errors import InvalidRequest

router = APIRouter(prefix="/v1", tags=["jobs"])


class Urls(BaseModel):
    """Pages, files or sitemaps; what each is, its content says."""

    urls: Annotated[list[Annotated[str, Field(max_length=10_000)]], Field(min_length=1)]
    chunker: Literal["fixed", "sentence", "semantic", "parent-child"] | None = None


@router.post("/collections/{collection}/urls", status_code=202)
async def add_urls(
    collection: str,
    body: Urls,
    response: Response,
    services: ServicesHere,
    principal: PrincipalHere,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any]:
    """Fetches pages. 202 means noted, with a job for each; the same URL again replaces its document if it has changed.

    A sitemap becomes a job whose parts are its pages. Under an `Idempotency-Key` the same request again fetches nothing.
    """
    most = services.settings.max_batch_files
    if len(body.urls) > most:
        raise InvalidRequest(f"more than {most} URLs in one request: send them in parts", code="too-many-files")
    key = idempotency_key
    accepting = await services.offload(accept_files, services, principal, collection, body.chunker, "urls", key)
    await accepting.add_urls(body.urls)
    return accepted(accepting, response)
