"""How those who work on a job tell the server how far it is, and learn whether to stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from http import HTTPStatus

import httpx

from app.handover import Task
from ingest.job import JobState

# Progress is told at most this often, so a small file is told of only when it is done: each telling is a commit.
PROGRESS_EVERY_S = 0.5
SERVER_RETRY_S = 1.0
FULL_DISK_RETRY_S = 15.0

logger = logging.getLogger("openbook.worker")


class Telling:
    """Tells the server how far a job is, and learns from its answers whether to stop."""

    def __init__(self, http: httpx.Client, address: str) -> None:
        self.cancel = False
        self._http = http
        self._address = address
        self._told_at = time.monotonic()  # it was claimed just now, and is "parsing" since
        self._progress = 0.0

    def report(self, state: JobState, progress: float) -> None:
        now, self._progress = time.monotonic(), progress
        if now - self._told_at < PROGRESS_EVERY_S:
            return
        self._told_at = now
        body = {"state": state, "progress": round(progress, 4)}
        reply = self._http.post(f"{self._address}/progress", json=body, timeout=60)
        if _disk_is_full(reply):
            return  # how far it is need not be known; what comes of it will wait for space
        reply.raise_for_status()
        self.cancel = bool(reply.json()["cancel"])

    def is_stopped(self) -> bool:
        """Whether to stop, for work that says nothing of its progress; asked often, it is the sign of life as well."""
        self.report("parsing", self._progress)
        return self.cancel


def deliver(request: Callable[[], httpx.Response]) -> httpx.Response:
    """Hands over what was made. While the server's disk is full it is sent again and again: the work is not lost."""
    pause = SERVER_RETRY_S
    while _disk_is_full(reply := request()):
        logger.warning("the server cannot store a result now, as its disk is full; trying again in %.0f s", pause)
        time.sleep(pause)
        pause = min(FULL_DISK_RETRY_S, 2 * pause)
    return reply


def fail(http: httpx.Client, task: Task, message: str, *, cancelled: bool = False) -> None:
    """Says that a job has ended without a document."""
    body = {"message": message, "cancelled": cancelled}
    deliver(lambda: http.post(f"{task.address}/failure", json=body, timeout=60)).raise_for_status()


def _disk_is_full(reply: httpx.Response) -> bool:
    return reply.status_code == HTTPStatus.INSUFFICIENT_STORAGE and reply.json()["code"] == "disk-full"
