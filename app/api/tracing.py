"""Gives each request an id, and a span where spans are made (``app.telemetry``)."""

from __future__ import annotations

import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.request_context import REQUEST_ID, SPAN, request_id_from
from app.services import Services

HEADER = "x-request-id"
# What looks every few seconds whether all is well, and our own worker: spans of these would be most of all.
_QUIET = ("/health", "/ready", "/metrics", "/internal/")


class Tracing:
    """ASGI middleware, the outermost of ours: the span ends when the last byte is sent."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, telemetry = Headers(scope=scope), self._services.telemetry
        request_id = request_id_from(headers.get(HEADER, ""))
        quiet = scope["path"].startswith(_QUIET)
        here = None if quiet else telemetry.begin(headers.get("traceparent", ""))
        # A call from within (a tool of ours) has the one around it back afterwards.
        before = REQUEST_ID.set(request_id), SPAN.set(here)
        began_ns, status = time.time_ns(), 0

        async def with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).setdefault(HEADER, request_id)
            await send(message)

        try:
            await self._app(scope, receive, with_id)
            REQUEST_ID.reset(before[0])  # not where it broke: what is logged about that, further out, belongs to it
            SPAN.reset(before[1])
        finally:
            if here is not None:
                route = str(getattr(scope.get("route"), "path", ""))
                telemetry.request_ended(here, scope["method"], route, status, request_id, began_ns)
