"""Is the database itself sound? SQLite's own checks of its pages, indexes and references. It knows no table."""

from __future__ import annotations

from sqlalchemy import Connection

from core.database import Database
from core.findings import Finding

_MAX_LINES = 20
_RESTORE = (
    "restore the newest backup with `openbook restore FILE --replace`; the originals/ folder can be ingested again"
)


def check_database(connection: Connection) -> list[Finding]:
    """Structure and references. Reads every page.

    Raises:
        StorageFailed: it is too damaged to be read at all (raised by the surrounding ``Database.read``).
    """
    found = []
    for (line,) in connection.exec_driver_sql(f"PRAGMA integrity_check({_MAX_LINES})"):
        if line != "ok":
            # Entries of an index that do not fit its table: the table is the truth and the index can be made again.
            index_only = "index" in line and ("missing from" in line or "wrong # of entries" in line)
            found.append(
                Finding(
                    code="database-index" if index_only else "database-damaged",
                    subject="openbook.db",
                    message=f"the database is damaged ({line})",
                    fix="its indexes are built anew" if index_only else _RESTORE,
                    repairable=index_only,
                )
            )
    orphans: dict[tuple[str, str], int] = {}
    for table, _row, parent, _key in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        orphans[table, parent] = orphans.get((table, parent), 0) + 1
    for (table, parent), n in orphans.items():
        found.append(
            Finding(
                code="reference-broken",
                subject=table,
                message=f"{n:,} rows of {table} point at rows of {parent} that are not there",
                fix="they are removed, as nobody can reach them",
            )
        )
    return found


def rebuild_database_indexes(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("REINDEX")


def remove_unreachable_rows(database: Database) -> int:
    """Removes rows whose parent is gone, until there are none; returns how many."""
    removed = 0
    with database.write() as connection:
        while broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
            before = removed
            for table, row, _parent, _key in broken:
                if row is not None:
                    done = connection.exec_driver_sql(f'DELETE FROM "{table}" WHERE rowid = ?', (row,))
                    removed += done.rowcount
            if removed == before:  # tables without row ids: nothing we know how to remove
                break
    return removed
