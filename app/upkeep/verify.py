"""Reads everything that is stored and says what is wrong. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from core.errors import StorageFailed
from core.findings import Finding
from core.integrity import check_database
from ingest.ledger_audit import audit_jobs
from retrieval.audit import audit_documents, audit_editions, audit_originals, audit_vectors
from retrieval.collection_rows import collection_names
from retrieval.engine import SearchEngine
from retrieval.generations import Generations
from retrieval.index_audit import audit_indexes
from retrieval.store import Store
from retrieval.token_audit import audit_tokens

Report = Callable[[float, str], None]


@dataclass(slots=True)
class Verified:
    """What was read, by kind, and what is wrong with it."""

    checked: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings

    def json(self) -> dict[str, Any]:
        return {"ok": self.ok, "checked": self.checked, "findings": [asdict(f) for f in self.findings]}


def verify(
    store: Store,
    data_dir: Path,
    *,
    engine: SearchEngine | None = None,
    stopped: bool,
    report: Report = lambda share, doing: None,
) -> Verified:
    """Checks database, originals, texts, passages, vectors, jobs and indexes, in this order.

    Args:
        engine: the one that has the indexes open, if one has.
        stopped: whether no server runs on the data directory.
        report: told the share that is done, and what is being read.
    """
    found = Verified()
    try:
        with store.database.read() as connection:
            report(0.0, "database")
            found.findings += check_database(connection)
            _read_all(connection, store, data_dir, engine, stopped, report, found)
    except StorageFailed as e:
        if e.code == "disk-full":
            raise
        fix = "restore the newest backup with `openbook restore FILE --replace`; originals/ can be ingested again"
        found.findings.append(
            Finding(code="database-damaged", subject="openbook.db", message=e.message, fix=fix, repairable=False)
        )
    return found


def _read_all(
    connection: Connection,
    store: Store,
    data_dir: Path,
    engine: SearchEngine | None,
    stopped: bool,
    report: Report,
    found: Verified,
) -> None:
    report(0.1, "originals")
    found.checked["originals"], wrong = audit_originals(store, connection)
    found.findings += wrong
    report(0.4, "texts and passages")
    documents = passages = 0
    for row, wrong in audit_documents(connection):
        documents, passages = documents + 1, passages + row.n_chunks
        found.findings += wrong
    found.checked |= {"documents": documents, "passages": passages}
    generations, wrong = audit_editions(connection)
    found.checked |= {"other generations": generations} if generations else {}
    found.findings += wrong
    report(0.7, "vectors")
    found.checked["vectors"], wrong = audit_vectors(connection)
    found.findings += wrong
    report(0.8, "token vectors")
    found.checked["token vectors"], wrong = audit_tokens(connection)
    found.findings += wrong
    report(0.9, "jobs and indexes")
    collections = collection_names(connection)
    found.checked["jobs"], wrong = audit_jobs(
        connection,
        has_original=lambda sha256: store.originals.size(sha256) is not None,
        has_collection=collections.__contains__,
        stopped=stopped,
    )
    found.findings += wrong
    if engine is None:
        found.checked["indexes"], wrong = audit_indexes(connection, Generations(store.database, data_dir / "indexes"))
    else:
        wrong = engine.audit()
    found.findings += wrong
