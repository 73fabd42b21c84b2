"""For administrators: who there is, whose keys there are, and what was done."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from app.api.account import Name, WithIdentities, user_json
from app.api.guard import ServicesHere, worker_only
from app.audit import MAX_PAGE
from core.errors import InvalidRequest
from retrieval.members import every_collection

router = APIRouter(prefix="/v1", tags=["administration"], dependencies=[WithIdentities])
machine = APIRouter(prefix="/internal", include_in_schema=False, dependencies=[Depends(worker_only), WithIdentities])


class NewUser(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    is_admin: bool = False


class ChangedUser(BaseModel):
    model_config = ConfigDict(extra="forbid")

    active: bool | None = Field(None, description="false: sessions and keys end at once, and nobody signs in as them")
    is_admin: bool | None = None


@router.get("/users")
async def list_users(services: ServicesHere) -> dict[str, Any]:
    return {"users": [user_json(u) for u in await services.offload(services.identity.everybody)]}


@router.post("/users", status_code=201)
async def add_user(body: NewUser, request: Request, services: ServicesHere) -> dict[str, Any]:
    """A new person. `invite` is shown this once: with it they set their password, at the page's /account/join."""

    def add() -> dict[str, Any]:
        user, token, ends = services.identity.add(body.name, is_admin=body.is_admin)
        return {"user": user_json(user), "invite": token, "expires_at": ends}

    made = await services.offload(add)
    request.state.target = made["user"]["user_id"]
    return made


@router.patch("/users/{user_id}")
async def change_user(user_id: str, body: ChangedUser, request: Request, services: ServicesHere) -> dict[str, Any]:
    """Lets somebody in or out, or makes an administrator of them. Their sessions end, and their answers under way."""
    if body.active is None and body.is_admin is None:
        raise InvalidRequest("nothing is to be changed: say 'active' or 'is_admin'")
    user = await services.offload(lambda: services.identity.change(user_id, active=body.active, is_admin=body.is_admin))
    if not user.active:
        services.runs.cancel_all(user.user_id)
    said = {"active": body.active, "is_admin": body.is_admin}
    changes = " ".join(f"{key}={str(value).lower()}" for key, value in said.items() if value is not None)
    request.state.target = f"{user_id} {changes}"
    return user_json(user)


@router.post("/users/{user_id}/invite", status_code=201)
async def invite(user_id: str, services: ServicesHere) -> dict[str, Any]:
    """Another one-time token, with which the person sets a (new) password; earlier ones end."""
    token, ends = await services.offload(services.identity.invite, user_id)
    return {"invite": token, "expires_at": ends}


@router.get("/users/keys")
async def all_keys(services: ServicesHere) -> dict[str, Any]:
    """Everybody's API keys, without the keys themselves."""
    return {"keys": await services.offload(services.credentials.keys)}


@router.get("/users/collections")
async def all_collections(services: ServicesHere) -> dict[str, Any]:
    """Every collection by name with its owner; what is in them, an administrator sees as little as anybody."""

    def read() -> list[dict[str, Any]]:
        names = {u.user_id: u.name for u in services.identity.everybody()}
        with services.database.read() as connection:
            found = every_collection(connection)
        return [{"name": name, "owner": names.get(owner, owner), "owner_id": owner} for name, owner in found]

    return {"collections": await services.offload(read)}


@router.get("/audit")
async def audit(
    services: ServicesHere,
    user_id: str | None = None,
    action: Annotated[str | None, Query(description='its beginning: "key" for all that was done to keys')] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    cursor: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> dict[str, Any]:
    """Who did what, when, to what; the newest first. No texts, questions or secrets."""
    found = await services.offload(
        lambda: services.audit.entries(user_id=user_id, action=action, limit=limit + 1, before=cursor)
    )
    more = len(found) > limit
    return {"entries": found[:limit], "next_cursor": found[limit - 1]["entry_id"] if more else None}


@machine.post("/first-token")
async def first_token(services: ServicesHere) -> dict[str, Any]:
    """A new token for the first administrator, for whoever can read the data directory; null where there is one."""
    return {"token": await services.offload(services.identity.first_token)}
