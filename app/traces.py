"""What every run did, kept. SQL owner of ``traces``."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Column, Connection, ForeignKey, Index, String, Table, Text, and_, delete, or_, select

from core.clock import now_iso
from core.database import Database, has_word, metadata
from core.errors import NotFound
from core.paging import after_place, place_of
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
    # Whole rows are long; a list of runs is found without reading them.
    Index("traces_of_a_person", "user_id", "created_at", "run_id", "strategy"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceLine:
    """One run in a list. ``created_at`` is when it ended."""

    run_id: str
    strategy: str
    question: str
    stop_reason: str
    created_at: str
    duration_s: float
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFilter:
    """Which runs are meant; what is None or empty narrows nothing. ``since`` is included, ``until`` is not."""

    strategy: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    words: str = ""  # that the question has, all of them, in any case
    run_ids: Collection[str] | None = None


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
        self,
        connection: Connection,
        clean: Callable[[Any], Any],
        touches: Callable[[Any], bool],
        user_id: str,
        since: str,
    ) -> tuple[set[str], int]:
        """Passes every trace of a person, and those of others from ``since`` then on for which ``touches`` holds, through
        ``clean``.

        Returns:
            The runs among these for which ``touches`` holds, and how many traces of the person were changed.
        """
        touched, changed = set(), 0
        meant = or_(traces.c.user_id == user_id, traces.c.created_at >= since)
        for run_id in connection.scalars(select(traces.c.run_id).where(meant)).all():
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

    def quoting(self, connection: Connection, doc_id: str, since: str) -> Iterator[Any]:
        """The JSON of every trace, whosesoever, that was kept ``since`` then and in which a document is named."""
        for run_id in connection.scalars(select(traces.c.run_id).where(traces.c.created_at >= since)).all():
            found = connection.execute(select(traces.c.trace).where(traces.c.run_id == run_id)).scalar_one()
            if doc_id in json.dumps(found):
                yield found

    def list_traces(
        self, principal: Principal, which: TraceFilter, limit: int, after: str | None = None
    ) -> tuple[list[TraceLine], str | None]:
        """One page of a person's runs, the last first, and the cursor to go on after (None: no more).

        Args:
            after: the cursor that the page before gave. Raises InvalidRequest where it is none.
        """
        query = select(
            traces.c.run_id,
            traces.c.strategy,
            traces.c.question,
            traces.c.stop_reason,
            traces.c.created_at,
            traces.c.trace["duration_s"].as_float().label("duration_s"),
            traces.c.trace[("usage", "prompt_tokens")].as_integer().label("prompt_tokens"),
            traces.c.trace[("usage", "completion_tokens")].as_integer().label("completion_tokens"),
        ).where(traces.c.user_id == principal.user_id)
        if which.strategy is not None:
            query = query.where(traces.c.strategy == which.strategy)
        if which.since is not None:
            query = query.where(traces.c.created_at >= _as_kept(which.since))
        if which.until is not None:
            query = query.where(traces.c.created_at < _as_kept(which.until))
        if which.run_ids is not None:
            query = query.where(traces.c.run_id.in_(which.run_ids))
        for word in which.words.split():
            query = query.where(has_word(traces.c.question, word))
        if after is not None:
            query = query.where(after_place(traces.c.created_at, traces.c.run_id, after))
        with self._database.read() as connection:
            ordered = query.order_by(traces.c.created_at.desc(), traces.c.run_id).limit(limit + 1)
            found = [TraceLine(**row._mapping) for row in connection.execute(ordered)]
        last = found[limit - 1] if len(found) > limit else None
        return found[:limit], None if last is None else place_of(last.created_at, last.run_id)

    def strategies(self, principal: Principal) -> list[str]:
        """Those by which a person's kept runs answered."""
        query = select(traces.c.strategy).where(traces.c.user_id == principal.user_id).distinct()
        with self._database.read() as connection:
            return sorted(connection.scalars(query))

    def delete(self, connection: Connection, principal: Principal, run_ids: Collection[str]) -> int:
        """Forgets runs of this person; returns how many there were."""
        mine = and_(traces.c.user_id == principal.user_id, traces.c.run_id.in_(run_ids))
        return connection.execute(delete(traces).where(mine)).rowcount

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


def _as_kept(at: datetime) -> str:
    """As ``core.clock`` writes it; a time without a zone is taken for UTC."""
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
