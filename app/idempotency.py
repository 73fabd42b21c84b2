"""Idempotency keys: a request that is sent again under its key makes nothing again. SQL owner of ``idempotency_keys`` and
``idempotency_parts``.

A key is one person's and stands for one request: what it asks for, and its files (or addresses) in their order. Each part is
noted in the transaction that makes its job, so that a request which broke off half way goes on where it stopped, and two at
once make one job between them. What is kept are hashes, never names, addresses or contents.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Row,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from app.people import later
from core.clock import now_iso
from core.database import metadata
from core.errors import Busy, InvalidRequest
from core.types import Principal

KEPT = timedelta(hours=24)
MAX_KEYS = 20_000  # of one person at a time
MAX_KEY_CHARACTERS = 200
_RETRY_AFTER_S = 600

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", String, ForeignKey("users.user_id", ondelete="CASCADE"), primary_key=True),
    Column("key", String, primary_key=True),
    Column("request", String, nullable=False),
    Column("created_at", String, nullable=False),
    Column("parts", Integer, nullable=True),  # None until all of the request has come
    Index("idempotency_keys_by_time", "created_at"),
)

idempotency_parts = Table(
    "idempotency_parts",
    metadata,
    Column("user_id", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("content", String, nullable=False),
    Column("job_id", String, nullable=False),
    ForeignKeyConstraint(["user_id", "key"], ["idempotency_keys.user_id", "idempotency_keys.key"], ondelete="CASCADE"),
)


def fingerprint(*parts: str) -> str:
    """The SHA-256 of ``parts``, of which no two lists have the same."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()


def check_key(key: str) -> str:
    """The key without the quotes that a header's string may have.

    Raises:
        InvalidRequest: empty, too long, or with something in it that is no printable ASCII.
    """
    found = key.strip()
    if len(found) >= 2 and found[0] == found[-1] == '"':
        found = found[1:-1]
    if not found or len(found) > MAX_KEY_CHARACTERS or not found.isascii() or not found.isprintable():
        raise InvalidRequest(
            f"an Idempotency-Key has 1 to {MAX_KEY_CHARACTERS} printable ASCII characters: take a new UUID for each request",
            code="bad-idempotency-key",
        )
    return found


class Once:
    """One request under a key. Every method is part of the caller's transaction."""

    def __init__(self, principal: Principal, key: str, *asked: str) -> None:
        """
        Args:
            asked: what the request asks for beside its parts: route, collection, options.

        Raises:
            InvalidRequest: not a key.
        """
        self._user_id = principal.user_id
        self._key = fingerprint(check_key(key))
        self._request = fingerprint(*asked)

    def begin(self, connection: Connection) -> None:
        """Takes the key, or takes it up again.

        Raises:
            InvalidRequest: within a day it has stood for another request.
            Busy: this person has too many keys of the last day.
        """
        connection.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < later(-KEPT)))
        row = self._row(connection)
        if row is not None:
            if row.request != self._request:
                raise _other("another request (another collection, route or option)")
            return
        of_person = select(func.count()).where(idempotency_keys.c.user_id == self._user_id)
        if connection.execute(of_person).scalar_one() >= MAX_KEYS:
            raise Busy(
                f"you have {MAX_KEYS:,} idempotency keys of the last 24 hours, which is the limit: send the request without "
                "one, or later",
                retry_after_s=_RETRY_AFTER_S,
            )
        values = {"user_id": self._user_id, "key": self._key, "request": self._request, "created_at": now_iso()}
        connection.execute(insert(idempotency_keys).values(**values))

    def job_of(self, connection: Connection, position: int, content: str) -> str | None:
        """The job that this part made before; None if it has not come before.

        Args:
            content: the ``fingerprint`` of the part.

        Raises:
            InvalidRequest: what came there before was something else, or less came than now.
        """
        row = self._row(connection)
        if row is None:  # its day ended while the request came
            self.begin(connection)
            return None
        parts = idempotency_parts
        query = select(parts.c.content, parts.c.job_id).where(
            parts.c.user_id == self._user_id, parts.c.key == self._key, parts.c.position == position
        )
        found = connection.execute(query).one_or_none()
        if found is None:
            if row.parts is not None and position >= row.parts:
                raise _other(f"{row.parts} files")
            return None
        if found.content != content:
            raise _other(f"something else in place {position + 1}")
        job_id: str = found.job_id
        return job_id

    def note(self, connection: Connection, position: int, content: str, job_id: str) -> None:
        """Keeps which job a part has made."""
        values = {"user_id": self._user_id, "key": self._key, "position": position}
        connection.execute(insert(idempotency_parts).values(**values, content=content, job_id=job_id))

    def finish(self, connection: Connection, parts: int) -> None:
        """All of the request has come.

        Raises:
            InvalidRequest: more came the first time.
        """
        row = self._row(connection)
        if row is not None and row.parts not in (None, parts):
            raise _other(f"{row.parts} files, not {parts}")
        own = (idempotency_keys.c.user_id == self._user_id, idempotency_keys.c.key == self._key)
        connection.execute(update(idempotency_keys).where(*own).values(parts=parts))

    def _row(self, connection: Connection) -> Row[Any, Any] | None:
        keys = idempotency_keys
        query = select(keys.c.request, keys.c.parts).where(keys.c.user_id == self._user_id, keys.c.key == self._key)
        return connection.execute(query).one_or_none()


def _other(what: str) -> InvalidRequest:
    return InvalidRequest(
        f"this Idempotency-Key has stood for {what} within the last 24 hours: take a new key for a new request",
        code="idempotency-key-reused",
    )
