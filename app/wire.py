"""What the client does on the wire: errors as ours, problems as errors, streams as events. It knows no route."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx

from app.sse import ServerEvent, read_events
from core.errors import InvalidRequest, NotReady, OpenbookError


class ApiError(OpenbookError):
    """``code`` is the last part of the problem's type; ``status`` the HTTP status."""

    def __init__(self, message: str, *, code: str, status: int, retry_after_s: int | None = None) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.retry_after_s = retry_after_s


class ServerUnreachable(NotReady):
    code = "server-unreachable"


class EventStream:
    """The events of one stream: iterate it once, close it from any thread.

    Closing tells the server that nobody listens, which stops the run. It also wakes a thread that waits for
    the next event; that thread's iteration then just ends.
    """

    def __init__(self, http: httpx.Client, request: httpx.Request, base_url: str) -> None:
        self._base_url = base_url
        self._closed = False
        self._ended = False
        self._ending = threading.Lock()
        self.last_id = ""
        with translated(base_url):
            self._response = http.send(request, stream=True)
        try:
            raise_for_problem(self._response)
        except BaseException:
            self._response.close()
            raise

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        try:
            with translated(self._base_url):
                for event in read_events(self._response.iter_raw()):
                    self.last_id = event.last_id
                    yield event.name, _data(event)
        except (ServerUnreachable, httpx.StreamError):
            if not self._closed:
                raise
        finally:
            self._end()

    def close(self) -> None:
        self._closed = True
        with self._ending:
            if self._ended:  # the connection may carry another request by now
                return
            network = self._response.extensions.get("network_stream")
            sock = network.get_extra_info("socket") if network is not None else None
            if sock is not None:
                # close() alone would not wake a reader that is blocked in recv. One that has gone is no matter.
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _end(self) -> None:
        with self._ending:
            self._ended = True
            self._response.close()

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._end()


@contextlib.contextmanager
def translated(base_url: str) -> Iterator[None]:
    try:
        yield
    except UnicodeEncodeError as e:
        raise InvalidRequest(
            "a text holds bytes that are no UTF-8, or half a character: give it in UTF-8", code="half-character"
        ) from e
    except httpx.ConnectError as e:
        raise ServerUnreachable(f"no server at {base_url}: start it with `openbook serve`") from e
    except httpx.TimeoutException as e:
        raise ServerUnreachable(f"the server at {base_url} does not answer in time: is it overloaded?") from e
    except (httpx.TransportError, httpx.InvalidURL) as e:
        raise ServerUnreachable(f"the connection to {base_url} broke off ({type(e).__name__}): try again") from e


def raise_for_problem(response: httpx.Response) -> None:
    if response.status_code < 400:
        return
    response.read()
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    detail = problem.get("detail") or problem.get("title")
    retry_after = response.headers.get("Retry-After", "")
    raise ApiError(
        str(detail) if detail else f"the server answered {response.status_code} {response.reason_phrase}",
        code=str(problem.get("type") or "error").rstrip("/").rpartition("/")[2],
        status=response.status_code,
        retry_after_s=int(retry_after) if retry_after.isdecimal() else None,
    )


def json_object(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ApiError(
            f"{response.request.url} answered something that is not ours: is another program on that port?",
            code="not-openbook",
            status=response.status_code,
        )
    return found


def _data(event: ServerEvent) -> dict[str, Any]:
    found = json.loads(event.data)
    return found if isinstance(found, dict) else {"value": found}
