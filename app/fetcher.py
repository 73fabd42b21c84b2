"""Fetches the pages that were asked for by their URLs, for the worker, and hands them to the server as files."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import IO

import httpx

from app.handover import ORIGIN_HEADER, Task
from app.telling import Telling, check_wanted, deliver, fail, work_off
from core.errors import FetchFailed, OpenbookError, RunCancelled
from core.settings import Settings
from ingest.fetch.address import parse_allowed
from ingest.fetch.charset import write_as_served
from ingest.fetch.page import Fetching, Page
from ingest.fetch.permission import Permission

logger = logging.getLogger("openbook.fetcher")

_AGAIN = frozenset({"try-again", "timeout", "unreachable"})
_WAITS_S = (1.0, 4.0)  # before the second and the third try
_LOOK_S = 0.2
_BLOCK_BYTES = 256 * 2**10


def fetching_of(settings: Settings) -> Fetching:
    """Raises InvalidRequest if ``url_allow`` names no hosts and networks."""
    return Fetching(
        max_bytes=settings.max_upload_bytes,
        timeout_s=settings.url_timeout_s,
        allowed=parse_allowed(settings.url_allow),
        agent=f"openbook/{version('openbook')}",
    )


class Fetcher:
    """One of several; they share ``permission``, which remembers what sites ask of programs."""

    def __init__(self, http: httpx.Client, fetching: Fetching, permission: Permission) -> None:
        self._http = http
        self._fetching = fetching
        self._permission = permission

    def run(self) -> None:
        """Fetches until the process ends."""
        work_off(self._http, "urls", self._work)

    def _work(self, task: Task) -> None:
        told = Telling(self._http, task.address)
        try:
            with tempfile.TemporaryFile(prefix="openbook-page-") as file:
                page = self._fetch(str(task.origin["url"]), file, told, crawled="sitemap" in task.origin)
                write_as_served(file, page)
                self._send(task, page, file)
        except RunCancelled:
            fail(self._http, task, "cancelled", cancelled=True)
        except OpenbookError as e:
            fail(self._http, task, e.message)
        except httpx.HTTPError:
            raise
        except Exception:
            logger.exception("%s (%s) broke", task.address, task.filename)
            fail(self._http, task, "Openbook broke on this page; the worker's log has the details")

    def _fetch(self, url: str, file: IO[bytes], told: Telling, *, crawled: bool) -> Page:
        """Tries what may pass three times. ``crawled``: nobody named this very page, so its site is asked first."""
        is_stopped = _calmly(told.is_stopped)
        for wait_s in (*_WAITS_S, None):
            file.seek(0)
            file.truncate()
            try:
                return self._fetching.fetch(
                    url,
                    file,
                    is_stopped,
                    allows=(lambda target: self._permission.check(target, is_stopped)) if crawled else None,
                )
            except FetchFailed as e:
                if e.code not in _AGAIN or wait_s is None:
                    raise
                logger.info("%s: %s; trying again in %.0f s", url, e.message, wait_s)
            until = time.monotonic() + wait_s
            while time.monotonic() < until:
                if is_stopped():
                    raise RunCancelled("cancelled before it was tried again")
                time.sleep(_LOOK_S)
        raise FetchFailed(f"{url} could not be had")

    def _send(self, task: Task, page: Page, file: IO[bytes]) -> None:
        origin = {
            "name": page.name,
            "fetched_from": page.url,
            "content_type": page.content_type,
            "etag": page.etag or None,
            "last_modified": page.last_modified or None,
        }
        path, headers = f"{task.address}/page", {ORIGIN_HEADER: json.dumps(origin)}
        check_wanted(deliver(lambda: self._http.put(path, content=_blocks(file), headers=headers, timeout=600)))


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while block := file.read(_BLOCK_BYTES):
        yield block


def _calmly(is_stopped: Callable[[], bool]) -> Callable[[], bool]:
    """For the thread that watches a connection: a server of ours that is away for a moment is no reason to stop."""

    def ask() -> bool:
        try:
            return is_stopped()
        except httpx.HTTPError:
            return False

    return ask
