"""Who uses this installation. SQL owner of ``users``, ``sessions``, ``api_keys`` and ``invites``: the tables.

Without identities there is one person, the local user, whose row the first migration makes. Whoever becomes the first
administrator takes that row over, and with it everything that was there before. See decision 0151.

Of a token (of a session, a key, an invite) only its SHA-256 is kept: it has 256 random bits, so nothing can be tried.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, String, Table, true

from core.database import metadata
from core.types import LOCAL_USER_ID, Principal

Scope: TypeAlias = Literal["read", "ask", "write", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "ask", "write", "admin")
KEY_PREFIX = "ob_"

users = Table(
    "users",
    metadata,
    Column("user_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("created_at", String, nullable=False),
    # The name as it is compared; None: nobody signs in as this one (yet).
    Column("login", String, nullable=True),
    Column("password_hash", String, nullable=True),
    Column("active", Boolean, nullable=False, server_default=true()),
    Index("users_by_login", "login", unique=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String, primary_key=True),
    Column("user_id", String, ForeignKey("users.user_id"), nullable=False, index=True),
    Column("created_at", String, nullable=False),
    Column("expires_at", String, nullable=False),
    # The same for every token that a session has had, so that it ends under all of them.
    Column("session_id", String, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String, primary_key=True),
    Column("user_id", String, ForeignKey("users.user_id"), nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("prefix", String, nullable=False),  # to recognise it by: its first characters
    Column("key_hash", String, nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("created_at", String, nullable=False),
    Column("expires_at", String, nullable=True),
    Column("used_at", String, nullable=True),  # to the hour
)

invites = Table(
    "invites",
    metadata,
    Column("token_hash", String, primary_key=True),
    Column("user_id", String, ForeignKey("users.user_id"), nullable=False, index=True),
    Column("created_at", String, nullable=False),
    Column("expires_at", String, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who a request comes from, and what it may do, whatever it is about.

    ``by`` is how that was shown; "machine" is the token in the data directory, which whoever may read that has.
    """

    user_id: str
    name: str
    is_admin: bool = False
    scopes: frozenset[Scope] = frozenset()
    by: Literal["nobody-else", "session", "key", "machine"]
    credential: str = ""  # the hash of the session's token, or the key's id: no secret
    expires_at: str | None = None
    since: str | None = None  # of a session: when its token was made

    @property
    def principal(self) -> Principal:
        """An administrator sees others' collections no more than anybody else does: decision 0152."""
        return Principal(user_id=self.user_id)

    @property
    def administers(self) -> Principal:
        """For who is let in where, and for nothing else."""
        return Principal(user_id=self.user_id, is_admin=self.is_admin and "admin" in self.scopes)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    user_id: str
    name: str
    is_admin: bool
    active: bool
    invited: bool  # has set no password yet
    created_at: str


def local_principal() -> Principal:
    """The one person of an installation without identities."""
    return Principal(user_id=LOCAL_USER_ID)


def local_person() -> Person:
    return Person(user_id=LOCAL_USER_ID, name="Local user", scopes=frozenset(SCOPES), by="nobody-else")


def new_token(prefix: str = "") -> str:
    """A secret of 256 random bits; one without a prefix never looks like a key."""
    while (drawn := secrets.token_urlsafe(32)).startswith(KEY_PREFIX):
        pass
    return prefix + drawn


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def later(delta: timedelta) -> str:
    """The moment after ``delta``, as ``core.clock`` writes moments."""
    return (datetime.now(UTC) + delta).isoformat(timespec="milliseconds").replace("+00:00", "Z")
