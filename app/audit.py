"""The audit log: who did what, when, to what. SQL owner of ``audit``.

No content and no secrets: names of collections and ids of the rest, never texts, titles, questions or tokens.

When it is full, room is made where there is most of the same: of what one person has done (or has been refused) of one kind,
the oldest. So whoever floods it loses entries like those of the flood, and nobody else's, nor their own of another kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Index, Integer, String, Table, delete, func, insert, select

from app.people import users
from core.clock import now_iso
from core.database import Database, metadata

audit = Table(
    "audit",
    metadata,
    Column("entry_id", Integer, primary_key=True, autoincrement=True),
    Column("at", String, nullable=False),
    # No reference: an entry stays, whatever becomes of the person. None: nobody that is known.
    Column("user_id", String, nullable=True),
    Column("action", String, nullable=False),
    Column("target", String, nullable=False),
    Column("outcome", String, nullable=False),  # "done", "refused"
    Column("by", String, nullable=False),  # session, key:<id>, machine, nobody-else
    Column("address", String, nullable=False),
    Index("audit_by_user", "user_id"),
    sqlite_autoincrement=True,
)
MAX_PAGE = 500
MAX_TARGET = 200
KEPT = 200_000  # entries
PRUNED_EVERY = 1000  # entries, by which the log may grow beyond


class AuditLog:
    def __init__(self, database: Database, kept: int = KEPT, pruned_every: int = PRUNED_EVERY) -> None:
        """``kept``: so many entries stay; every ``pruned_every``-th makes room again."""
        self._database = database
        self._kept = kept
        self._pruned_every = pruned_every

    def add(
        self,
        action: str,
        *,
        user_id: str | None,
        target: str = "",
        outcome: str = "done",
        by: str = "",
        address: str = "",
    ) -> None:
        """One entry, durable when this returns."""
        values = {"at": now_iso(), "user_id": user_id, "action": action, "target": target[:MAX_TARGET]}
        with self._database.write() as connection:
            made = connection.execute(insert(audit).values(outcome=outcome, by=by, address=address, **values))
            key = made.inserted_primary_key
            if key is not None and int(key[0]) % self._pruned_every == 0:
                _prune(connection, self._kept)

    def entries(
        self, *, user_id: str | None = None, action: str | None = None, limit: int = 100, before: int | None = None
    ) -> list[Mapping[str, Any]]:
        """The newest first, with the person's name as it is now.

        Args:
            action: its beginning: "key" for all that was done to keys.
            before: the ``entry_id`` after which the next page begins.
        """
        query = select(audit, users.c.name).join_from(audit, users, audit.c.user_id == users.c.user_id, isouter=True)
        if user_id is not None:
            query = query.where(audit.c.user_id == user_id)
        if action is not None:
            query = query.where(audit.c.action.startswith(action, autoescape=True))
        if before is not None:
            query = query.where(audit.c.entry_id < before)
        query = query.order_by(audit.c.entry_id.desc()).limit(min(max(limit, 1), MAX_PAGE))
        with self._database.read() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]


def _prune(connection: Connection, kept: int) -> None:
    """Deletes until ``kept`` entries are left, from the largest groups alone: see the module's words."""
    same = (audit.c.user_id, audit.c.action, audit.c.outcome)
    sizes = connection.execute(select(*same, func.count().label("n")).group_by(*same)).all()
    level = level_for([row.n for row in sizes], kept)
    for row in sizes:
        if row.n > level:
            of_group = [column.is_not_distinct_from(value) for column, value in zip(same, row[:3], strict=True)]
            oldest = select(audit.c.entry_id).where(*of_group).order_by(audit.c.entry_id).limit(row.n - level)
            connection.execute(delete(audit).where(audit.c.entry_id.in_(oldest)))


def level_for(sizes: Sequence[int], kept: int) -> int:
    """The largest L for which Σ min(size, L) ≤ ``kept``; the largest size where all fit."""
    left = kept
    for n_before, size in enumerate(sorted(sizes)):
        others = len(sizes) - n_before  # this group and those above it
        if size * others > left:
            return left // others
        left -= size
    return max(sizes, default=0)
