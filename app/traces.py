"""What every run did, kept. SQL owner of ``traces``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import JSON, Column, Connection, ForeignKey, String, Table, Text, select

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

    def rewrite(
        self, connection: Connection, clean: Callable[[Any], Any], touches: Callable[[Any], bool], user_id: str
    ) -> tuple[set[str], int]:
        """Passes every trace of a person, and those of others for which ``touches`` holds, through ``clean``.

        Returns:
            The runs for which ``touches`` holds, and how many traces of the person were changed.
        """
        touched, changed = set(), 0
        for run_id in connection.scalars(select(traces.c.run_id)).all():
            row = connection.execute(select(traces).where(traces.c.run_id == run_id)).one()
            if touches(row.trace):
                touched.add(run_id)
            elif row.user_id != user_id:
                continue  # who never saw the document has nothing of it, whatever words are the same
            values = {"question": clean(row.question), "trace": clean(row.trace)}
            if values != {"question": row.question, "trace": row.trace}:
                connection.execute(traces.update().where(traces.c.run_id == run_id).values(**values))
                changed += row.user_id == user_id
        return touched, changed

    def quoting(self, connection: Connection, doc_id: str) -> Iterator[Any]:
        """The JSON of every trace, whosesoever, in which a document is named."""
        for run_id in connection.scalars(select(traces.c.run_id)).all():
            found = connection.execute(select(traces.c.trace).where(traces.c.run_id == run_id)).scalar_one()
            if doc_id in json.dumps(found):
                yield found

    def get(self, principal: Principal, run_id: str) -> dict[str, Any]:
        """The JSON of the trace. Raises NotFound, also for another person's run."""
        return dict(self._one(principal, run_id, traces.c.trace))

    def created_at(self, principal: Principal, run_id: str) -> str:
        """When it was kept, which is when the run ended. Raises NotFound."""
        return str(self._one(principal, run_id, traces.c.created_at))

    def _one(self, principal: Principal, run_id: str, column: Column[Any]) -> Any:
        query = select(column).where(traces.c.run_id == run_id, traces.c.user_id == principal.user_id)
        with self._database.read() as connection:
            found = connection.execute(query).scalar_one_or_none()
        if found is None:
            raise NotFound(f"no run {run_id!r}", code="unknown-run")
        return found
