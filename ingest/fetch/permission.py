"""What the robots.txt of a site says, asked once in a while and remembered. For pages that nobody named one by one."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable

from core.errors import FetchFailed, RunCancelled, TooLarge
from ingest.fetch.address import Target
from ingest.fetch.page import Fetching
from ingest.fetch.robots import MAX_BYTES, Robots, parse_robots

KEPT_S = 600.0
_MAX_SITES = 1000


class Permission:
    """Shared by threads; two that ask for one site at once may both fetch its robots.txt."""

    def __init__(self, fetching: Fetching, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetching = fetching
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Robots | FetchFailed]] = {}

    def check(self, target: Target, cancelled: Callable[[], bool]) -> None:
        """Raises FetchFailed if robots.txt forbids the page, or cannot be had although there may be one (RFC 9309)."""
        if target.path == "/robots.txt":
            return
        found = self._robots(target, cancelled)
        if isinstance(found, FetchFailed):
            raise FetchFailed(
                f"{target.url} is not fetched, since it cannot be told whether it may be: {found.message}",
                code=found.code,
            )
        rule = found.forbids(target.path)
        if rule is not None:
            raise FetchFailed(f"{target.url} is not to be fetched by programs ({rule} in robots.txt)", code="robots")

    def _robots(self, target: Target, cancelled: Callable[[], bool]) -> Robots | FetchFailed:
        with self._lock:
            until, found = self._known.get(target.origin, (0.0, Robots()))
            if self._clock() < until:
                return found
        found = self._fetch(target, cancelled)
        with self._lock:
            if len(self._known) >= _MAX_SITES:
                self._known.clear()
            self._known[target.origin] = (self._clock() + KEPT_S, found)
        return found

    def _fetch(self, target: Target, cancelled: Callable[[], bool]) -> Robots | FetchFailed:
        body = _Beginning()
        try:
            self._fetching.fetch(f"{target.origin}/robots.txt", body, cancelled)
        except RunCancelled:
            raise
        except TooLarge:
            pass  # its beginning counts
        except FetchFailed as e:
            return Robots() if e.code in ("http-status", "empty-page") else e
        return parse_robots(body.getvalue().decode("utf-8", "replace"))


class _Beginning(io.BytesIO):
    """Keeps what RFC 9309 asks to be read, and lets the rest go."""

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        super().write(piece[: max(0, MAX_BYTES - self.tell())])
        return len(piece)
