"""The gate by itself, before an application that would do anything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api.gate import Gate, csrf_of
from app.audit import AuditLog
from app.credentials import Credentials
from app.identity import Identity
from app.turns import Turns
from app.wiring import MIGRATIONS
from core.database import migrate, open_database
from core.settings import Settings

PASSWORD = "four words nobody guesses"


async def anything(scope: Scope, receive: Receive, send: Send) -> None:
    """Says yes, and whom it was asked by."""
    person = scope["state"]["person"]
    body = (person.user_id if person else "nobody").encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    database = open_database(tmp_path_factory.mktemp("gate"))
    migrate(database, MIGRATIONS)
    credentials = Credentials(database, session_days=1)
    identity = Identity(database, credentials)

    async def offload(function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.to_thread(function, *args)

    token = identity.first_token()
    assert token is not None
    root = identity.accept(token, "root", PASSWORD, "::1").token
    _, invite, _ = identity.add("ada")
    yield SimpleNamespace(
        settings=Settings(identity="password", requests_per_minute=30), credentials=credentials, identity=identity,
        audit=AuditLog(database), offload=offload, worker_token="w" * 43, page_token="p" * 43,
        searches=Turns("searches", at_once=1, waiting=0), checks=Turns("checks", at_once=1, waiting=0),
        root=root, ada=identity.accept(invite, "ada", PASSWORD, "::1").token,
    )  # fmt: skip
    database.close()


def asked(services: Any, talk: Callable[[httpx.AsyncClient], Awaitable[None]], app: Any = anything) -> None:
    async def run() -> None:
        transport = httpx.ASGITransport(app=Gate(app, services), client=("10.0.0.7", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            await talk(http)

    asyncio.run(run())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_route_that_nobody_has_classified_is_an_administrators_alone(services: Any) -> None:
    async def talk(http: httpx.AsyncClient) -> None:
        assert (await http.get("/v1/brand-new")).status_code == 401
        assert (await http.get("/v1/brand-new", headers=bearer(services.ada))).status_code == 404
        assert (await http.get("/v1/brand-new", headers=bearer(services.root))).status_code == 200

    asked(services, talk)


def test_a_cookie_writes_with_its_token_only_and_a_header_goes_before_it(services: Any) -> None:
    async def talk(http: httpx.AsyncClient) -> None:
        cookie = {"Cookie": f"openbook_session={services.ada}"}
        assert (await http.get("/v1/collections", headers=cookie)).status_code == 200
        for wrong in ({}, {"X-Openbook-CSRF": csrf_of(services.root)}, {"X-Openbook-CSRF": services.ada}):
            assert (await http.post("/v1/collections", headers={**cookie, **wrong})).json()["code"] == "no-csrf-token"
        right = {**cookie, "X-Openbook-CSRF": csrf_of(services.ada)}
        assert (await http.post("/v1/collections", headers=right)).status_code == 200
        # A bearer token that is no good is not made up for by a cookie.
        assert (await http.get("/v1/collections", headers={**cookie, **bearer("x" * 43)})).status_code == 401

    asked(services, talk)


@pytest.mark.parametrize("beside", ['prefs={"a":[1,2],"b":"x y"}', "a=b=c", "flag", "näme=ü", 'q="open'])
def test_cookies_of_other_pages_of_the_host_do_not_sign_anybody_out(services: Any, beside: str) -> None:
    async def talk(http: httpx.AsyncClient) -> None:
        for cookies in (f"{beside}; openbook_session={services.ada}", f"openbook_session={services.ada}; {beside}"):
            assert (await http.get("/v1/collections", headers={"Cookie": cookies.encode()})).status_code == 200

    asked(services, talk)


def test_the_thirty_first_request_in_a_minute_waits_and_health_does_not(services: Any) -> None:
    async def talk(http: httpx.AsyncClient) -> None:
        statuses = [(await http.get("/v1/me", headers=bearer(services.ada))).status_code for _ in range(31)]
        assert statuses == [200] * 30 + [429]
        busy = await http.get("/v1/me", headers=bearer(services.ada))
        assert 1 <= int(busy.headers["retry-after"]) <= 2  # one comes back every 60 / 30 = 2 seconds
        assert (await http.get("/v1/me", headers=bearer(services.root))).status_code == 200
        assert (await http.get("/health")).status_code == 200

    asked(services, talk)


def test_where_a_request_comes_from_is_believed_of_the_page_alone(services: Any) -> None:
    async def tells(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["state"]["address"].encode(), "more_body": False})

    async def talk(http: httpx.AsyncClient) -> None:
        said = {"X-Openbook-For": "203.0.113.9"}
        for headers in ({}, said, {**said, "X-Openbook-Page": "wrong"}, {**said, "X-Forwarded-For": "203.0.113.9"}):
            assert (await http.get("/health", headers=headers)).text == "10.0.0.7"
        of_the_page = {**said, "X-Openbook-Page": services.page_token}
        assert (await http.get("/health", headers=of_the_page)).text == "203.0.113.9"

    asked(services, talk, tells)


def test_what_was_done_and_what_was_refused_stands_in_the_log_before_it_is_said(services: Any) -> None:
    async def talk(http: httpx.AsyncClient) -> None:
        await http.delete("/v1/documents/d123", headers=bearer(services.root))
        newest = services.audit.entries(limit=1)[0]
        assert (newest["name"], newest["action"], newest["target"]) == ("root", "document.delete", "d123")
        assert (newest["outcome"], newest["by"], newest["address"]) == ("done", "session", "10.0.0.7")
        person = services.credentials.person(services.root)
        key, kept = services.credentials.make_key(person, "k", ["read"], 1)
        await http.delete("/v1/documents/d456", headers=bearer(key))
        newest = services.audit.entries(limit=1)[0]
        assert (newest["outcome"], newest["by"], newest["target"]) == ("refused", f"key {kept['key_id']}", "d456")

    asked(services, talk)


def test_a_stream_ends_when_its_reader_is_shut_out(services: Any) -> None:
    user, invite, _ = services.identity.add("listener")
    token = services.identity.accept(invite, "listener", PASSWORD, "::1").token
    sent: list[Message] = []

    async def streams(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await asyncio.to_thread(lambda: services.identity.change(user.user_id, active=False))
        with pytest.raises(OSError, match="no longer"):
            await send({"type": "http.response.body", "body": b"two", "more_body": True})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {token}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/v1/jobs/j1/events", "headers": headers, "client": ("::1", 1)}
    asyncio.run(Gate(streams, services)(scope, receive, send))
    assert [m.get("body") for m in sent] == [None, b"one"]


def test_a_body_that_says_that_it_is_too_long_is_not_read(services: Any, tmp_path: Path) -> None:
    async def talk(http: httpx.AsyncClient) -> None:
        long = {"Content-Length": str(33 * 2**20)}
        assert (await http.post("/v1/search", headers=long)).status_code == 413
        assert (
            await http.post("/v1/collections/c/documents", headers={**long, **bearer(services.root)})
        ).status_code == 200

    asked(services, talk)


def test_a_search_too_many_is_refused_before_anything_is_read_and_all_else_goes_on(services: Any) -> None:
    async def talk(http: httpx.AsyncClient) -> None:
        async with services.searches.turn("somebody"):
            busy = await http.post("/v1/search")
            assert busy.status_code == 429 and int(busy.headers["retry-after"]) >= 1
            assert busy.json()["code"] == "busy" and "1 searches are under way" in busy.json()["detail"]
            assert (await http.get("/health")).status_code == 200
        assert (await http.post("/v1/search")).status_code == 401  # there is room again: who asks, then?

    asked(services, talk)
