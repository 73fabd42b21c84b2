"""Jobs in states that cannot be, found and ended. SQL on the ledger's own tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, Row, select, update

from core.findings import Finding
from ingest.job import FINAL_STATES, STATES, WORKING_STATES
from ingest.ledger import Ledger
from ingest.ledger_tables import jobs

FAIL, REQUEUE = "it is ended as failed, and can be retried", "it waits again"


def audit_jobs(
    connection: Connection, *, has_original: Callable[[str], bool], has_collection: Callable[[str], bool], stopped: bool
) -> tuple[int, list[Finding]]:
    """
    Args:
        has_original: whether the bytes of an upload, by SHA-256, are stored.
        has_collection: whether there is a collection of this name.
        stopped: whether no server runs, so that nobody can be at work.

    Returns:
        How many jobs there are, and what is wrong.
    """
    found, n = [], 0
    for row in connection.execute(select(jobs).order_by(jobs.c.job_number)):
        n += 1
        for code, what, fix in _wrong(row, has_original, has_collection, stopped):
            found.append(
                Finding(code=code, subject=row.job_id, message=f"job {row.job_id} ({row.file!r}) {what}", fix=fix)
            )
            break
    return n, found


def _wrong(
    row: Row[Any], has_original: Callable[[str], bool], has_collection: Callable[[str], bool], stopped: bool
) -> Iterator[tuple[str, str, str]]:
    if row.state not in STATES:
        yield "job-state", f"is in the state {row.state!r}, which there is not", FAIL
        return
    if not _is_list(row.warnings) or not 0 <= row.progress <= 1 or row.attempts < 0:
        yield "job-damaged", "has warnings, progress or attempts that cannot be", "they are set anew"
    container = _is_container(row)
    if row.kind == "ingest" and row.state in ("ready", "partial") and not row.doc_id and not container:
        yield "job-state", f"is {row.state} without a document", FAIL
    if row.state not in FINAL_STATES and not has_collection(row.collection):
        yield "job-homeless", f"is {row.state} for the collection {row.collection!r}, which is gone", FAIL
    if row.kind != "ingest":
        return  # it has no file, and needs neither a worker nor anybody at work
    if row.state == "queued" and row.lane != "urls" and not has_original(row.sha256):
        yield "job-without-file", "waits, but the uploaded file is not there", "it fails; upload the file again"
    if container and row.state == "indexing":
        return  # it waits for what came out of it; nobody works on it
    if row.state in WORKING_STATES and stopped:
        yield "job-interrupted", f"is {row.state} although nobody works", REQUEUE
    elif row.state in WORKING_STATES and (row.worker_id is None or row.lease_until is None):
        yield "job-state", f"is {row.state} without a worker", REQUEUE


def _is_container(row: Row[Any]) -> bool:
    try:
        return "container" in json.loads(row.origin)
    except (TypeError, ValueError):
        return False


def _is_list(text: Any) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except (TypeError, ValueError):
        return False


def repair_job(connection: Connection, ledger: Ledger, finding: Finding) -> None:
    """Does what the finding's ``fix`` says."""
    mine = jobs.c.job_id == finding.subject
    if finding.code == "job-damaged":
        connection.execute(update(jobs).where(mine).values(warnings="[]", progress=0.0, attempts=0))
    elif finding.fix == REQUEUE:
        ledger.requeue_interrupted(connection)
    else:
        # Out of whatever state it is in, so that it can be ended in the ordinary way.
        connection.execute(update(jobs).where(mine).values(state="queued", warnings="[]", progress=0.0))
        ledger.fail(connection, finding.subject, f"repaired: {finding.message.partition(') ')[2] or finding.message}")
