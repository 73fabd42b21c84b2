"""A copy of everything that cannot be made again, of one moment, while people go on writing.

The database is copied first, inside one read transaction; then come the originals that this copy names, and people's own
prompts, copied as well since they may be edited at any moment. While that lasts no original is removed. Index files are
caches and stay behind.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from app.prompt_files import own_prompts
from app.upkeep.archive import Entry, Manifest, archive_pieces, entry_of
from core.clock import now_iso
from core.database import DATABASE_FILE, copy_database
from core.errors import Busy, NotFound
from core.ids import new_id
from retrieval.files import make_folder, storage_errors
from retrieval.projection import current_change
from retrieval.store import Store

TEMPORARY = "backup-*.tmp"


class Backup:
    """One backup being made: iterate over it once, then close it. Any thread may do either.

    Raises (constructor):
        StorageFailed: the disk is full, or the database cannot be read.
    """

    def __init__(self, store: Store, data_dir: Path) -> None:
        self._lock = threading.Lock()
        self._held = ExitStack()
        self._copy = data_dir / f"backup-{new_id('')}.tmp"
        try:
            with storage_errors("make room for a backup"):
                make_folder(data_dir)
            self._held.callback(store.sweep_originals)  # last of all: what was let go of meanwhile
            self._held.enter_context(store.originals.keeping_all())
            self._held.callback(self._copy.unlink, missing_ok=True)
            with store.database.read() as connection:
                change = current_change(connection)
                # The file of a job that has failed may be gone: it is needed only to try again.
                stored = set(store.originals.stored())
                needed = sorted(store.document_originals(connection) | (store.needed_originals(connection) & stored))
                copy_database(connection, self._copy)
            files, missing = _files(store, self._copy, needed)
            files += self._prompts(data_dir)
            self.manifest = Manifest(
                openbook=version("openbook"),
                made_at=now_iso(),
                change=change,
                files=tuple(entry for entry, _ in files),
                missing=tuple(missing),
            )
            self._pieces = archive_pieces(files, self.manifest)
        except BaseException:
            self._held.close()
            raise

    def _prompts(self, data_dir: Path) -> list[tuple[Entry, Path]]:
        copies = []
        with storage_errors("copy the prompts"):
            for number, path in enumerate(own_prompts(data_dir)):
                copy = self._copy.with_name(f"{self._copy.stem}-{number}.tmp")
                self._held.callback(copy.unlink, missing_ok=True)
                shutil.copyfile(path, copy)
                copies.append((entry_of(path.relative_to(data_dir).as_posix(), copy), copy))
        return copies

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._lock:
            return next(self._pieces)

    def close(self) -> None:
        """Lets go of everything; a second time is no error."""
        with self._lock:
            self._pieces.close()
            self._held.close()


def _files(store: Store, copy: Path, needed: list[str]) -> tuple[list[tuple[Entry, Path]], list[str]]:
    """Every file with its entry, and the originals that are not there or not what their name says."""
    with storage_errors("read the copy of the database"):
        files, missing = [(entry_of(DATABASE_FILE, copy), copy)], []
    for sha256 in needed:
        try:
            path = store.originals.path(sha256)
            entry = entry_of(f"originals/{sha256[:2]}/{sha256}", path)
        except (NotFound, OSError):
            missing.append(sha256)
            continue
        if entry.sha256 == sha256:
            files.append((entry, path))
        else:
            missing.append(sha256)
    return files, missing


class BackupDesk:
    """One backup at a time."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    def begin(self, store: Store, data_dir: Path) -> Backup:
        """Raises Busy while another is made. The caller says ``end`` when it is over."""
        if not self._turn.acquire(blocking=False):
            raise Busy("another backup is being made: try again when it is done", retry_after_s=30)
        try:
            return Backup(store, data_dir)
        except BaseException:
            self._turn.release()
            raise

    def end(self, backup: Backup) -> None:
        try:
            backup.close()
        finally:
            self._turn.release()


def sweep_leftovers(data_dir: Path) -> None:
    """Removes what an interrupted backup left. Only at start, by whoever holds the lock of the data directory."""
    with storage_errors("clear interrupted backups"):
        for path in data_dir.glob(TEMPORARY):
            path.unlink(missing_ok=True)
