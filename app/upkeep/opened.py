"""A data directory opened for looking after it, by a command that found no server: the lock, the tables, no models."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.datadir import DataDirLock, find_server
from app.upkeep.backup import sweep_leftovers
from app.upkeep.restore import MARKER_FILE, finish_restore
from app.wiring import MIGRATIONS
from core.database import DATABASE_FILE, Database, migrate, open_database
from core.errors import DataDirLocked, NotFound, StorageFailed
from core.settings import Settings
from ingest.ledger import Ledger
from retrieval.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    settings: Settings
    database: Database
    store: Store
    ledger: Ledger

    @property
    def data_dir(self) -> Path:
        return self.settings.data_dir


@contextmanager
def locked(data_dir: Path, doing: str, *, may_be_new: bool = False) -> Iterator[None]:
    """Holds the lock of a data directory that no server uses.

    Raises:
        DataDirLocked: somebody has it; the message names who, and the fix.
        NotFound: there is nothing there, unless it may be new.
    """
    if not may_be_new and not any((data_dir / name).exists() for name in (DATABASE_FILE, MARKER_FILE)):
        raise NotFound(f"{data_dir} holds no {DATABASE_FILE}: is it the right --data-dir?")
    running = find_server(data_dir)
    if running is not None:
        raise DataDirLocked(
            f"Openbook runs on {data_dir} at {running.url}: stop it (Ctrl-C where it runs), then {doing}"
        )
    lock = DataDirLock(data_dir)
    lock.acquire()
    try:
        finish_restore(data_dir)
        sweep_leftovers(data_dir)
        yield
    finally:
        lock.release()


@contextmanager
def opened(settings: Settings, *, as_it_is: bool = False) -> Iterator[Opened]:
    """The tables of a data directory, brought up to this version; the caller holds the lock.

    Args:
        as_it_is: a database that is too damaged to be brought up is opened nevertheless, for looking at.

    Raises:
        NotFound: there is no database in it.
        StorageFailed: it cannot be opened.
    """
    if not (settings.data_dir / DATABASE_FILE).exists():
        raise NotFound(f"{settings.data_dir} holds no {DATABASE_FILE}: is it the right --data-dir?")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    database = open_database(settings.data_dir)
    try:
        try:
            migrate(database, MIGRATIONS)
        except StorageFailed:
            if not as_it_is:
                raise
        ledger = Ledger(max_queued=settings.max_queued_jobs)
        store = Store(database, settings.data_dir / "originals", also_held=ledger.held_originals)
        yield Opened(settings=settings, database=database, store=store, ledger=ledger)
    finally:
        database.close()
