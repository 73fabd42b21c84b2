"""Jobs of a running server: waiting for one, and a collection where all are done."""

from __future__ import annotations

import io
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager

from app.client import ApiError, Client, ServerUnreachable
from app.replies import Job
from core.ids import new_id
from ingest.job import FINAL_STATES
from tests.support.servers import RunningServer

# Ends a test that would wait for ever; a worker gives way to everything else, and starves for a minute beside other suites.
LONGEST_S = 240.0


def settled(
    client: Client,
    job_id: str,
    timeout_s: float = LONGEST_S,
    *,
    states: Container[str] = FINAL_STATES,
    may_be_away: bool = False,
) -> Job:
    """The job once it is in one of ``states``.

    Args:
        may_be_away: the server is killed and started meanwhile, and does not always answer.
    """
    deadline, job = time.monotonic() + timeout_s, None
    while True:
        try:
            job = client.job(job_id)
        except (ApiError, ServerUnreachable):
            if not may_be_away:
                raise
        if job is not None and job["state"] in states:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


@contextmanager
def ready_collection(server: RunningServer, prefix: str, **files: bytes) -> Iterator[str]:
    """A collection of its own with Markdown ``files`` that are ready, and its name; deleted afterwards."""
    name = f"{prefix}-{new_id('x')[-8:].lower()}"
    with server.client() as client:
        client.create_collection(name)
        for job in client.upload(name, [(f"{file}.md", io.BytesIO(text)) for file, text in files.items()]):
            assert settled(client, job["job_id"])["state"] == "ready"
        yield name
        client.delete_collection(name)
