"""The worker process: fetches, parses, chunks and encodes; hands results to the server; never writes.

python -m app.worker      (OPENBOOK_API_URL and OPENBOOK_WORKER_TOKEN say where and as whom)
"""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from app.fetcher import Fetcher, fetching_of
from app.handover import WORKER_HEADER, Result, Task, pack, process_name
from app.logs import configure_logging
from app.opening import Opener
from app.parent import die_with_parent
from app.pipelines import Encoders, with_pipeline
from app.telling import Telling, deliver, fail, wait_for_server, work_off
from app.wiring import build_names
from core.allocator import bound_arenas, keep_giving_back, keep_loaded
from core.errors import OpenbookError, RunCancelled, UnsupportedType
from core.protocols import Encoder, NameFinder
from core.settings import Settings, load_settings
from core.types import Document
from ingest.fetch.permission import Permission
from ingest.language import LanguageGuesser
from ingest.parse.sandbox import Sandbox
from ingest.parse.sniff import ZIP_ARCHIVE
from ingest.pii import redact_text
from ingest.pipeline import Processed, parse_limits, process

logger = logging.getLogger("openbook.worker")

NICENESS = 10  # searches and answers go first
FETCHERS = 2  # threads: a slow site holds up one of them


class Worker:
    """One of several in this process, each with its own parsing child; they share the encoders and the model for names."""

    def __init__(self, settings: Settings, encoders: Encoders, names: NameFinder | None, http: httpx.Client) -> None:
        self._settings = settings
        self._encoders = encoders
        self._names = names
        self._http = http
        self._sandbox = Sandbox(parse_limits(settings))
        self._opener = Opener(http, self._sandbox, settings.max_sitemap_pages)
        self._languages = LanguageGuesser()  # several hold the same models in memory once

    def run(self) -> None:
        """Works until the process ends."""
        work_off(self._http, "files", self._work)

    def _work(self, task: Task) -> None:
        told = Telling(self._http, task.address)
        begun = time.monotonic()
        try:
            settings = with_pipeline(self._settings, task.pipeline)
            encoder = self._encoders.get(settings)
            made = self._made(task, told, settings, encoder)
        except RunCancelled:
            fail(self._http, task, "cancelled", cancelled=True)
            return
        except OpenbookError as e:
            message = e.message
            if task.pii == "redact":  # a parser may quote what it stumbled over
                message = redact_text(message, self._settings.phone_regions)
            fail(self._http, task, message)
            return
        except httpx.HTTPError:
            raise
        except Exception as e:
            if task.pii == "redact":
                logger.error("%s broke (%s); details are not logged where data are redacted", task.address, type(e))
            else:
                logger.exception("%s (%s) broke", task.address, task.filename)
            fail(self._http, task, "Openbook broke on this file; the worker's log has the details")
            return
        if made is None:
            return  # its parts have jobs of their own
        result = Result(
            document=_with_source(made.document, task),
            chunks=tuple(made.chunks),
            vectors=made.vectors,
            encoder_revision=encoder.revision,
            chunker_version=made.chunker_version,
            warnings=made.warnings,
            partial=made.partial,
            seconds=time.monotonic() - begun,
            parents=tuple(made.parents),
            signature=made.signature,
            pii=made.pii,
            tokens=made.tokens,
        )
        packed = pack(result)
        deliver(lambda: self._http.put(f"{task.address}/result", content=packed, timeout=600)).raise_for_status()

    def _made(self, task: Task, told: Telling, settings: Settings, encoder: Encoder) -> Processed | None:
        """The document of a file; None if it was a container and has been opened."""
        if self._opener.open_sitemap(task, told.is_stopped):
            return None
        try:
            return process(
                Path(task.path),
                task.filename,
                collection=task.collection,
                uri=task.uri,
                sha256=task.sha256,
                chunker=task.chunker,
                pii=task.pii,
                settings=settings,
                encoder=encoder,
                report=told.report,
                cancelled=lambda: told.cancel,
                sandbox=self._sandbox,
                languages=self._languages,
                names=self._names,
                tokens=task.tokens,
            )
        except UnsupportedType as e:
            if e.code != ZIP_ARCHIVE:
                raise
        self._opener.open_archive(task, lambda share: told.report("parsing", share), told.is_stopped)
        return None


def _with_source(document: Document, task: Task) -> Document:
    """Where it came from, for whoever reads it: the page it was, or the archive."""
    source = {
        key: task.origin[key] for key in ("url", "name", "fetched_from", "fetched_at", "archive") if key in task.origin
    }
    return dataclasses.replace(document, metadata={**document.metadata, "source": source}) if source else document


def main() -> int:
    die_with_parent()
    bound_arenas()
    keep_giving_back()
    os.nice(NICENESS)
    configure_logging("text")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # nothing of a worker's needs an orderly end
    url, token = os.environ.pop("OPENBOOK_API_URL"), os.environ.pop("OPENBOOK_WORKER_TOKEN")
    host = os.environ.pop("OPENBOOK_WORKER_HOST", "")
    for died in filter(None, os.environ.pop("OPENBOOK_REPLACES", "").split(",")):
        _tell_of_its_death(process_name(died, host), url, token)
    try:
        settings = load_settings()
        configure_logging(settings.log_format)
        fetching = fetching_of(settings)
        permission = Permission(fetching)
        encoders = Encoders()
        encoders.get(settings)
        names = build_names(settings)
    except OpenbookError as e:
        logger.error("%s", e.message)
        return 1
    keep_loaded()
    # While one file is encoded, the next is parsed and the one before is stored: a commit waits for the disk. Pages are
    # fetched meanwhile, which takes little but waiting.
    runs: list[Callable[[httpx.Client], None]] = [
        lambda http: Worker(settings, encoders, names, http).run() for _ in range(settings.ingest_workers)
    ]
    runs += [lambda http: Fetcher(http, fetching, permission).run() for _ in range(FETCHERS)]
    threads = [
        threading.Thread(
            target=_run,
            args=(run, url, token, f"{process_name(os.getpid(), host)}.{n}"),
            name=f"worker-{n}",
            daemon=True,
        )
        for n, run in enumerate(runs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 1  # a thread ends by an error alone, and has said which


def _tell_of_its_death(process: str, url: str, token: str) -> None:
    """What a process before this one had in hand need not wait for its lease to run out."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False) as http:
        while True:
            try:
                deliver(lambda: http.post(f"/internal/workers/{process}/gone", timeout=60)).raise_for_status()
            except httpx.HTTPError as e:
                wait_for_server(e)
            else:
                return


def _run(run: Callable[[httpx.Client], None], url: str, token: str, name: str) -> None:
    """One of several workers in this process, each with its own name and its own parsing child."""
    headers = {"Authorization": f"Bearer {token}", WORKER_HEADER: name}
    try:
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as http:
            run(http)
    except Exception:
        logger.exception("a worker ended; the process is started anew")
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
