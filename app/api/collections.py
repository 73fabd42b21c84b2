"""Collections: named sets of documents."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from app.api.etags import IfMatch, Tagged, check_unchanged, tag_of
from app.api.guard import PrincipalHere, ServicesHere
from app.intake import job_json
from app.pipelines import encoder_choice
from app.reindex_estimate import estimate, estimate_json
from core.errors import InvalidRequest
from core.ids import check_collection_name
from core.types import PiiMode
from ingest.ledger_listing import originals_of
from ingest.ledger_people import cancel_collection
from retrieval.collection_rows import count_treated_otherwise, get_collection, set_late, set_pii
from retrieval.records import CollectionInfo
from retrieval.token_rows import set_tokens

router = APIRouter(prefix="/v1/collections", tags=["collections"], route_class=Tagged)


class NewCollection(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        examples=["filings"], description="1 to 63 of a-z, 0-9, '-' and '_', beginning with a letter or digit"
    )
    pii: PiiMode = Field(
        "off",
        description="e-mail addresses, phone numbers, IBANs (and names, with `pii_names_model`) in what is added: "
        "count or take out",
    )
    late: bool = Field(False, description="index its passages token by token, so that they can be searched with `late`")
    tokens: bool | None = Field(
        None, description="keep token vectors, by which searches are reranked at once; null: as the settings say"
    )


class ChangedCollection(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pii: PiiMode | None = None
    late: bool | None = None
    tokens: bool | None = None


class Reindex(BaseModel):
    """What is to be other than now; nothing said is to be as it is."""

    model_config = ConfigDict(extra="forbid")

    chunker: Literal["fixed", "sentence", "semantic", "parent-child"] | None = None
    chunk_tokens: int | None = Field(None, ge=16, le=8192)
    chunk_overlap_tokens: int | None = Field(None, ge=0)
    semantic_percentile: float | None = Field(None, gt=0, lt=100)
    embed_context: Literal["none", "title", "headings"] | None = None
    encoder: str | None = Field(None, min_length=1, description='"packaged", or a model of sentence-transformers')
    encoder_precision: Literal["auto", "fp32", "bf16"] | None = None


@router.post("", status_code=201)
async def create_collection(
    body: NewCollection, request: Request, services: ServicesHere, principal: PrincipalHere
) -> dict[str, Any]:
    name = request.state.target = check_collection_name(body.name)
    tokens = services.settings.token_vectors if body.tokens is None else body.tokens

    def create() -> None:
        with services.database.write() as connection:
            services.store.create_collection(
                connection, name, principal.user_id, pii=body.pii, late=body.late, tokens=tokens
            )
            services.ledger.forget_collection(connection, name)  # of one that was deleted

    await services.offload(create)
    return {"name": name, "documents": 0, "chunks": 0, "pii": body.pii, "late": body.late, "tokens": tokens}


@router.patch("/{collection}")
async def change_collection(
    collection: str,
    body: ChangedCollection,
    response: Response,
    services: ServicesHere,
    principal: PrincipalHere,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Changes what is done about personal data in what is added from now on, whether it can be searched by late
    interaction, and whether token vectors of its passages are kept for reranking; both are seen to in the background, and
    their room is given back at once. What is not said stays. Only the owner may.

    What is stored stays as it is until it is added again: `unlike` counts the documents whose personal data were treated
    otherwise. With `If-Match`, the `etag` that the list of collections has for it, nothing is changed where somebody else
    has changed these settings since.
    """
    if body.pii is None and body.late is None and body.tokens is None:
        raise InvalidRequest("nothing is to be changed: say 'pii', 'late' or 'tokens'")
    reads = body.late is not None or body.tokens is not None
    engine = services.engine if reads else None  # says so while it loads

    def change() -> dict[str, Any]:
        with services.database.write() as connection:
            if if_match is not None:
                check_unchanged(if_match, _tag(get_collection(connection, principal, collection)))
            if body.pii is not None:
                set_pii(connection, principal, collection, body.pii)
            if body.late is not None:
                set_late(connection, principal, collection, body.late)
            if body.tokens is not None:
                set_tokens(connection, principal, collection, body.tokens)
            found = get_collection(connection, principal, collection)
            unlike = count_treated_otherwise(connection, collection)
        if engine is not None:
            engine.follow_late()
        how = {"pii": found.pii, "late": found.late, "tokens": found.tokens, "etag": _tag(found)}
        return {"name": collection, **how, "unlike": unlike}

    changed = await services.offload(change)
    response.headers["ETag"] = changed["etag"]
    return changed


def _tag(found: CollectionInfo) -> str:
    """Of what ``change_collection`` changes."""
    return tag_of(found.name, found.pii, str(found.late), str(found.tokens))


@router.get("")
async def list_collections(services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    found = await services.offload(services.store.list_collections, principal)
    return {
        "collections": [
            {
                "name": c.name,
                "documents": c.documents,
                "chunks": c.chunks,
                "created_at": c.created_at,
                "pipeline": c.pipeline,
                "previous": c.previous,
                "pii": c.pii,
                "fusion": c.fusion,
                "late": c.late,
                "tokens": c.tokens,
                "with_tokens": c.with_tokens,
                "role": c.role,
                "etag": _tag(c),
            }
            for c in found
        ]
    }


@router.post("/{collection}/reindex", status_code=202)
async def reindex(collection: str, body: Reindex, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Makes every document anew beside what is searched, then switches to all of them at once.

    The answer is a job, whose `remaining_s` says how long it will still take. What was searched before is kept until the
    next reindex, or until it is deleted, for a way back.
    """
    changes = body.model_dump(exclude_none=True, exclude={"encoder"})
    if body.encoder is not None:
        changes |= encoder_choice(services.settings, body.encoder)
    _ = services.engine  # says so while it loads
    job = await services.offload(services.reindexing.start, principal, collection, changes)
    services.work_added.set()
    await services.announce_jobs()
    return {"job": job_json(job)}


@router.post("/{collection}/reindex/estimate")
async def estimate_reindex(
    collection: str, body: Reindex, services: ServicesHere, principal: PrincipalHere
) -> dict[str, Any]:
    """What making the collection anew would come to; nothing is begun. `again` is how many documents would be read again (those
    that are made so already are not), `seconds` about how long that takes: null for another encoder, whose pace nobody knows yet."""
    changes = body.model_dump(exclude_none=True, exclude={"encoder"})
    if body.encoder is not None:
        changes |= encoder_choice(services.settings, body.encoder)
    _ = services.engine  # says so while it loads
    found = await services.offload(
        estimate, services.settings, services.database, services.models.encoders, principal, collection, changes
    )
    return estimate_json(found)


@router.post("/{collection}/rollback")
async def rollback(collection: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Switches back, at once, to what was searched before the last reindex; again, and it is undone."""
    pipeline = await services.offload(services.reindexing.roll_back, principal, collection)
    return {"collection": collection, "pipeline": pipeline}


@router.delete("/{collection}/previous", status_code=204)
async def delete_previous(collection: str, services: ServicesHere, principal: PrincipalHere) -> Response:
    """Gives up what is kept for a way back, and the room that it takes."""
    await services.offload(services.reindexing.forget, principal, collection)
    return Response(status_code=204)


@router.delete("/{collection}", status_code=204)
async def delete_collection(collection: str, services: ServicesHere, principal: PrincipalHere) -> Response:
    """Deletes the collection with its documents, and what was uploaded to it and not read; quotes in past chats remain."""

    engine = services.engine

    def delete() -> None:
        with services.database.write() as connection:
            held = originals_of(connection, collection)
            change = services.store.delete_collection(connection, principal, collection)
            cancel_collection(connection, collection)
        services.reindexing.tidy()
        engine.publish(change)
        services.store.remove_originals(held)  # of files that waited or could not be read no document tells

    await services.offload(delete)
    await services.announce_jobs()
    return Response(status_code=204)
