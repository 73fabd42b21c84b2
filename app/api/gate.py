"""The gate before every route: who asks, whether their credential allows it, how often they come, and what the audit log says.

It looks at a request before anything of its body is read. What a person may do with one collection is not decided here but
where the data is (``retrieval.access``).
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access import UNCLASSIFIED, Access, Lookup, takes_files
from app.api.problem import problem
from app.people import SCOPES, Person, local_person
from app.throttle import Rate
from core.types import LOCAL_USER_ID

if TYPE_CHECKING:
    from app.services import Services

COOKIE = "openbook_session"
CSRF_HEADER = "x-openbook-csrf"
PAGE_HEADER, FOR_HEADER = "x-openbook-page", "x-openbook-for"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def csrf_of(token: str) -> str:
    """What a page must send along when a cookie says who asks; it follows from the cookie, which no script can read."""
    return hashlib.sha256(f"csrf {token}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class _Asked:
    token: str = ""
    by_cookie: bool = False
    person: Person | None = None


class Gate:
    """ASGI middleware: 401 for nobody, 403 for what a credential does not allow, 429 for too much."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._lookup = Lookup()
        self._rate = Rate(services.settings.requests_per_minute)
        self._turns = {"/v1/search": services.searches, "/v1/check": services.checks}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        most = self._services.settings.max_body_bytes
        if _length(headers) > most and not takes_files(scope["path"]):
            text = f"the body has more than {most:,} bytes: send less, or set max_body_bytes"
            await problem(413, "too-large", text)(scope, receive, send)
            return
        turns = self._turns.get(scope["path"])
        if turns is not None and (busy := turns.full()) is not None:
            # Before it costs anything: in a flood, refusing is most of what there is to do.
            await problem(429, busy.code, busy.message, {"Retry-After": str(busy.retry_after_s)})(scope, receive, send)
            return
        access, named = self._lookup.find(scope["method"], scope["path"])
        if access.needs == "machine" and not self._is_machine(headers):
            # Before a byte of the body is read: these routes have no bounds.
            await problem(404, "not-found", "no such page")(scope, receive, send)
            return
        if self._services.settings.identity == "none":
            state["person"] = local_person()
            await self._app(scope, receive, send)
            return
        state["address"] = address = self._address(scope, headers)
        asked = _Asked() if access.needs == "machine" else await self._who(headers)
        person = asked.person
        state["person"], state["token"] = person, asked.token
        refusal = self._refusal(access, scope["method"], asked, headers)
        if person is not None and person.by != "machine":  # what is refused costs as well
            wait = self._rate.take(person.user_id)
            if wait:
                text = f"more than {self._services.settings.requests_per_minute} requests in a minute: wait a moment"
                refusal = (429, "busy", text)
                wait_s = str(math.ceil(wait))
        if refusal is not None:
            status, code, detail = refusal
            if access.audit and status == 403:
                await self._note(access, person, _target(named), "refused", address)
            extra = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": wait_s if status == 429 else ""}}
            await problem(status, code, detail, extra.get(status))(scope, receive, send)
            return
        if person is not None and scope["path"] == "/mcp":
            # The session of one person is nobody else's: the SDK compares who began it.
            token = AccessToken(token="", client_id=person.user_id, scopes=[], subject=person.user_id)
            scope["user"] = AuthenticatedUser(token)
        await self._app(scope, receive, self._watched(scope, send, access, named, asked))

    # ------------------------------------------------------------ who asks

    async def _who(self, headers: Mapping[str, str]) -> _Asked:
        """A bearer token if there is one, whatever the cookie says; else the cookie."""
        given = headers.get("authorization", "")
        if given:
            kind, _, token = given.partition(" ")
            token = token.strip() if kind.lower() == "bearer" else ""
            return _Asked(token, False, await self._person(token))
        token = _cookie(headers.get("cookie", ""))
        return _Asked(token, True, await self._person(token)) if token else _Asked()

    async def _person(self, token: str) -> Person | None:
        services = self._services
        if not token:
            return None
        if hmac.compare_digest(token.encode("utf-8", "replace"), services.worker_token.encode()):
            return Person(
                user_id=LOCAL_USER_ID, name="this machine", is_admin=True, scopes=frozenset(SCOPES), by="machine"
            )
        found = services.credentials.known(token)
        return found or await services.offload(services.credentials.person, token)

    def _is_machine(self, headers: Mapping[str, str]) -> bool:
        given = headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), self._services.worker_token.encode())

    def _address(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """Where it comes from; the page says for whom it asks, and shows that it is ours."""
        page = headers.get(PAGE_HEADER, "")
        if (
            page
            and self._services.page_token
            and hmac.compare_digest(page.encode(), self._services.page_token.encode())
        ):
            return headers.get(FOR_HEADER, "")[:60] or "page"
        return str((scope.get("client") or ("?",))[0])

    # ------------------------------------------------------------ what is allowed

    def _refusal(
        self, access: Access, method: str, asked: _Asked, headers: Mapping[str, str]
    ) -> tuple[int, str, str] | None:
        person, needs = asked.person, access.needs
        if needs in ("nobody", "machine"):
            return None
        if person is None:
            text = "sign in first: send an API key or a session's token as `Authorization: Bearer …`"
            if asked.token:
                text = "this key or session is not (or no longer) good: sign in again, or take another key"
            return 401, "not-signed-in", text
        if (
            asked.by_cookie
            and method not in SAFE_METHODS
            and not hmac.compare_digest(headers.get(CSRF_HEADER, "").encode(), csrf_of(asked.token).encode())
        ):
            return 403, "no-csrf-token", f"a cookie alone may not write: send {CSRF_HEADER} with `csrf` of /v1/me"
        if needs == "account":
            if person.by == "key":
                return 403, "forbidden", "an API key may not change an account: sign in with the password"
            return None
        if access is UNCLASSIFIED and not person.is_admin:
            return 404, "not-found", "no such page"
        if needs == "admin" and not person.is_admin:
            return 403, "forbidden", "only an administrator may do that"
        if needs == "admin" and access.audit and person.by == "key":
            # Else a key that was made to look could invite itself into anybody's account.
            return 403, "forbidden", "an API key may look and not change people: sign in with the password"
        if needs not in person.scopes:
            has = ", ".join(s for s in SCOPES if s in person.scopes)
            return 403, "scope", f"this key has the scope {has} and needs {needs}: make another key"
        return None

    # ------------------------------------------------------------ what is answered

    def _watched(self, scope: Scope, send: Send, access: Access, named: Mapping[str, str], asked: _Asked) -> Send:
        """Notes what was done before it is said to have been done, and breaks off a stream of somebody who is let out."""
        streams = False

        async def watched(message: Message) -> None:
            nonlocal streams
            if message["type"] == "http.response.start":
                types = [v for k, v in message["headers"] if k.lower() == b"content-type"]
                streams = any(v.startswith(b"text/event-stream") for v in types)
                status = message["status"]
                if access.audit and (status < 400 or status in (401, 403)):
                    state = scope["state"]
                    outcome = "done" if status < 400 else "refused"
                    person = state.get("became") or asked.person
                    target = state.get("target") or _target(named)
                    await self._note(access, person, target, outcome, state["address"])
            elif streams and asked.person is not None and await self._person(asked.token) is None:
                raise OSError("whoever listens is no longer let in")
            await send(message)

        return watched

    async def _note(self, access: Access, person: Person | None, target: str, outcome: str, address: str) -> None:
        services = self._services
        by = "" if person is None else f"key {person.credential}" if person.by == "key" else person.by

        def add() -> None:
            user_id = person.user_id if person is not None else None
            services.audit.add(access.audit, user_id=user_id, target=target, outcome=outcome, by=by, address=address)

        await services.offload(add)


def _length(headers: Mapping[str, str]) -> int:
    """What a body says of itself; one that says nothing is counted while it arrives."""
    said = headers.get("content-length", "")
    return int(said[:20]) if said.isdecimal() else 0


def _target(named: Mapping[str, str]) -> str:
    return " ".join(str(value) for value in named.values())


def _cookie(header: str) -> str:
    """Ours, whatever other pages of this host have set beside it."""
    return cookie_parser(header).get(COOKIE, "")
