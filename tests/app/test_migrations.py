"""The schema that migrations make is the schema that the owners of the tables declare."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from core.database import metadata, migrate, open_database
from core.errors import StorageFailed

MIGRATIONS = Path(__file__).resolve().parents[2] / "app" / "migrations"

# Every module that declares tables.
OWNERS = ["retrieval.tables", "ingest.ledger", "app.people", "app.chats", "app.traces"]


def declared():
    for name in OWNERS:
        if importlib.util.find_spec(name):
            importlib.import_module(name)
    return metadata


def test_the_migrated_schema_is_the_declared_one(tmp_path):
    tables = declared()
    database = open_database(tmp_path)
    migrate(database, MIGRATIONS)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [d for d in compare_metadata(context, tables) if "alembic_version" not in repr(d)]
    database.close()
    assert differences == []


def test_autoincrement_and_foreign_keys_are_as_declared(tmp_path):
    """Alembic compares neither, so both schemas are compared as SQLite describes them."""
    tables = declared()
    migrated, created = open_database(tmp_path / "a"), open_database(tmp_path / "b")
    migrate(migrated, MIGRATIONS)
    with created.write() as connection:
        tables.create_all(connection)

    def facts(database):
        found = {}
        with database.read() as connection:
            named = text("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
            for name, sql in connection.execute(named):
                keys = connection.execute(text(f"PRAGMA foreign_key_list('{name}')")).all()
                found[name] = ("AUTOINCREMENT" in sql, sorted((k[2], k[3], k[4], k[6]) for k in keys))
        return {name: fact for name, fact in found.items() if name != "alembic_version"}

    assert facts(migrated) == facts(created)
    assert facts(migrated)["chunks"][0], "row ids must never be given twice"
    migrated.close()
    created.close()


def test_the_local_user_exists_from_the_first_schema(tmp_path):
    database = open_database(tmp_path)
    migrate(database, MIGRATIONS)
    with database.read() as connection:
        assert connection.execute(text("SELECT user_id, is_admin FROM users")).all() == [("local", 0)]
    database.close()


def test_migrating_twice_changes_nothing(tmp_path):
    database = open_database(tmp_path)
    migrate(database, MIGRATIONS)
    migrate(database, MIGRATIONS)
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM users")).scalar_one() == 1
    database.close()


def test_a_migration_that_fails_leaves_the_schema_as_it_was(tmp_path):
    """A step is one transaction: users and all are gone again when the process stops within it."""
    database = open_database(tmp_path)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE chats (chat_id TEXT)"))
    with pytest.raises(StorageFailed, match="chats already exists"):
        migrate(database, MIGRATIONS)
    with database.read() as connection:
        names = set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")))
    database.close()
    assert "users" not in names
