"""Who may speak to the server: Host and Origin are checked, and the worker shows its token.

Without identities the server trusts whoever reaches the loopback port as the local user; what it must not trust
is a web page elsewhere that makes the person's browser speak to it (DNS rebinding, cross-site requests).
"""

from __future__ import annotations

import hmac
import json
import re
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.access import takes_files
from app.api.problem import problem
from app.people import Person
from app.services import Services
from core.errors import InvalidRequest, NotFound, NotSignedIn
from core.settings import Settings
from core.types import Principal

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class HostAndOrigin:
    """ASGI middleware: 421 for a foreign Host, 403 for a writing request from a foreign Origin."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._names = LOOPBACK_NAMES | set(settings.allowed_hosts) | {settings.host.strip("[]")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
            host = _name(headers.get("host", ""))
            if host not in self._names:
                reply = problem(
                    421,
                    "foreign-host",
                    f"this server is not {host!r}: use its own address, or name it in allowed_hosts",
                )
                await reply(scope, receive, send)
                return
            origin = headers.get("origin")
            if origin and scope["method"] not in SAFE_METHODS and _name(origin.partition("//")[2]) not in self._names:
                reply = problem(403, "foreign-origin", f"a page of {origin} may not write here")
                await reply(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


def person(request: Request) -> Person:
    """Who asks, as the gate has found out. Raises NotSignedIn where it has not been asked, so that nothing opens by mistake."""
    found = getattr(request.state, "person", None)
    if not isinstance(found, Person):
        raise NotSignedIn("sign in first")
    return found


# Asynchronous, though they wait for nothing: the framework hands others to threads, and each of those hops waits behind the
# searches that are at work.
async def _services(request: Request) -> Services:
    return services(request)


async def _person(request: Request) -> Person:
    return person(request)


async def _principal(request: Request) -> Principal:
    """Who asks, for whatever has a `where`."""
    return person(request).principal


async def worker_only(request: Request) -> None:
    """The worker's routes do not exist for anyone else."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), services(request).worker_token.encode()):
        raise NotFound("no such page")


async def whole_characters(request: Request) -> None:
    """Refuses half a character in JSON: a lone surrogate can be neither stored nor sent back.

    Raises:
        InvalidRequest: with code "half-character".
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return
    path = request.url.path
    if takes_files(path) and not path.startswith("/internal/"):
        return  # an upload is never held whole, whatever it calls itself
    body = await request.body()
    if not _SURROGATE.search(body):
        return
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError as e:
        raise InvalidRequest(
            "the body holds half a character (a surrogate without its other half): send whole ones",
            code="half-character",
        ) from e
    except (ValueError, RecursionError):
        return  # no JSON at all: whoever reads it says so


ServicesHere = Annotated[Services, Depends(_services)]
PersonHere = Annotated[Person, Depends(_person)]
PrincipalHere = Annotated[Principal, Depends(_principal)]
