"""What one person may have open at ``/mcp``: sessions, and requests at a time. The SDK bounds both over everybody alone.

Knows the protocol's headers; knows nothing of tools.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.server.streamable_http_manager import DEFAULT_SESSION_IDLE_TIMEOUT
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problem import problem

SESSIONS_OF_ONE = 50
REQUESTS_OF_ONE = 16  # each may hold a body of ``max_body_bytes``; streams that only listen do not count
_RETRY_AFTER = {"Retry-After": "5"}


@dataclass(slots=True)
class _Session:
    user_id: str
    last: float
    open: int = 0  # requests of it, streams included


class McpBounds:
    """ASGI application around the SDK's: 429 for one who has too much open, while others go on.

    Args:
        idle_s: after how long without a request the SDK lets a session go.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        sessions: int = SESSIONS_OF_ONE,
        requests: int = REQUESTS_OF_ONE,
        idle_s: float = DEFAULT_SESSION_IDLE_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._most_sessions, self._most_requests = sessions, requests
        self._idle_s, self._clock = idle_s, clock
        self._sessions: dict[str, _Session] = {}
        self._opening: Counter[str] = Counter()
        self._posting: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        user_id = scope["state"]["person"].user_id
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        session_id = headers.get(MCP_SESSION_ID_HEADER)
        version = headers.get(MCP_PROTOCOL_VERSION_HEADER)
        # A client of a newer protocol has no session.
        opens = session_id is None and (version is None or version in HANDSHAKE_PROTOCOL_VERSIONS)
        posts = scope["method"] == "POST"
        if opens and self.open_of(user_id) >= self._most_sessions:
            text = (
                f"you have {self._most_sessions} MCP sessions open: end one, or wait (one that is idle ends by itself)"
            )
            await problem(429, "too-many-sessions", text, _RETRY_AFTER)(scope, receive, send)
            return
        if posts and self._posting[user_id] >= self._most_requests:
            text = f"{self._most_requests} requests of yours are under way at /mcp: wait for one of them"
            await problem(429, "busy", text, _RETRY_AFTER)(scope, receive, send)
            return
        self._opening[user_id] += opens
        self._posting[user_id] += posts
        session = self._sessions.get(session_id) if session_id is not None else None
        if session is not None:
            session.open += 1

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._told(message, user_id, session_id, opens, ends=scope["method"] == "DELETE")
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            _less(self._opening, user_id, opens)
            _less(self._posting, user_id, posts)
            if session is not None:
                session.open -= 1
                session.last = self._clock()

    def open_of(self, user_id: str) -> int:
        """Sessions that this person has, and is opening."""
        now = self._clock()
        gone = [k for k, s in self._sessions.items() if not s.open and now - s.last > self._idle_s]
        for key in gone:
            del self._sessions[key]
        return self._opening[user_id] + sum(s.user_id == user_id for s in self._sessions.values())

    def _told(self, message: Message, user_id: str, session_id: str | None, opens: bool, *, ends: bool) -> None:
        """Learns from an answer which sessions there are."""
        status = message["status"]
        if opens and status < 400:
            named = [v.decode("latin-1") for k, v in message["headers"] if k.lower() == MCP_SESSION_ID_HEADER.encode()]
            for made in named:
                self._sessions[made] = _Session(user_id, self._clock())
        elif session_id is not None:
            found = self._sessions.get(session_id)
            # 404 is what others are told as well, of a session that is not theirs.
            if found is not None and found.user_id == user_id and (status == 404 or (ends and status < 400)):
                del self._sessions[session_id]


def _less(counter: Counter[str], name: str, by: int) -> None:
    counter[name] -= by
    if counter[name] <= 0:
        del counter[name]
