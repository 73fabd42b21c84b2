"""The typed client of the API: what the page and the command line speak. It knows routes, not what they do.

ApiError                the server refused, and said why (problem+json)
ServerUnreachable       nobody answers at that address, or the line broke
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import httpx

from app import replies
from app.client_chats import ChatCalls
from app.client_evals import EvalCalls
from app.client_files import FileCalls
from app.client_people import PeopleCalls
from app.client_questions import QuestionCalls
from app.line import CONNECT_TIMEOUT_S, FileSource, sendable
from app.wire import ApiError, EventStream, ServerUnreachable, json_object, raise_for_problem, translated

__all__ = ["ApiError", "Client", "EventStream", "FileSource", "ServerUnreachable", "sendable"]


class Client(FileCalls, QuestionCalls, ChatCalls, EvalCalls, PeopleCalls):
    """All calls. Connects when the first one is made; may be shared by threads."""

    # ---------------------------------------------------------------- the server itself

    def health(self) -> dict[str, Any]:
        return self._json("GET", "/health")

    def ready(self) -> replies.Readiness:
        """What is still loading; a server that is not ready answers this too."""
        with translated(self.base_url):
            response = self._http.get("/ready")
        if response.status_code not in (200, 503) or "ready" not in response.text:
            raise_for_problem(response)
        return cast(replies.Readiness, json_object(response))

    def system(self) -> dict[str, Any]:
        return self._json("GET", "/v1/system")

    def machine(self) -> replies.Machine:
        """What the doctor finds, the queues and the disk; for administrators, where people sign in."""
        return cast(replies.Machine, self._json("GET", "/v1/system/machine"))

    def verify(self) -> dict[str, Any]:
        """What is wrong with what the server stores; needs the token that lies in the data directory."""
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        return self._json("POST", "/internal/upkeep/verify", timeout=timeout)

    def backup(self) -> contextlib.AbstractContextManager[Iterator[bytes]]:
        """A backup of everything as pieces of a tar; needs the token that lies in the data directory."""
        return self._pieces("POST", "/internal/upkeep/backup")
