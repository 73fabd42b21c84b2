"""What stands before the page: signing in and out, and the cookie that says who looks at it.

Streamlit's scripts can read a cookie and set none, so these few pages are plain HTML, served by the same server on the same
port. The cookie holds the session's token; scripts cannot read it, and the page hands it on to the API as a bearer token, so
that nothing is trusted for being on the same host. See decision 0154.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.starlette import App

from app.ui.state import COOKIE, DEFAULT_API_URL

ROTATE_AFTER = timedelta(days=1)
MAX_FORM = 8192
ASSETS = Path(__file__).parent / "assets"
# A path of this very site: one slash, then nothing that a browser could take for another host.
_NEXT = re.compile(r"/(?![/\\])[\w\-./]*(\?[\w\-.~%=&+]*)?")

HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
}
COMMON: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
}


def next_of(wanted: str) -> str:
    """Where to go afterwards: a page of this site, or its first one."""
    return wanted if len(wanted) <= 500 and _NEXT.fullmatch(wanted) and ".." not in wanted else "/"


# ---------------------------------------------------------------- the API


class _Refused(Exception):
    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message, self.status = message, status


async def _api(
    request: Request | None, method: str, path: str, body: Mapping[str, Any] | None = None, token: str = ""
) -> dict[str, Any]:
    """Raises _Refused with the API's own sentence; status 503 where it does not answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if request is not None and (page := os.environ.get("OPENBOOK_PAGE_TOKEN")):
        headers |= {"X-Openbook-Page": page, "X-Openbook-For": request.client.host if request.client else ""}
    base = os.environ.get("OPENBOOK_API_URL") or DEFAULT_API_URL
    try:
        async with httpx.AsyncClient(base_url=base, timeout=30.0, trust_env=False) as client:
            reply = await client.request(method, path, json=body, headers=headers)
    except httpx.HTTPError as e:
        raise _Refused("the server does not answer: try again in a moment", 503) from e
    if reply.is_success:
        return dict(reply.json()) if reply.content else {}
    try:
        said = str(reply.json()["detail"])
    except (ValueError, KeyError, TypeError):
        said = f"the server answered {reply.status_code}"
    wait = reply.headers.get("Retry-After")
    raise _Refused(f"{said} (in {wait} s)" if wait else said, reply.status_code)


# ---------------------------------------------------------------- pages


def _page(title: str, form: str, *, said: str = "", status: int = 200) -> Response:
    alert = f'<p class="alert" role="alert">{html.escape(said)}</p>' if said else ""
    body = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)} · Openbook</title><link rel="stylesheet" href="/account/style.css"></head>
<body><main><picture><source srcset="/account/logo-dark.svg" media="(prefers-color-scheme: dark)">
<img src="/account/logo-light.svg" alt="Openbook"></picture><h1>{html.escape(title)}</h1>{alert}{form}</main></body></html>"""
    return HTMLResponse(body, status_code=status, headers=dict(HEADERS))


def _field(name: str, label: str, kind: str, complete: str, value: str = "", hint: str = "") -> str:
    focus = " autofocus" if name == "name" else ""
    told = f'<small id="{name}-hint">{html.escape(hint)}</small>' if hint else ""
    by = f' aria-describedby="{name}-hint"' if hint else ""
    return (
        f'<label for="{name}">{html.escape(label)}</label><input id="{name}" name="{name}" type="{kind}" required '
        f'autocomplete="{complete}" value="{html.escape(value, quote=True)}"{by}{focus}>{told}'
    )


_LONG = "Ten characters or more. A few words do well."


async def sign_in(request: Request) -> Response:
    """The form, and what it sends."""
    form = await _form(request) if request.method == "POST" else {}
    wanted = next_of(form.get("next") or request.query_params.get("next", "/"))
    name, said, status = form.get("name", ""), "", 200
    if request.method == "POST":
        try:
            _check_origin(request)
            found = await _api(request, "POST", "/v1/sessions", {"name": name, "password": form.get("password", "")})
            return _with_cookie(request, RedirectResponse(wanted, 303), found["token"])
        except _Refused as e:
            said, status = e.message, e.status
    elif await _needs_first():
        return RedirectResponse("/account/join", 303, headers=dict(HEADERS))
    fields = _field("name", "Name", "text", "username", name) + _field(
        "password", "Password", "password", "current-password"
    )
    hidden = f'<input type="hidden" name="next" value="{html.escape(wanted, quote=True)}">'
    return _page(
        "Sign in", f'<form method="post">{fields}{hidden}<button>Sign in</button></form>', said=said, status=status
    )


async def join(request: Request) -> Response:
    """Taking a name and a password with a one-time token: the first administrator, and whoever is invited."""
    form = await _form(request) if request.method == "POST" else {}
    said, status = "", 200
    if request.method == "POST":
        try:
            _check_origin(request)
            if form.get("password") != form.get("again"):
                raise _Refused("the two passwords are not the same", 422)
            body = {key: form.get(key, "") for key in ("token", "name", "password")}
            found = await _api(request, "POST", "/v1/invites/accept", body)
            return _with_cookie(request, RedirectResponse("/", 303), found["token"])
        except _Refused as e:
            said, status = e.message, e.status
    first = await _needs_first()
    where = "It stands in the server's log; `openbook users first-token` makes another." if first else ""
    fields = (
        _field("token", "One-time token", "text", "off", form.get("token", ""), where.replace("`", ""))
        + _field("name", "Your name", "text", "username", form.get("name", ""))
        + _field("password", "A password", "password", "new-password", hint=_LONG)
        + _field("again", "The password again", "password", "new-password")
    )
    title = "The first administrator" if first else "Welcome"
    button = "Set up" if first else "Join"
    script = '<script src="/account/join.js"></script>'
    return _page(
        title, f'<form method="post">{fields}<button>{button}</button></form>{script}', said=said, status=status
    )


async def password(request: Request) -> Response:
    """Another password, which is another session, which is another cookie."""
    form = await _form(request) if request.method == "POST" else {}
    said, status = "", 200
    if request.method == "POST":
        try:
            _check_origin(request)
            if form.get("new") != form.get("again"):
                raise _Refused("the two passwords are not the same", 422)
            body = {"old": form.get("old", ""), "new": form.get("new", "")}
            found = await _api(request, "POST", "/v1/me/password", body, request.cookies.get(COOKIE, ""))
            return _with_cookie(request, RedirectResponse("/account", 303), found["token"])
        except _Refused as e:
            said, status = e.message, e.status
    fields = (
        _field("old", "The password until now", "password", "current-password")
        + _field("new", "A new password", "password", "new-password", hint=f"{_LONG} All other sessions end.")
        + _field("again", "The new password again", "password", "new-password")
    )
    buttons = '<button>Change it</button> <a href="/account">Back</a>'
    return _page("Another password", f'<form method="post">{fields}{buttons}</form>', said=said, status=status)


async def sign_out(request: Request) -> Response:
    """Asks first, since a link of somebody else's could lead here; then ends the session."""
    if request.method == "POST":
        try:
            _check_origin(request)
            await _api(request, "DELETE", "/v1/sessions/current", token=request.cookies.get(COOKIE, ""))
        except _Refused as e:
            if e.status not in (401, 404):
                return _page("Sign out", "", said=e.message, status=e.status)
        reply = RedirectResponse("/account/sign-in", 303, headers=dict(HEADERS))
        reply.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
        return reply
    form = '<form method="post"><button>Sign out</button> <a href="/">Back</a></form>'
    return _page("Sign out", form)


def _asset(name: str, media_type: str) -> Route:
    async def serve(_request: Request) -> Response:
        return Response((ASSETS / name).read_bytes(), media_type=media_type, headers={"Cache-Control": "max-age=3600"})

    return Route(f"/account/{name.removeprefix('account-')}", serve)


# ---------------------------------------------------------------- small parts


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; what is longer than a sign-in can be is none."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM:
            return {}
    try:
        found = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return {}
    return {key: values[0] for key, values in found.items()}


def _check_origin(request: Request) -> None:
    """A form of another site is not taken; browsers say where a form stands. Raises _Refused."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    same = origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    if (origin is not None and not same) or site in ("cross-site", "same-site"):
        raise _Refused("this form came from another site: open Openbook itself", 403)


def _with_cookie(request: Request, reply: Response, token: str) -> Response:
    reply.headers.update(HEADERS)
    reply.set_cookie(
        COOKIE, token, path="/", httponly=True, samesite="lax", secure=_is_secure(request.headers, request.url.scheme)
    )
    return reply


def _is_secure(headers: Mapping[str, str], scheme: str) -> bool:
    return scheme == "https" or headers.get("x-forwarded-proto") == "https"


async def _needs_first() -> bool:
    try:
        return bool((await _api(None, "GET", "/v1/identity"))["needs_first"])
    except _Refused:
        return False


def _host(scope: Scope) -> str:
    """The name in the Host header, without its port; empty where it is none."""
    given = next((v.decode("latin-1") for k, v in scope["headers"] if k.lower() == b"host"), "")
    try:
        return urlsplit(f"//{given}").hostname or ""
    except ValueError:
        return ""


class FirstSignIn:
    """ASGI middleware: whoever opens a page without being signed in is led to where they can be; and a session that has had
    its token for a day gets another."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._asks: bool | None = None  # whether people sign in; a server that changes its mind starts the page anew
        # Where nobody signs in: the names that the page goes by. A web page elsewhere whose name was rebound to this machine
        # would otherwise speak to it as the local user.
        self._names = frozenset(filter(None, os.environ.get("OPENBOOK_PAGE_HOSTS", "").split(",")))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and self._names and _host(scope) not in self._names:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                text = "This page has another name: open it by its own address, or name this one in allowed_hosts."
                await Response(text, 421)(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        fresh = ""
        path = request.url.path
        plain = path.startswith(("/account/", "/_stcore", "/static", "/media", "/component"))
        if request.method == "GET" and not plain and "text/html" in request.headers.get("accept", ""):
            try:
                fresh = await self._looked_at(request)
            except _Refused as e:
                if e.status == HTTPStatus.UNAUTHORIZED:
                    query = f"?{request.url.query}" if request.url.query else ""
                    target = f"/account/sign-in?next={quote(next_of(path + query), safe='')}"
                    await RedirectResponse(target, 303, headers=dict(HEADERS))(scope, receive, send)
                    return
                # The page itself says that the server does not answer, and goes on by itself.

        if path.startswith("/_stcore/upload_file") and request.method not in ("GET", "HEAD", "OPTIONS"):
            try:  # what is sent fills this process's memory, before any script has asked who sends it
                await self._looked_at(request, rotate=False)
            except _Refused as e:
                await Response(e.message, status_code=e.status, headers={"Connection": "close"})(scope, receive, send)
                return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {k.lower() for k, _ in message["headers"]}
                added = [(k.lower().encode(), v.encode()) for k, v in COMMON.items() if k.lower().encode() not in names]
                if fresh:
                    cookie = Response()
                    secure = _is_secure(request.headers, request.url.scheme)
                    cookie.set_cookie(COOKIE, fresh, path="/", httponly=True, samesite="lax", secure=secure)
                    added.append((b"set-cookie", cookie.headers["set-cookie"].encode()))
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, with_headers)

    async def _looked_at(self, request: Request, *, rotate: bool = True) -> str:
        """A new token, if it is time for one. Raises _Refused with 401 where nobody is signed in."""
        if self._asks is None:
            self._asks = (await _api(request, "GET", "/v1/identity"))["identity"] == "password"
        if not self._asks:
            return ""
        token = request.cookies.get(COOKIE, "")
        me = await _api(request, "GET", "/v1/me", token=token)
        since = datetime.fromisoformat(me["since"]) if me.get("since") else datetime.now(UTC)
        if not rotate or datetime.now(UTC) - since < ROTATE_AFTER:
            return ""
        return str((await _api(request, "POST", "/v1/sessions/rotate", token=token))["token"])


app = App(
    Path(__file__).parent / "main.py",
    routes=[
        Route("/account/sign-in", sign_in, methods=["GET", "POST"]),
        Route("/account/join", join, methods=["GET", "POST"]),
        Route("/account/password", password, methods=["GET", "POST"]),
        Route("/account/sign-out", sign_out, methods=["GET", "POST"]),
        _asset("account-style.css", "text/css"),
        _asset("account-join.js", "text/javascript"),
        _asset("logo-light.svg", "image/svg+xml"),
        _asset("logo-dark.svg", "image/svg+xml"),
    ],
    middleware=[Middleware(FirstSignIn)],
)
