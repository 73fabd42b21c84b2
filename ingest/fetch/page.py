"""One page of the web: asked for safely, followed through its redirects, bounded in size and time.

Every hop is resolved once, checked, and connected to by the address that was checked. What comes is written to a file and
not looked at; what it is, the parsing child tells.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import PurePosixPath
from ssl import SSLContext
from typing import IO
from urllib.parse import unquote, urljoin

from core.errors import FetchFailed, InvalidRequest, TooLarge
from ingest.fetch.address import NOTHING, Allowed, Target, parse_url
from ingest.fetch.connect import (
    Resolve,
    checked_addresses,
    connect,
    enwrap,
    shake_hands,
    system_resolve,
    watched,
)
from ingest.parse.kinds import EXTENSIONS

MAX_REDIRECTS = 5
_BLOCK_BYTES = 64 * 2**10
_MAX_RATIO = 100  # unpacked : received, once more than 1 MiB is unpacked
_RATIO_FROM = 2**20
_REDIRECTS = (301, 302, 303, 307, 308)
_CHARSET = re.compile(r"\bcharset\s*=\s*[\"']?([\w.:+-]{1,40})", re.IGNORECASE)
_HTML = ("text/html", "application/xhtml+xml")
_SUFFIXES = {
    "text/plain": ".txt", "text/markdown": ".md", "text/csv": ".csv", "text/tab-separated-values": ".tsv",
    "application/json": ".json", "application/ld+json": ".json", "application/xml": ".xml", "text/xml": ".xml",
    "text/x-rst": ".rst", "message/rfc822": ".eml",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What came. ``url`` is where it came from after redirects; ``name`` a file name that promises what the server says."""

    url: str
    name: str
    content_type: str
    size: int
    charset: str = ""  # what the server calls the encoding, if it says
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """How pages are had.

    Args:
        max_bytes: of one page, unpacked.
        timeout_s: of one page, from the first name to the last byte.
        resolve, tls: for tests; by default the system's.
    """

    max_bytes: int
    timeout_s: float
    allowed: Allowed = NOTHING
    resolve: Resolve = system_resolve
    tls: SSLContext | None = None
    agent: str = "openbook"

    def fetch(
        self,
        url: str,
        into: IO[bytes],
        cancelled: Callable[[], bool],
        *,
        allows: Callable[[Target], None] | None = None,
    ) -> Page:
        """Writes the page at ``url`` to ``into``.

        Args:
            allows: asked before every hop; raises if it is not wanted.

        Raises:
            InvalidRequest: not a URL, or a redirect to something that is not.
            FetchFailed: it could not be had, or may not be.
            TooLarge: more than ``max_bytes``.
            RunCancelled: ``cancelled()`` became true.
        """
        target, deadline = parse_url(url), time.monotonic() + self.timeout_s
        for _ in range(MAX_REDIRECTS + 1):
            if allows is not None:
                allows(target)
            following = None
            with self._asked(target, deadline, cancelled) as response:
                if response.status not in _REDIRECTS:
                    return self._read(target, response, into)
                following = _following(target, response.getheader("Location", ""))
            target = following
        raise FetchFailed(f"{url} was redirected more than {MAX_REDIRECTS} times", code="redirects")

    @contextlib.contextmanager
    def _asked(
        self, target: Target, deadline: float, cancelled: Callable[[], bool]
    ) -> Iterator[http.client.HTTPResponse]:
        left = deadline - time.monotonic()
        if left <= 0:
            raise FetchFailed(f"{target.url} took more than {self.timeout_s:.0f} s", code="timeout")
        addresses = checked_addresses(target, self.resolve, left, self.allowed)
        sock = connect(addresses, target, max(deadline - time.monotonic(), 0.1))
        try:
            sock = enwrap(sock, target, self.tls)
            with watched(sock, deadline, cancelled), _explained(target):
                shake_hands(sock, target)
                connection = http.client.HTTPConnection(target.host, target.port)
                connection.sock = sock  # it connects to nothing by itself
                headers = {
                    "Host": target.authority,
                    "User-Agent": self.agent,
                    "Accept": "*/*",
                    "Accept-Encoding": "gzip",
                    "Connection": "close",
                }
                connection.request("GET", target.path, headers=headers)
                with contextlib.closing(connection.getresponse()) as response:  # it holds the socket, too
                    yield response
        finally:
            sock.close()

    def _read(self, target: Target, response: http.client.HTTPResponse, into: IO[bytes]) -> Page:
        if response.status != HTTPStatus.OK:
            raise FetchFailed(
                f"{target.url} answers {_status(response.status)}",
                code="try-again" if response.status in (429, 500, 502, 503, 504) else "http-status",
            )
        size = 0
        for block in _unpacked(target, response):
            size += len(block)
            if size > self.max_bytes:
                raise TooLarge(f"{target.url} is larger than {self.max_bytes:,} bytes", code="page-too-large")
            into.write(block)
        into.flush()
        if size == 0:
            raise FetchFailed(f"{target.url} is empty", code="empty-page")
        kind, _, parameters = response.getheader("Content-Type", "")[:1000].partition(";")
        content_type = kind.strip().lower()[:100]
        charset = _CHARSET.search(parameters)
        return Page(
            url=target.url,
            name=file_name(target, content_type),
            content_type=content_type,
            size=size,
            charset=charset.group(1).lower() if charset else "",
            etag=response.getheader("ETag", "")[:200],
            last_modified=response.getheader("Last-Modified", "")[:100],
        )


def file_name(target: Target, content_type: str) -> str:
    """What a page would be called as a file: the end of its path, and an ending that says what the server says it is."""
    last = unquote(target.path.partition("?")[0]).rstrip("/").rpartition("/")[2]
    name = re.sub(r"[\x00-\x1f\x7f/\\]", "", last)[-150:] or target.host
    suffix = PurePosixPath(name).suffix.lower()
    if content_type in _HTML:
        # /index.php is no PHP source, and a page that asks to sign in before report.pdf is no PDF.
        return name if EXTENSIONS.get(suffix) == "html" else f"{name}.html"
    return name if suffix in EXTENSIONS else name + _SUFFIXES.get(content_type, "")


def _following(target: Target, location: str) -> Target:
    if not location:
        raise FetchFailed(f"{target.url} redirects to nowhere", code="redirects")
    with contextlib.suppress(UnicodeError):  # what is no UTF-8 stays as it came
        location = location.encode("latin-1").decode("utf-8")
    try:
        following = parse_url(urljoin(target.url, location.strip()))
    except (InvalidRequest, ValueError) as e:
        why = e.message if isinstance(e, InvalidRequest) else str(e)
        raise FetchFailed(f"{target.url} redirects to something that is not fetched: {why}", code="redirects") from e
    if target.scheme == "https" and following.scheme == "http":
        raise FetchFailed(f"{target.url} redirects from https to http, which is not followed", code="redirects")
    return following


def _unpacked(target: Target, response: http.client.HTTPResponse) -> Iterator[bytes]:
    encoding = response.getheader("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        yield from _received(target, response)
    elif encoding in ("gzip", "x-gzip"):
        yield from _gunzipped(target, _received(target, response))
    else:
        raise FetchFailed(
            f"{target.url} is packed by a method that was not asked for ({encoding[:30]!r})", code="encoding"
        )


def _received(target: Target, response: http.client.HTTPResponse) -> Iterator[bytes]:
    while block := response.read(_BLOCK_BYTES):
        yield block
    if response.length:  # what Content-Length promised and did not come
        raise FetchFailed(f"{target.url} broke off before its end", code="try-again")


def _gunzipped(target: Target, blocks: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    received = unpacked = 0
    try:
        for block in blocks:
            received += len(block)
            while block and not unpacker.eof:
                piece = unpacker.decompress(block, _BLOCK_BYTES)
                block = unpacker.unconsumed_tail
                unpacked += len(piece)
                if unpacked > _RATIO_FROM and unpacked > _MAX_RATIO * received:
                    raise FetchFailed(f"{target.url} is packed more than {_MAX_RATIO}:1, as bombs are", code="bomb")
                yield piece
    except zlib.error as e:
        raise FetchFailed(f"{target.url} is damaged ({e})", code="try-again") from e
    if not unpacker.eof:
        raise FetchFailed(f"{target.url} broke off before its end", code="try-again")


@contextlib.contextmanager
def _explained(target: Target) -> Iterator[None]:
    try:
        yield
    except TimeoutError as e:
        raise FetchFailed(f"{target.url} fell silent", code="timeout") from e
    except http.client.IncompleteRead as e:
        raise FetchFailed(f"{target.url} broke off before its end", code="try-again") from e
    except (http.client.HTTPException, ValueError) as e:
        raise FetchFailed(f"{target.url} does not speak HTTP as it should ({type(e).__name__})", code="bad-http") from e
    except OSError as e:
        raise FetchFailed(f"the connection to {target.host} broke off ({e})", code="try-again") from e


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
