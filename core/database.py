"""The one SQLite database: how it is opened, written and migrated. It knows no table.

Each folder that owns tables declares them on ``metadata`` and is the only one to write SQL on them.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, ColumnElement, Connection, Engine, MetaData, create_engine, event, func
from sqlalchemy.exc import DatabaseError, OperationalError

from core.errors import StorageFailed
from core.text import caseless

metadata = MetaData()
DATABASE_FILE = "openbook.db"
COPY_STEP_PAGES = 256  # 1 MiB between two chances for others


class Database:
    """``read()`` sees one snapshot; ``write()`` is one transaction that is durable when the block ends."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with _errors(), self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN DEFERRED")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with _errors(), self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def close(self) -> None:
        self.engine.dispose()


def make_private(data_dir: Path) -> None:
    """Makes the data directory where there is none, for its owner's eyes only: everybody's documents are in it.

    One that is there already keeps the rights that somebody gave it.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)


def open_database(data_dir: Path) -> Database:
    """Opens ``openbook.db`` in ``data_dir`` (made if absent) in WAL mode with full synchronisation."""
    make_private(data_dir)
    engine = create_engine(
        f"sqlite:///{data_dir / DATABASE_FILE}", connect_args={"timeout": 30, "check_same_thread": False}
    )

    # The driver's own transaction handling would begin late and commit early; ours is explicit.
    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        connection.create_function("caseless", 1, caseless, deterministic=True)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")

    return Database(engine)


def has_word(column: Column[str] | ColumnElement[str], word: str) -> ColumnElement[bool]:
    """That a text has ``word`` in it, in any case: SQLite by itself knows the case of A to Z alone. The column has no nulls."""
    return func.instr(func.caseless(column), caseless(word)) > 0


def copy_database(connection: Connection, target: Path) -> None:
    """Writes what ``connection`` sees (one of ``Database.read``) to a new file, while others read and write.

    The open transaction is what makes the copy of one moment: without it SQLite would begin anew after each write.

    Raises:
        StorageFailed: the database could not be read, or the copy not be written.
    """
    source = connection.connection.driver_connection
    if not isinstance(source, sqlite3.Connection):
        raise StorageFailed(f"only a SQLite database can be copied, not one of {type(source).__name__}")
    try:
        connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")  # from here on the snapshot is fixed
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            source.backup(copy, pages=COPY_STEP_PAGES)
            # As one file: the WAL of the copy would be a second one.
            copy.execute("PRAGMA journal_mode=DELETE")
        fd = os.open(target, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except (sqlite3.Error, OSError) as e:
        full = "full" in str(e) or getattr(e, "errno", None) == errno.ENOSPC
        code = "disk-full" if full else "storage-failed"
        raise StorageFailed(f"the database could not be copied to {target}: {e}", code=code) from e


def compact(database: Database) -> None:
    """Rewrites the database from what is in it, so that nothing deleted is left in its files.

    Raises:
        StorageFailed: the disk is full (it takes as much again), or readers stayed in the way.
    """
    with _errors(), database.engine.connect() as connection:
        connection.exec_driver_sql("VACUUM")
        busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
    if busy:
        raise StorageFailed("the write-ahead log could not be cleared, as somebody reads for long: try again later")


def migrate(database: Database, scripts: Path) -> None:
    """Brings the schema up to the newest of the Alembic ``scripts``, in one transaction.

    Raises:
        StorageFailed: it cannot be; ``newer-schema`` where a newer version of Openbook has used this database.
    """
    config = Config()
    config.set_main_option("script_location", str(scripts))
    config.set_main_option("path_separator", "os")
    with _errors(), database.engine.connect() as connection:
        # A table that others point at can only be made anew while SQLite does not follow the pointers, and that can
        # only be said outside of a transaction.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            _check_known(connection, config)
            command.upgrade(config, "head")
            connection.commit()
        finally:
            connection.rollback()
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def _check_known(connection: Connection, config: Config) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    unknown = sorted(set(MigrationContext.configure(connection).get_current_heads()) - known)
    if unknown:
        raise StorageFailed(
            f"a newer version of Openbook has used this data (schema {', '.join(unknown)}, and this version knows none after"
            f" {max(known)}): install that version again, or restore a backup from before it",
            code="newer-schema",
        )


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as e:
        text = str(e.orig)
        if "full" in text:
            raise StorageFailed(f"the disk is full: free some space and try again ({text})", code="disk-full") from e
        raise StorageFailed(f"the database failed: {text}") from e
    except DatabaseError as e:
        if type(e) is not DatabaseError:  # a constraint, for example: the caller's to handle
            raise
        raise StorageFailed(
            f"the database is damaged ({e.orig}): run `openbook verify`, then restore a backup", code="database-damaged"
        ) from e
