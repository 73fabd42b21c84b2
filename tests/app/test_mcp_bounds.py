"""What one person may have open at /mcp, before an application that plays the SDK's part."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from starlette.types import Receive, Scope, Send

from app.api.mcp_bounds import McpBounds
from app.people import Person


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Sessions:
    """Opens a session for a POST without one, refuses an opening "x-fail", and waits for ``free`` where "x-slow" is sent."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.free = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        given = headers.get("mcp-session-id")
        if "x-slow" in headers:
            await self.free.wait()
        status = 400 if "x-fail" in headers else 404 if given is not None and given not in self.made else 200
        told: list[tuple[bytes, bytes]] = []
        if given is None and status == 200 and "mcp-protocol-version" not in headers:
            self.made.append(f"s{len(self.made)}")
            told = [(b"mcp-session-id", self.made[-1].encode())]
        if scope["method"] == "DELETE" and status == 200 and given is not None:
            self.made.remove(given)
        await send({"type": "http.response.start", "status": status, "headers": told})
        await send({"type": "http.response.body", "body": b""})


def bounded(talk: Callable[[Callable[..., Awaitable[httpx.Response]], Sessions, Clock], Awaitable[None]]) -> None:
    async def run() -> None:
        inner, clock = Sessions(), Clock()
        bounds = McpBounds(inner, sessions=2, requests=2, idle_s=60, clock=clock)

        async def ask(who: str, method: str = "POST", session: str | None = None, **more: str) -> httpx.Response:
            async def as_person(scope: Scope, receive: Receive, send: Send) -> None:
                state: dict[str, Any] = {"person": Person(user_id=who, name=who, by="session")}
                await bounds({**scope, "state": state}, receive, send)

            headers = {key.replace("_", "-"): value for key, value in more.items()}
            if session is not None:
                headers["mcp-session-id"] = session
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=as_person), base_url="http://x") as http:
                return await http.request(method, "/mcp", headers=headers)

        await talk(ask, inner, clock)

    asyncio.run(run())


def test_the_third_session_of_one_person_is_refused_and_others_open_theirs() -> None:
    async def talk(ask: Callable[..., Awaitable[httpx.Response]], inner: Sessions, clock: Clock) -> None:
        first = (await ask("ada")).headers["mcp-session-id"]
        assert (await ask("ada", x_fail="1")).status_code == 400  # opens none
        assert (await ask("ada")).status_code == 200
        refused = await ask("ada")
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
        assert refused.json()["code"] == "too-many-sessions"
        assert (await ask("bob")).status_code == 200
        assert (await ask("ada", session=first)).status_code == 200  # what is open goes on
        assert (await ask("ada", mcp_protocol_version="2026-07-28")).status_code == 200  # opens none
        assert (await ask("ada", "DELETE", session=first)).status_code == 200
        assert (await ask("ada")).status_code == 200

    bounded(talk)


def test_a_session_that_is_idle_or_gone_counts_no_more() -> None:
    async def talk(ask: Callable[..., Awaitable[httpx.Response]], inner: Sessions, clock: Clock) -> None:
        gone = (await ask("ada")).headers["mcp-session-id"]
        kept = (await ask("ada")).headers["mcp-session-id"]
        inner.made.remove(gone)
        assert (await ask("bob", session=gone)).status_code == 404
        assert (await ask("ada")).status_code == 429  # what another was told says nothing of it
        assert (await ask("ada", session=gone)).status_code == 404
        assert (await ask("ada")).status_code == 200
        clock.now = 50
        assert (await ask("ada", session=kept)).status_code == 200
        clock.now = 70  # the last one has been idle for 70 s, the kept one for 20
        assert [(await ask("ada")).status_code for _ in range(2)] == [200, 429]

    bounded(talk)


def test_a_person_has_a_bounded_number_of_requests_under_way() -> None:
    async def talk(ask: Callable[..., Awaitable[httpx.Response]], inner: Sessions, clock: Clock) -> None:
        session = (await ask("ada")).headers["mcp-session-id"]
        slow = [asyncio.ensure_future(ask("ada", session=session, x_slow="1")) for _ in range(2)]
        listening = asyncio.ensure_future(ask("ada", "GET", session=session, x_slow="1"))
        await asyncio.sleep(0.05)
        assert (await ask("ada", session=session)).json()["code"] == "busy"
        assert (await ask("bob")).status_code == 200
        clock.now = 1000
        assert (await ask("ada", session=session)).status_code == 429  # nor is a session idle that is being listened to
        inner.free.set()
        assert [(await task).status_code for task in (*slow, listening)] == [200] * 3
        assert (await ask("ada", session=session)).status_code == 200

    bounded(talk)
