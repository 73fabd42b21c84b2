"""From an uploaded file to a job: kept first, then promised.

A file is on the disk, and its job committed, before anyone is told that it was accepted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection

from app.api.uploads import Uploaded
from app.idempotency import Once, fingerprint
from app.services import Services
from core.errors import Conflict, InvalidRequest, NotFound
from core.types import Principal
from ingest.fetch.address import parse_url, shown_url
from ingest.job import Job
from ingest.ledger_listing import get_job
from ingest.pii import redact_text
from retrieval.access import require_role
from retrieval.collection_rows import pii_of

Json = dict[str, Any]


def job_json(job: Job) -> Json:
    return {
        "job_id": job.job_id,
        "kind": job.kind,
        "collection": job.collection,
        "file": job.file,
        "state": job.state,
        "reason": job.reason,
        "doc_id": job.doc_id,
        "pages": job.pages,
        "chunks": job.chunks,
        "seconds": job.seconds,
        "progress": job.progress,
        "warnings": list(job.warnings),
        "attempts": job.attempts,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "paused": job.paused,
        "parent_id": job.parent_id,
        "url": job.origin.get("url"),
        # Of an archive or a sitemap that has been opened: its parts are the jobs with this parent.
        "container": job.origin.get("container"),
        "skipped": job.origin.get("skipped", []),
    }


class Accepting:
    """The files of one upload, one after the other."""

    def __init__(
        self, services: Services, principal: Principal, collection: str, chunker: str, once: Once | None = None
    ) -> None:
        """``once``: the key of this request, under which what has come before makes no job again."""
        self.jobs: list[Job] = []
        self.repeated = 0  # of the jobs, those that an earlier request under the key has made
        self._once = once
        self._services = services
        self._principal = principal
        self._collection = collection
        self._chunker = chunker

    def keep(self, pieces: Iterator[bytes]) -> tuple[str, int]:
        """Stores one file among the originals; durable when it returns."""
        return self._services.store.originals.put_stream(pieces, self._services.settings.max_upload_bytes)

    async def add(self, uploaded: Uploaded) -> None:
        """Makes the job of a file; a refused file gets a failed job that says why."""
        services, made = self._services, len(self.jobs) - self.repeated
        try:
            self.jobs.append(await services.offload(self._add, uploaded))
        finally:
            # From here on the job's row holds the file; without a new one perhaps nobody does.
            services.store.originals.release(uploaded.sha256)
            if uploaded.error is None and len(self.jobs) - self.repeated == made:
                await services.offload(services.store.remove_originals, [uploaded.sha256])
        self._services.work_added.set()
        await self._services.announce_jobs()

    async def finish(self) -> None:
        """All files of the upload have come. Raises InvalidRequest if more of them came under its key before."""
        once = self._once
        if once is None:
            return

        def finish() -> None:
            with self._services.database.write() as connection:
                once.finish(connection, len(self.jobs))

        await self._services.offload(finish)

    async def add_urls(self, urls: Sequence[str]) -> None:
        """Makes a job for each page to be fetched; what is no URL gets a failed job that says why."""
        self.jobs += await self._services.offload(self._add_urls, urls)
        self._services.work_added.set()
        await self._services.announce_jobs()

    def _add_urls(self, urls: Sequence[str]) -> list[Job]:
        services, once, ids = self._services, self._once, list[str]()
        with services.database.write() as connection:
            self._still_may(connection)
            for position, text in enumerate(urls):
                content = fingerprint(text.strip())
                if once is not None and (known := once.job_of(connection, position, content)) is not None:
                    ids.append(known)
                    self.repeated += 1
                    continue
                try:
                    url, problem = parse_url(text.strip()).url, ""
                except InvalidRequest as e:
                    url, problem = shown_url(text), e.message
                job = services.ledger.add(
                    connection,
                    principal=self._principal,
                    collection=self._collection,
                    file=url,
                    uri=url,
                    sha256="",
                    size=0,
                    chunker=self._chunker,
                    lane="urls",
                    origin={"url": url},
                )
                if problem:
                    services.ledger.fail(connection, job.job_id, problem)
                ids.append(job.job_id)
                if once is not None:
                    once.note(connection, position, content, job.job_id)
            if once is not None:
                once.finish(connection, len(urls))
        return [self._job(job_id) for job_id in ids]

    def _still_may(self, connection: Connection) -> None:
        """The collection may be gone since the upload began, and a job of it would stay for good. Raises NotFound."""
        require_role(connection, self._principal, self._collection, ("owner", "editor"), attached=True)

    def _add(self, uploaded: Uploaded) -> Job:
        services, position = self._services, len(self.jobs)
        # What was refused is not held to: sent again, it may be taken.
        once = self._once if uploaded.error is None else None
        content = fingerprint(uploaded.filename, uploaded.sha256)
        with services.database.write() as connection:
            self._still_may(connection)
            if once is not None and (known := once.job_of(connection, position, content)) is not None:
                self.repeated += 1
                return self._job(known)
            uri = name_in(services, connection, self._collection, uploaded.filename, uploaded.sha256)
            job = services.ledger.add(
                connection,
                principal=self._principal,
                collection=self._collection,
                file=uri,
                uri=uri,
                sha256=uploaded.sha256,
                size=uploaded.size,
                chunker=self._chunker,
            )
            if uploaded.error is not None:
                services.ledger.fail(connection, job.job_id, uploaded.error.message)
            if once is not None:
                once.note(connection, position, content, job.job_id)
        return self._job(job.job_id)

    def _job(self, job_id: str) -> Job:
        try:
            return get_job(self._services.database, self._principal, job_id)
        except NotFound as e:
            raise Conflict(
                "what this Idempotency-Key has made is gone, with its collection or purged: take a new key to make it anew",
                code="idempotency-key-spent",
            ) from e


def accept_files(
    services: Services,
    principal: Principal,
    collection: str,
    chunker: str | None,
    kind: str = "files",
    key: str | None = None,
) -> Accepting:
    """
    Args:
        kind: what comes, "files" or "urls".
        key: of the request, so that it makes nothing again if it is sent again.

    Raises:
        NotFound: there is no such collection for this person.
        Forbidden: they may not add to it.
        InvalidRequest: ``key`` is none, or has stood for another request.
        Busy: too many keys of this person.
    """
    check_may_change(services, principal, collection)
    once = None
    if key is not None:
        once = Once(principal, key, kind, collection, chunker or "")
        with services.database.write() as connection:
            once.begin(connection)
    return Accepting(services, principal, collection, chunker or "", once)


def check_may_change(services: Services, principal: Principal, collection: str) -> None:
    """Raises NotFound if there is no such collection for this person, Forbidden if it is not theirs to change."""
    with services.database.read() as connection:
        require_role(connection, principal, collection, ("owner", "editor"))


def name_in(services: Services, connection: Connection, collection: str, filename: str, sha256: str) -> str:
    """The uri that a file with this name and these bytes gets in a collection."""
    uri = clean_uri(filename)
    if pii_of(connection, collection) == "redact":
        uri = redacted_name(uri, sha256, services.settings.phone_regions)
    return uri


def redacted_name(uri: str, sha256: str, regions: Sequence[str]) -> str:
    """The name without personal data. Two people's files must not become one, so the file's own hash stands in."""
    redacted = redact_text(uri, regions)
    if redacted == uri:
        return uri
    # "jo@example.com.eml": the ending tells the file's kind, though a domain could end in it.
    stem, dot, ending = uri.rpartition(".")
    if (cleaned := redact_text(stem, regions)) != stem and "/" not in ending:
        whole = redact_text(f"{cleaned}{dot}{ending}", regions)
        redacted = whole if whole.endswith(f".{ending}") else redacted
    return f"{sha256[:12]} {redacted}"


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


def clean_uri(filename: str) -> str:
    """A relative path that names the file for people and for replacement; never used as a path on the disk."""
    name = unicodedata.normalize("NFC", filename).replace("\\", "/")
    parts = [p.strip() for p in _UNPRINTABLE.sub("", name).split("/")]
    kept = [p for p in parts if p not in ("", ".", "..")]
    return "/".join(kept)[-500:] or "unnamed"
