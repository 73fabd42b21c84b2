"""The line to a server: one HTTP client, its time-outs, and how an answer becomes a value or an error. Knows no route."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeAlias
from urllib.parse import quote, urlsplit

import httpx

from app.wire import EventStream, json_object, raise_for_problem, translated

CONNECT_TIMEOUT_S = 5.0
# Shorter than the server's own (5 s), so that no request meets a connection that is just being closed.
KEEP_ALIVE_S = 2.0
# A stream is silent while a model reads a long prompt; the server bounds the run itself.
STREAM_SILENCE_S = 300.0

FileSource: TypeAlias = Path | tuple[str, IO[bytes]]  # a path, or a name and an open binary file


def sendable(name: str) -> str:
    """A file's name as text that can be sent and printed: its bytes that are not UTF-8 are written as ``%E9``."""
    return "".join(
        f"%{ord(c) - 0xDC00:02X}" if "\udc80" <= c <= "\udcff" else "\ufffd" if "\ud800" <= c <= "\udfff" else c
        for c in name
    )


class Line:
    """What all groups of calls speak through. May be shared by threads."""

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        timeout_s: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Connects to nothing yet.

        Args:
            base_url: for example ``http://127.0.0.1:8000``.
            token: sent as ``Authorization: Bearer``, if given.
            timeout_s: how long an answer, or a piece of an upload, may take; streams have a limit of their own.
            transport: for tests that run the application in process.
        """
        self.base_url = base_url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            transport=transport,
            limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE_S),
            trust_env=not _is_loopback(self.base_url),  # a proxy of the environment cannot reach our loopback
        )

    def asynchronous(self, timeout: httpx.Timeout) -> httpx.AsyncClient:
        """A client of the same server, as the same person, for those who await."""
        trust_env = not _is_loopback(self.base_url)
        return httpx.AsyncClient(
            base_url=self.base_url, headers=self._http.headers, timeout=timeout, trust_env=trust_env
        )

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    # ---------------------------------------------------------------- the wire

    @contextlib.contextmanager
    def _pieces(self, method: str, path: str) -> Iterator[Iterator[bytes]]:
        # Copying a large database comes before the first byte.
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        headers = {"Accept-Encoding": "identity"}
        with (
            translated(self.base_url),
            self._http.stream(method, path, timeout=timeout, headers=headers) as response,
        ):
            raise_for_problem(response)
            yield response.iter_raw()

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        with translated(self.base_url):
            response = self._http.request(method, path, **options)
        raise_for_problem(response)
        return response

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        return json_object(self._send(method, path, **options))

    def _upload(self, path: str, files: Sequence[FileSource], **options: Any) -> dict[str, Any]:
        """Sends files in the form's field ``files``, each as it is read."""
        with contextlib.ExitStack() as stack:
            parts: list[tuple[str, tuple[str, IO[bytes]]]] = []
            for source in files:
                if isinstance(source, Path):
                    parts.append(("files", (sendable(source.name), stack.enter_context(source.open("rb")))))
                else:
                    parts.append(("files", (sendable(source[0]), source[1])))
            return self._json("POST", path, files=parts, **options)

    def _stream(self, method: str, path: str, **options: Any) -> EventStream:
        timeout = httpx.Timeout(STREAM_SILENCE_S, connect=CONNECT_TIMEOUT_S)
        with translated(self.base_url):
            request = self._http.build_request(method, path, timeout=timeout, **options)
        request.headers["Accept"] = "text/event-stream"
        request.headers["Accept-Encoding"] = "identity"
        return EventStream(self._http, request, self.base_url)


def given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def seg(text: str) -> str:
    return quote(text, safe="")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
