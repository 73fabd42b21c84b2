"""The schema that migrations make is the schema that the owners of the tables declare."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from core.database import metadata, migrate, open_database
from core.errors import StorageFailed

MIGRATIONS = Path(__file__).resolve().parents[2] / "app" / "migrations"

# Every module that declares tables.
OWNERS = [
    "retrieval.tables",
    "ingest.ledger",
    "app.people",
    "app.audit",
    "app.idempotency",
    "app.chat_tables",
    "app.feedback",
    "app.traces",
    "app.calibrations",
    "app.eval_tables",
]


def _config(connection):
    """Alembic's own, to stop at a revision within a transaction that the test holds open."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


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


def test_a_schema_of_a_newer_version_is_left_as_it_is_and_the_way_on_is_told(tmp_path):
    database = open_database(tmp_path)
    migrate(database, MIGRATIONS)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(StorageFailed, match=r"newer version .*0999.*restore a backup") as refused:
        migrate(database, MIGRATIONS)
    with database.read() as connection:
        assert connection.scalars(text("SELECT version_num FROM alembic_version")).all() == ["0999"]
    database.close()
    assert refused.value.code == "newer-schema"


def test_documents_of_before_editions_are_all_there_afterwards(tmp_path):
    """0006 drops tables that others refer to: with foreign keys followed, texts and vectors would go with them."""
    database = open_database(tmp_path)
    with database.write() as connection:
        command.upgrade(_config(connection), "0005")
        for statement in (
            "INSERT INTO collections VALUES (7, 'c', 'local', 'now')",
            "INSERT INTO changes VALUES (3, 'put', 'd1', 'now')",
            "INSERT INTO documents (doc_number, doc_id, collection_id, uri, title, mime_type, sha256, size, n_characters, pages,"
            " metadata, encoder_revision, chunker_version, first_row, n_chunks, added_change, created_at)"
            " VALUES (5, 'd1', 7, 'u', 't', 'text/plain', 's', 1, 4, '[]', '{}', 'e', 'v', 11, 1, 3, 'now')",
            "INSERT INTO texts VALUES (5, 0, 'text')",
            "INSERT INTO fingerprints VALUES (5, 'f')",
            'INSERT INTO chunks (row_id, chunk_id, doc_number, start, "end", n_tokens, heading_path, parent_id)'
            " VALUES (11, 'k', 5, 0, 4, 1, '[]', 'p')",
            "INSERT INTO parents (parent_id, doc_number, start, \"end\", n_tokens, heading_path) VALUES ('p', 5, 0, 4, 1, '[]')",
            "INSERT INTO vectors VALUES (11, 'e', x'00')",
            # Numbers that were given and are free again must not be given a second time.
            "UPDATE sqlite_sequence SET seq = 90 WHERE name IN ('documents', 'chunks')",
        ):
            connection.execute(text(statement))
    migrate(database, MIGRATIONS)
    with database.read() as connection:
        for table in ("collections", "documents", "texts", "fingerprints", "chunks", "parents", "vectors"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 1, table
        assert connection.execute(text("SELECT doc_number, edition_id, first_row FROM documents")).one() == (
            5,
            None,
            11,
        )
        rows = connection.execute(text("SELECT name, seq FROM sqlite_sequence"))
        sequences = {row.name: row.seq for row in rows}
        assert (sequences["documents"], sequences["chunks"]) == (90, 90)
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(text("INSERT INTO texts VALUES (6, 0, 'of no document')"))
    database.close()


def test_of_a_conversation_of_before_nobody_knows_what_it_was_answered_from(tmp_path):
    """0021 begins to keep it: what has messages by then must never be shared, what is empty may be."""
    database = open_database(tmp_path)
    with database.write() as connection:
        command.upgrade(_config(connection), "0020")
        for chat_id in ("old", "empty"):
            connection.execute(
                text(
                    "INSERT INTO chats (chat_id, user_id, title, collections, strategy, created_at, updated_at)"
                    f" VALUES ('{chat_id}', 'local', 't', '[]', 's', 'now', 'now')"
                )
            )
        connection.execute(
            text(
                "INSERT INTO messages (message_id, chat_id, sequence, role, content, partial, created_at, problem)"
                " VALUES ('m', 'old', 0, 'user', 'q', 0, 'now', '')"
            )
        )
    migrate(database, MIGRATIONS)
    with database.read() as connection:
        known = dict(connection.execute(text("SELECT chat_id, searched_known FROM chats")).all())
        assert connection.execute(text("SELECT shared_at FROM chats")).scalars().all() == [None, None]
    database.close()
    assert known == {"old": 0, "empty": 1}


def test_a_judging_is_no_evaluation_to_a_server_of_before(tmp_path):
    """0023 taken back: what it left would be evaluations of nothing."""
    database = open_database(tmp_path)
    with database.write() as connection:
        command.upgrade(_config(connection), "0022")
        connection.execute(
            text("INSERT INTO collections (collection_id, name, owner_id, created_at) VALUES (7, 'c', 'local', 'now')")
        )
        connection.execute(text("INSERT INTO eval_sets VALUES ('s', 'local', 7, 'n', '{}', 'now')"))
        connection.execute(text(_eval("e1")))
    migrate(database, MIGRATIONS)
    with database.write() as connection:
        assert connection.execute(text("SELECT judging FROM evals")).scalars().all() == [None]
        connection.execute(text(_eval("e2")))
        connection.execute(text("""UPDATE evals SET judging = '{"of": "e1"}' WHERE eval_id = 'e2'"""))
        command.downgrade(_config(connection), "0022")
        assert connection.execute(text("SELECT eval_id FROM evals")).scalars().all() == ["e1"]
    migrate(database, MIGRATIONS)
    database.close()


def test_sessions_of_before_go_on_each_as_one_of_its_own(tmp_path):
    """0024 tells which tokens are of one session; of those there already, nobody knows."""
    database = open_database(tmp_path)
    with database.write() as connection:
        command.upgrade(_config(connection), "0023")
        for token in ("a", "b"):
            connection.execute(text(f"INSERT INTO sessions VALUES ('{token}', 'local', 'now', 'later')"))
    migrate(database, MIGRATIONS)
    with database.write() as connection:
        found = dict(connection.execute(text("SELECT token_hash, session_id FROM sessions")).all())
        assert set(found) == {"a", "b"} and found["a"] != found["b"] and all(found.values())
        command.downgrade(_config(connection), "0023")
        assert connection.execute(text("SELECT count(*) FROM sessions")).scalar_one() == 2
    database.close()


def _eval(eval_id: str) -> str:
    return (
        "INSERT INTO evals (eval_id, user_id, set_id, configurations, questions, questions_sha256, result_keys, state, stage, done,"
        f" total, reused, seq, error, created_at) VALUES ('{eval_id}', 'local', 's', '[]', '[]', '', '[]', 'done', '', 0, 0, 0, 1, '', 'now')"
    )
