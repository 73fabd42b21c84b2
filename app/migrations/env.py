"""Run by Alembic. The connection, inside its transaction, comes from ``core.database.migrate``.

A new step: declare the tables in their owner's module, write ``versions/NNNN_what.py`` by hand, and let
``tests/app/test_migrations.py`` compare what it makes with what is declared.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from core.database import metadata
from core.errors import InvalidRequest

connection = context.config.attributes.get("connection")
if not isinstance(connection, Connection):
    raise InvalidRequest("migrations run through core.database.migrate, which holds the transaction")

context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
