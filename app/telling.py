"""What passes between those who do the work and the server: tasks, how far they are, whether to stop, what came of them.

A server that is away is asked again, and one whose disk is full is given its time: work is not lost by either. What the work
is, nothing here knows.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Literal, NoReturn

import httpx

from app.handover import Task
from app.wire import ApiError, raise_for_problem
from core.errors import RunCancelled
from ingest.job import JobState

# Progress is told at most this often, so a small file is told of only when it is done: each telling is a commit.
PROGRESS_EVERY_S = 0.5
SERVER_RETRY_S = 1.0
FULL_DISK_RETRY_S = 15.0

logger = logging.getLogger("openbook.worker")


def work_off(http: httpx.Client, kind: Literal["files", "urls"], work: Callable[[Task], None]) -> NoReturn:
    """Does one task after the other until the process ends."""
    while True:
        try:
            reply = http.post("/internal/claim", params={"kind": kind}, timeout=60)
            reply.raise_for_status()
            if reply.status_code == HTTPStatus.OK:
                work(Task(**reply.json()))
        except httpx.HTTPError as e:
            wait_for_server(e)


def wait_for_server(e: httpx.HTTPError) -> None:
    logger.warning("the server does not answer (%s); trying again", e)
    time.sleep(SERVER_RETRY_S)


class Telling:
    """Of one task. ``cancel`` is what the server last answered: whether to stop."""

    def __init__(self, http: httpx.Client, address: str) -> None:
        self.cancel = False
        self._http = http
        self._address = address
        self._told_at = time.monotonic()  # it was claimed just now, and is "parsing" since
        self._progress = 0.0

    def report(self, state: JobState, progress: float) -> None:
        """How far it is, of the whole task in [0, 1]; may be called as often as one likes."""
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


def check_wanted(reply: httpx.Response) -> None:
    """Raises RunCancelled if the server wants no more of the task, ApiError if it could not store what it was sent."""
    try:
        raise_for_problem(reply)
    except ApiError as e:
        if e.status == HTTPStatus.CONFLICT:
            raise RunCancelled(e.message) from e
        raise


def fail(http: httpx.Client, task: Task, message: str, *, cancelled: bool = False) -> None:
    """Says that a job has ended without a document."""
    body = {"message": message, "cancelled": cancelled}
    deliver(lambda: http.post(f"{task.address}/failure", json=body, timeout=60)).raise_for_status()


def _disk_is_full(reply: httpx.Response) -> bool:
    return reply.status_code == HTTPStatus.INSUFFICIENT_STORAGE and reply.json()["code"] == "disk-full"
