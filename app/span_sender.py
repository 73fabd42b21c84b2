"""Sends spans to a collector (OTLP/HTTP with JSON) from a thread of its own.

Nobody waits for it, and nothing fails because of it: what does not fit into the queue, or is not taken, is dropped and counted.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from app.spans import Json, envelope
from core.addresses import without_sign_in

logger = logging.getLogger(__name__)

MAX_QUEUED = 8192  # spans, at some 600 bytes each
BATCH = 512  # spans in one request
EVERY_S = 2.0
TIMEOUT_S = 5.0
MAX_PAUSE_S = 60.0
CLOSING_S = 3.0


class SpanSender:
    """The thread begins with the first span.

    Args:
        endpoint: of the collector; ``/v1/traces`` is added unless it is there. A user and password in it are sent, and told nowhere.
        headers: sent along.
        max_queued: how many spans wait at most.
        every_s: how often what waits is sent, in seconds; a full batch goes at once.
    """

    def __init__(
        self, endpoint: str, headers: Mapping[str, str], *, max_queued: int = MAX_QUEUED, every_s: float = EVERY_S
    ) -> None:
        base, self._sign_in = without_sign_in(endpoint.rstrip("/"), "otlp_endpoint")  # the log repeats what is asked
        self._url = base if base.endswith("/v1/traces") else f"{base}/v1/traces"
        self._headers = dict(headers)
        self._max_queued = max_queued
        self._every_s = every_s
        self._queue: deque[Json] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self.sent = 0  # since the start, as the next
        self.dropped = 0

    def offer(self, spans: Sequence[Json]) -> None:
        """Puts them in the queue, as many as fit. Never waits for the network."""
        with self._changed:
            room = 0 if self._closing else max(0, self._max_queued - len(self._queue))
            self._queue.extend(spans[:room])
            self.dropped += len(spans) - min(room, len(spans))
            if self._thread is None and self._queue:
                self._thread = threading.Thread(target=self._work, name="spans", daemon=True)
                self._thread.start()
            if len(self._queue) >= BATCH:
                self._changed.notify()

    def close(self) -> None:
        """Sends what waits, for a few seconds at most; the rest is dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(CLOSING_S)

    def _work(self) -> None:
        pause_s = self._every_s
        with httpx.Client(
            headers=self._headers, auth=self._sign_in, timeout=TIMEOUT_S, follow_redirects=False, trust_env=False
        ) as http:
            while True:
                with self._changed:
                    held_off = pause_s > self._every_s  # a full queue must not make a collector that is down busier
                    self._changed.wait_for(
                        lambda: self._closing or (not held_off and len(self._queue) >= BATCH),  # noqa: B023
                        pause_s,
                    )
                    batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
                    closing = self._closing
                if batch:
                    taken = self._send(http, batch)
                    pause_s = self._every_s if taken else min(MAX_PAUSE_S, 2 * pause_s)
                    if closing and not taken:
                        self._drop_all()
                if closing and not self._queue:
                    return

    def _send(self, http: httpx.Client, batch: Sequence[Json]) -> bool:
        """Whether the collector has taken it."""
        try:
            reply = http.post(self._url, json=envelope(batch))
            reply.raise_for_status()
            refused = min(len(batch), _refused(reply))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError) as e:
            self._count(0, len(batch))
            status = f" {e.response.status_code}" if isinstance(e, httpx.HTTPStatusError) else ""
            logger.warning(
                "%d spans dropped: the collector did not take them (%s%s)", len(batch), type(e).__name__, status
            )
            return False
        self._count(len(batch) - refused, refused)
        return True

    def _count(self, sent: int, dropped: int) -> None:
        with self._changed:
            self.sent += sent
            self.dropped += dropped

    def _drop_all(self) -> None:
        with self._changed:
            self.dropped += len(self._queue)
            self._queue.clear()


def _refused(reply: httpx.Response) -> int:
    """How many spans a collector says that it has not taken of a request that it took (``partialSuccess``)."""
    try:
        said: Any = reply.json()
        return max(0, int(said["partialSuccess"]["rejectedSpans"]))
    except (ValueError, TypeError, KeyError):
        return 0  # it says nothing of the kind
