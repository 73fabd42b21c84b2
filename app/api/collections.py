"""Collections: named sets of documents."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from app.api.guard import PrincipalHere, ServicesHere
from core.ids import check_collection_name
from core.types import PiiMode

router = APIRouter(prefix="/v1/collections", tags=["collections"])


class NewCollection(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        examples=["filings"], description="1 to 63 of a-z, 0-9, '-' and '_', beginning with a letter or digit"
    )
    pii: PiiMode = Field(
        "off", description="e-mail addresses, phone numbers and IBANs in what is added: count or take out"
    )


class ChangedCollection(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pii: PiiMode


@router.post("", status_code=201)
async def create_collection(body: NewCollection, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    name = check_collection_name(body.name)

    def create() -> None:
        with services.database.write() as connection:
            services.store.create_collection(connection, name, principal.user_id, pii=body.pii)

    await services.offload(create)
    return {"name": name, "documents": 0, "chunks": 0, "pii": body.pii}


@router.patch("/{collection}")
async def change_collection(
    collection: str, body: ChangedCollection, services: ServicesHere, principal: PrincipalHere
) -> dict[str, Any]:
    """Changes what is done about personal data in what is added from now on. Only the owner may.

    What is stored stays as it is until it is added again: `unlike` counts the documents that were treated otherwise.
    """

    def change() -> int:
        with services.database.write() as connection:
            services.store.set_pii(connection, principal, collection, body.pii)
            return services.store.count_treated_otherwise(connection, collection)

    return {"name": collection, "pii": body.pii, "unlike": await services.offload(change)}


@router.get("")
async def list_collections(services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    found = await services.offload(services.store.list_collections, principal)
    return {
        "collections": [
            {"name": c.name, "documents": c.documents, "chunks": c.chunks, "created_at": c.created_at, "pii": c.pii}
            for c in found
        ]
    }


@router.delete("/{collection}", status_code=204)
async def delete_collection(collection: str, services: ServicesHere, principal: PrincipalHere) -> Response:
    """Deletes the collection with its documents; quotes of them in past chats remain."""

    engine = services.engine

    def delete() -> None:
        with services.database.write() as connection:
            change = services.store.delete_collection(connection, principal, collection)
            services.ledger.cancel_collection(connection, collection)
        engine.publish(change)

    await services.offload(delete)
    await services.announce_jobs()
    return Response(status_code=204)
