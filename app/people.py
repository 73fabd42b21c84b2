"""Who uses this installation. SQL owner of ``users``.

Without identities there is one person, the local user, whose row the first migration makes; every table that
names an owner already points at it, so that adding identities is an addition.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, String, Table

from core.database import metadata
from core.types import LOCAL_USER_ID, Principal

users = Table(
    "users",
    metadata,
    Column("user_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("created_at", String, nullable=False),
)


def local_principal() -> Principal:
    """The one person of an installation without identities."""
    return Principal(user_id=LOCAL_USER_ID)
