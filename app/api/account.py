"""Signing in and out, and what is one's own: password, sessions, API keys."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from starlette.responses import JSONResponse, Response

from app.api.gate import COOKIE, csrf_of
from app.api.guard import PersonHere, ServicesHere, services
from app.identity import SignedIn
from app.passwords import MAX_CHARACTERS
from app.people import Person, Scope, User
from core.errors import Conflict, NotSignedIn

router = APIRouter(prefix="/v1", tags=["account"])

MAX_DAYS = 3650
Password = Annotated[SecretStr, Field(max_length=4 * MAX_CHARACTERS)]
Name = Annotated[str, Field(min_length=1, max_length=200, examples=["Ada"])]
Token = Annotated[SecretStr, Field(min_length=1, max_length=200)]


async def with_identities(request: Request) -> None:
    """Raises Conflict where nobody signs in."""
    if services(request).settings.identity == "none":
        raise Conflict(
            "this installation has one person and no sign-in: start it with OPENBOOK_IDENTITY=password",
            code="no-identities",
        )


WithIdentities = Depends(with_identities)


class SignIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    password: Password
    cookie: bool = Field(
        False, description="for a browser: the token comes as a cookie that scripts cannot read, and not in the answer"
    )


class Accept(SignIn):
    """A one-time token made good: of the first administrator, or of an invitation."""

    token: Token


class NewPassword(BaseModel):
    model_config = ConfigDict(extra="forbid")

    old: Password
    new: Password


class NewKey(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100, examples=["nightly import"])
    scopes: list[Scope] = Field(["read", "ask"], min_length=1, max_length=4)
    days: int | None = Field(90, ge=1, le=MAX_DAYS, description="until it ends; null: never")


@router.get("/identity")
async def identity(services: ServicesHere) -> dict[str, Any]:
    """Whether people sign in here, and whether there is a first administrator yet."""
    how = services.settings.identity
    first = how == "password" and await services.offload(services.identity.needs_first)
    return {"identity": how, "needs_first": first}


@router.post("/sessions", status_code=201, dependencies=[WithIdentities])
async def sign_in(body: SignIn, request: Request, services: ServicesHere) -> Response:
    """Signs in. The token is good as `Authorization: Bearer …` until it ends."""
    try:
        found = await services.offload(
            services.identity.sign_in, body.name, body.password.get_secret_value(), request.state.address
        )
    except NotSignedIn:
        # Whom somebody tried to be, if there is such a person; what was typed in place of a name may be a password.
        request.state.target = await services.offload(services.identity.id_of, body.name)
        raise
    return _welcome(request, found, body.cookie)


@router.post("/invites/accept", status_code=201, dependencies=[WithIdentities])
async def accept(body: Accept, request: Request, services: ServicesHere) -> Response:
    """Takes a name and a password with a one-time token, and signs in."""
    found = await services.offload(
        services.identity.accept,
        body.token.get_secret_value(),
        body.name,
        body.password.get_secret_value(),
        request.state.address,
    )
    return _welcome(request, found, body.cookie)


@router.get("/me")
async def me(request: Request, person: PersonHere, services: ServicesHere) -> dict[str, Any]:
    """Who asks, with what their credential allows; for a session, what a cookie needs beside it to write."""
    return {
        "identity": services.settings.identity,
        "user_id": person.user_id,
        "name": person.name,
        "is_admin": person.is_admin,
        "scopes": sorted(person.scopes),
        "by": person.by,
        "expires_at": person.expires_at,
        "since": person.since,
        "csrf": csrf_of(request.state.token) if person.by == "session" else None,
    }


@router.delete("/sessions/current", status_code=204, dependencies=[WithIdentities])
async def sign_out(person: PersonHere, services: ServicesHere) -> Response:
    """Ends this session; keys and other sessions go on."""
    await services.offload(services.credentials.end, person)
    reply = Response(status_code=204)
    reply.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return reply


@router.post("/sessions/rotate", dependencies=[WithIdentities])
async def rotate(request: Request, person: PersonHere, services: ServicesHere) -> Response:
    """The same session under another token, ending when it would have; the old one holds for a minute more."""
    token, ends = await services.offload(services.credentials.rotate, person)
    return JSONResponse({"token": token, "expires_at": ends})


@router.post("/me/password", dependencies=[WithIdentities])
async def change_password(body: NewPassword, request: Request, person: PersonHere, services: ServicesHere) -> Response:
    """Another password. All other sessions end; this one goes on under the token of the answer. Keys stay."""
    found = await services.offload(
        services.identity.change_password, person, body.old.get_secret_value(), body.new.get_secret_value()
    )
    return _welcome(request, found, False, 200)


@router.get("/keys", dependencies=[WithIdentities])
async def list_keys(person: PersonHere, services: ServicesHere) -> dict[str, Any]:
    """One's own API keys, without the keys themselves."""
    return {"keys": await services.offload(services.credentials.keys, person.user_id)}


@router.post("/keys", status_code=201, dependencies=[WithIdentities])
async def make_key(body: NewKey, request: Request, person: PersonHere, services: ServicesHere) -> dict[str, Any]:
    """A key for a program: `key` is shown this once. It can do what its scopes say, of what its owner can."""
    key, kept = await services.offload(services.credentials.make_key, person, body.name, body.scopes, body.days)
    request.state.target = f"{kept['key_id']} {' '.join(kept['scopes'])}"
    return {"key": key, **kept}


@router.delete("/keys/{key_id}", status_code=204, dependencies=[WithIdentities])
async def delete_key(key_id: str, person: PersonHere, services: ServicesHere) -> Response:
    """The key is good for nothing from the next request on. An administrator may delete anybody's."""
    await services.offload(services.credentials.delete_key, person, key_id)
    return Response(status_code=204)


def user_json(user: User) -> dict[str, Any]:
    return {
        "user_id": user.user_id,
        "name": user.name,
        "is_admin": user.is_admin,
        "active": user.active,
        "invited": user.invited,
        "created_at": user.created_at,
    }


def _welcome(request: Request, found: SignedIn, cookie: bool, status: int = 201) -> Response:
    user = found.user
    request.state.became = Person(user_id=user.user_id, name=user.name, is_admin=user.is_admin, by="session")
    body: dict[str, Any] = {"user": user_json(user), "expires_at": found.expires_at, "csrf": csrf_of(found.token)}
    reply = JSONResponse(body if cookie else {"token": found.token, **body}, status_code=status)
    if cookie:
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        reply.set_cookie(COOKIE, found.token, path="/", httponly=True, samesite="lax", secure=secure)
    return reply
