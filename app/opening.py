"""Takes archives and sitemaps apart, for the worker: what is in them goes to the server, where each part is a job of its own.

The confined child says what is in them; nothing here looks into their bytes.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import httpx

from app.handover import Opened, Task
from app.telling import check_wanted, deliver
from app.wire import ApiError
from core.errors import EmptyDocument, InvalidRequest, ParseFailed, RunCancelled, UnsupportedType
from ingest.fetch.address import parse_url, shown_url
from ingest.parse.members import Member
from ingest.parse.sandbox import Sandbox
from ingest.parse.sitemap import looks_like_sitemap

_HEAD_BYTES = 4096
_TIMEOUT_S = 600.0


class Opener:
    """Opens what a worker has found to be a container.

    Args:
        max_pages: taken in from one sitemap, or from all the sitemaps of one index.
    """

    def __init__(self, http: httpx.Client, sandbox: Sandbox, max_pages: int) -> None:
        self._http = http
        self._sandbox = sandbox
        self._max_pages = max_pages

    def open_archive(self, task: Task, report: Callable[[float], None], cancelled: Callable[[], bool]) -> None:
        """Sends every member that can be read.

        Args:
            report: told the share that is done, often.

        Raises:
            UnsupportedType: it came out of another archive.
            TooLarge, ParseFailed, EmptyDocument: it is not opened at all; the message says why.
            RunCancelled: ``cancelled()`` became true, or the server wants no more.
        """
        if "archive" in task.origin:
            raise UnsupportedType(
                f"{task.filename} is an archive within an archive, which is not opened: unpack it and send its files",
                code="nested-archive",
            )
        found = self._sandbox.members(Path(task.path), task.filename, cancelled)
        skipped = list(found.skipped)
        for n, member in enumerate(found.members):
            report(n / len(found.members))
            if cancelled():
                raise RunCancelled("cancelled while it was opened")
            try:
                self._send(task, member, cancelled)
            except ParseFailed as e:
                skipped.append((member.name, e.message))
            except ApiError as e:
                if e.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                    raise
                skipped.append((member.name, e.message))
        self._say(task, Opened(container="archive", skipped=skipped))

    def _send(self, task: Task, member: Member, cancelled: Callable[[], bool]) -> None:
        def put() -> httpx.Response:
            found = self._sandbox.member(Path(task.path), task.filename, member.index, cancelled)
            with contextlib.closing(found) as pieces:
                path, name = f"{task.address}/parts", {"name": member.name}
                return self._http.put(path, params=name, content=pieces, timeout=_TIMEOUT_S)

        check_wanted(deliver(put))

    def open_sitemap(self, task: Task, cancelled: Callable[[], bool]) -> bool:
        """Opens what a person named by its URL, or an index did, if it is a sitemap; False if it is none.

        Raises:
            ParseFailed, TooLarge, EmptyDocument: it is one that is not opened; the message says why.
            RunCancelled: ``cancelled()`` became true, or the server wants no more.
        """
        if "url" not in task.origin or task.origin.get("of_index") is False:
            return False
        path = Path(task.path)
        with path.open("rb") as file:
            if not looks_like_sitemap(file.read(_HEAD_BYTES), task.filename):
                return False
        try:
            found = self._sandbox.sitemap(path, task.filename, self._max_pages, cancelled)
        except ParseFailed as e:
            if e.code == "no-sitemap":
                return False
            raise
        is_index = found.kind == "sitemaps"
        if is_index and task.origin.get("of_index") is True:
            raise UnsupportedType(f"{task.filename} is an index of sitemaps within an index, which is not opened")
        urls, skipped = self._of_its_host(task, found.urls)
        if not urls and not skipped:
            raise EmptyDocument(f"{task.filename} is a sitemap without a URL in it")
        most = int(task.origin.get("pages", self._max_pages))
        more = found.more + max(0, len(urls) - most)
        notes = [f"{more:,} further URLs of it are over the limit of {most:,} and were left out"] if more else []
        opened = Opened(
            container="sitemap",
            urls=urls[:most],
            is_index=is_index,
            skipped=skipped,
            notes=notes,
            incomplete=bool(more),
        )
        self._say(task, opened)
        return True

    def _of_its_host(self, task: Task, urls: tuple[str, ...]) -> tuple[list[str], list[tuple[str, str]]]:
        """The protocol lets a sitemap speak for its own host only."""
        hosts = {parse_url(str(task.origin[key])).host for key in ("url", "fetched_from") if key in task.origin}
        kept, skipped = [], []
        for url in urls:
            try:
                target = parse_url(url)
            except InvalidRequest as e:
                skipped.append((shown_url(url), e.message))
                continue
            if target.host in hosts:
                kept.append(target.url)
            else:
                skipped.append((target.url, "it is on another host than the sitemap, which speaks for its own only"))
        return list(dict.fromkeys(kept)), skipped

    def _say(self, task: Task, found: Opened) -> None:
        body = dataclasses.asdict(found)
        path = f"{task.address}/opened"
        check_wanted(deliver(lambda: self._http.post(path, json=body, timeout=_TIMEOUT_S)))
