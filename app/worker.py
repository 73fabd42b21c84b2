"""The worker process: parses, chunks and encodes; hands results to the server; never writes.

python -m app.worker      (OPENBOOK_API_URL and OPENBOOK_WORKER_TOKEN say where and as whom)
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import httpx

from app.handover import WORKER_HEADER, Result, Task, pack
from app.parent import die_with_parent
from app.wiring import build_encoder
from core.errors import OpenbookError, RunCancelled
from core.protocols import Encoder
from core.settings import Settings, load_settings
from ingest.job import JobState
from ingest.language import LanguageGuesser
from ingest.parse.sandbox import Sandbox
from ingest.pii import redact_text
from ingest.pipeline import parse_limits, process

logger = logging.getLogger("openbook.worker")

NICENESS = 10
# Progress is told at most this often, so a small file is told of only when it is done: each telling is a commit.
PROGRESS_EVERY_S = 0.5
SERVER_RETRY_S = 1.0
FULL_DISK_RETRY_S = 15.0


class Worker:
    def __init__(self, settings: Settings, encoder: Encoder, http: httpx.Client) -> None:
        self._settings = settings
        self._encoder = encoder
        self._http = http
        self._sandbox = Sandbox(parse_limits(settings))
        self._languages = LanguageGuesser()  # two hold the same models

    def run(self) -> None:
        """Works until the process ends. A server that is away is asked again."""
        while True:
            try:
                reply = self._http.post("/internal/claim", timeout=60)
                reply.raise_for_status()
                if reply.status_code == 200:
                    self._work(Task(**reply.json()))
            except httpx.HTTPError as e:
                logger.warning("the server does not answer (%s); trying again", e)
                time.sleep(SERVER_RETRY_S)

    def _work(self, task: Task) -> None:
        told = _Telling(self._http, task.job_id)
        begun = time.monotonic()
        try:
            made = process(
                Path(task.path),
                task.filename,
                collection=task.collection,
                uri=task.uri,
                sha256=task.sha256,
                chunker=task.chunker,
                pii=task.pii,
                settings=self._settings,
                encoder=self._encoder,
                report=told.report,
                cancelled=lambda: told.cancel,
                sandbox=self._sandbox,
                languages=self._languages,
            )
        except RunCancelled:
            self._fail(task, "cancelled", cancelled=True)
            return
        except OpenbookError as e:
            # A parser may quote what it stumbled over.
            quoted = task.pii == "redact"
            self._fail(task, redact_text(e.message, self._settings.phone_regions) if quoted else e.message)
            return
        except Exception as e:
            if task.pii == "redact":
                logger.error("job %s broke (%s); details are not logged where data are redacted", task.job_id, type(e))
            else:
                logger.exception("job %s (%s) broke", task.job_id, task.filename)
            self._fail(task, "Openbook broke on this file; the worker's log has the details")
            return
        result = Result(
            document=made.document,
            chunks=tuple(made.chunks),
            vectors=made.vectors,
            encoder_revision=self._encoder.revision,
            chunker_version=made.chunker_version,
            warnings=made.warnings,
            partial=made.partial,
            seconds=time.monotonic() - begun,
            parents=tuple(made.parents),
            signature=made.signature,
            pii=made.pii,
        )
        packed = pack(result)
        self._say(lambda: self._http.put(f"/internal/jobs/{task.job_id}/result", content=packed, timeout=600))

    def _fail(self, task: Task, message: str, *, cancelled: bool = False) -> None:
        body = {"message": message, "cancelled": cancelled}
        self._say(lambda: self._http.post(f"/internal/jobs/{task.job_id}/failure", json=body, timeout=60))

    def _say(self, request: Callable[[], httpx.Response]) -> None:
        """Says how a job ended. While the server's disk is full it is said again and again: the work is not lost."""
        pause = SERVER_RETRY_S
        while _disk_is_full(reply := request()):
            logger.warning("the server cannot store a result now, as its disk is full; trying again in %.0f s", pause)
            time.sleep(pause)
            pause = min(FULL_DISK_RETRY_S, 2 * pause)
        reply.raise_for_status()


def _disk_is_full(reply: httpx.Response) -> bool:
    return reply.status_code == HTTPStatus.INSUFFICIENT_STORAGE and reply.json()["code"] == "disk-full"


class _Telling:
    """Tells the server how far a job is, and learns from its answers whether to stop."""

    def __init__(self, http: httpx.Client, job_id: str) -> None:
        self.cancel = False
        self._http = http
        self._job_id = job_id
        self._told_at = time.monotonic()  # it was claimed just now, and is "parsing" since

    def report(self, state: JobState, progress: float) -> None:
        now = time.monotonic()
        if now - self._told_at < PROGRESS_EVERY_S:
            return
        self._told_at = now
        body = {"state": state, "progress": round(progress, 4)}
        reply = self._http.post(f"/internal/jobs/{self._job_id}/progress", json=body, timeout=60)
        if _disk_is_full(reply):
            return  # how far it is need not be known; what comes of it will wait for space
        reply.raise_for_status()
        self.cancel = bool(reply.json()["cancel"])


def main() -> int:
    die_with_parent()
    os.nice(NICENESS)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # nothing of a worker's needs an orderly end
    url, token = os.environ.pop("OPENBOOK_API_URL"), os.environ.pop("OPENBOOK_WORKER_TOKEN")
    try:
        settings = load_settings()
        encoder = build_encoder(settings)
        encoder.load()
    except OpenbookError as e:
        logger.error("%s", e.message)
        return 1
    # While one file is encoded, the next is parsed and the one before is stored: a commit waits for the disk.
    threads = [
        threading.Thread(target=_run, args=(settings, encoder, url, token, n), name=f"worker-{n}", daemon=True)
        for n in range(settings.ingest_workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 1  # a thread ends by an error alone, and has said which


def _run(settings: Settings, encoder: Encoder, url: str, token: str, number: int) -> None:
    """One of several workers in this process, each with its own name and its own parsing child."""
    headers = {"Authorization": f"Bearer {token}", WORKER_HEADER: f"w{os.getpid()}.{number}"}
    try:
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as http:
            Worker(settings, encoder, http).run()
    except Exception:
        logger.exception("a worker ended; the process is started anew")
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
