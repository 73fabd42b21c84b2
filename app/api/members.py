"""Who is let into a collection: read by its members, changed by its owner, or by an administrator (which the audit log tells)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from app.api.account import WithIdentities
from app.api.guard import PersonHere, ServicesHere
from retrieval.members import list_members, remove_member, set_member
from retrieval.records import Role

router = APIRouter(prefix="/v1/collections", tags=["members"], dependencies=[WithIdentities])


class Member(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Role = Field(examples=["reader"], description="reader, editor, or owner, of whom there is one")


@router.get("/{collection}/members")
async def get_members(collection: str, services: ServicesHere, person: PersonHere) -> dict[str, Any]:
    """The owner first."""

    def read() -> list[dict[str, Any]]:
        with services.database.read() as connection:
            found = list_members(connection, person.administers, collection)
        names = {u.user_id: u.name for u in services.identity.everybody()}
        return [{"user_id": i, "name": names.get(i, i), "role": role, "you": i == person.user_id} for i, role in found]

    return {"collection": collection, "members": await services.offload(read)}


@router.put("/{collection}/members/{name}")
async def put_member(
    collection: str, name: str, body: Member, request: Request, services: ServicesHere, person: PersonHere
) -> dict[str, Any]:
    """Lets a person in, by name, or gives them another role. As `owner`, who was the owner becomes an editor."""

    def change() -> dict[str, Any]:
        with services.database.write() as connection:
            # First whether this may be done at all, so that nobody else learns who there is.
            list_members(connection, person.administers, collection)
            user = services.identity.named(connection, name)
            set_member(connection, person.administers, collection, user.user_id, body.role)
        return {"user_id": user.user_id, "name": user.name, "role": body.role}

    made = await services.offload(change)
    request.state.target = f"{collection} {made['user_id']} {body.role}"
    return made


@router.delete("/{collection}/members/{name}", status_code=204)
async def delete_member(
    collection: str, name: str, request: Request, services: ServicesHere, person: PersonHere
) -> Response:
    """Shuts a person out, at once; or leaves, if it is oneself."""

    def change() -> str:
        with services.database.write() as connection:
            list_members(connection, person.administers, collection)
            user = services.identity.named(connection, name)
            remove_member(connection, person.administers, collection, user.user_id)
        return user.user_id

    request.state.target = f"{collection} {await services.offload(change)}"
    return Response(status_code=204)
