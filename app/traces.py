"""What every run did, kept. SQL owner of ``traces``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, Column, ForeignKey, String, Table, Text, select

from core.clock import now_iso
from core.database import Database, metadata
from core.errors import NotFound
from core.types import Principal

traces = Table(
    "traces",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("user_id", String, ForeignKey("users.user_id"), nullable=False, index=True),
    Column("strategy", String, nullable=False),
    Column("question", Text, nullable=False),
    Column("stop_reason", String, nullable=False),
    Column("trace", JSON, nullable=False),
    Column("created_at", String, nullable=False),
)


class Traces:
    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, principal: Principal, trace: Mapping[str, Any]) -> None:
        """Keeps the JSON of a Trace; saving a run again replaces it."""
        values = {
            "user_id": principal.user_id,
            "strategy": trace["strategy"],
            "question": trace["question"],
            "stop_reason": trace["stop_reason"],
            "trace": dict(trace),
        }
        with self._database.write() as connection:
            found = connection.execute(
                traces.update()
                .where(traces.c.run_id == trace["run_id"], traces.c.user_id == principal.user_id)
                .values(**values)
            )
            if found.rowcount == 0:
                connection.execute(traces.insert().values(run_id=trace["run_id"], created_at=now_iso(), **values))

    def get(self, principal: Principal, run_id: str) -> dict[str, Any]:
        """The JSON of the trace. Raises NotFound, also for another person's run."""
        query = select(traces.c.trace).where(traces.c.run_id == run_id, traces.c.user_id == principal.user_id)
        with self._database.read() as connection:
            found = connection.execute(query).scalar_one_or_none()
        if found is None:
            raise NotFound(f"no run {run_id!r}", code="unknown-run")
        return dict(found)
