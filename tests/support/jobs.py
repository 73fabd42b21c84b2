"""Waiting for a job of a running server."""

from __future__ import annotations

import time
from collections.abc import Container

from app.client import ApiError, Client, ServerUnreachable
from app.replies import Job
from ingest.job import FINAL_STATES


def settled(
    client: Client,
    job_id: str,
    timeout_s: float = 60.0,
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
