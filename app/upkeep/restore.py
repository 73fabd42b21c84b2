"""From a backup to a data directory: unpacked beside what is there, checked in full, then switched to.

The new files are unpacked into a folder *inside* the data directory, which may be a mount of its own, so that the
switch is renames within one file system. A small file written before the first of them (``restore.json``) is the
moment of decision: interrupted before it, the old state is whole and untouched; after it, whoever opens the directory
next finishes the switch (``finish_restore``) before looking at anything.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from app.datadir import LOCK_FILE, SERVER_FILE
from app.upkeep.archive import MANIFEST_FILE, PROMPTS_FOLDER, Manifest, read_archive
from core.database import DATABASE_FILE, open_database
from core.errors import Conflict, InvalidRequest, StorageFailed
from core.ids import new_id
from retrieval.files import fsync_path, make_folder, storage_errors
from retrieval.generations import Generations

MARKER_FILE = "restore.json"
_STAGING = "restore-*.tmp"
_ORIGINALS = "originals"
_FOLDERS = (PROMPTS_FOLDER, _ORIGINALS)  # that come from the archive
_WAL_FILES = (f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm")
# What makes up the state of a data directory, in the order in which it is put aside.
_STATE = (*_WAL_FILES, DATABASE_FILE, "indexes", "watches")
# What may lie in a data directory that nobody has used yet.
_NOTHING = {LOCK_FILE, SERVER_FILE, "cache"}


def restore(file: Path, data_dir: Path, *, replace: bool) -> tuple[Manifest, Path | None]:
    """Makes ``data_dir`` what the backup says. The caller holds its lock.

    Returns:
        What the backup says of itself, and the folder that now holds the old state, if there was one: a whole data
        directory.

    Raises:
        Conflict: there is something in the data directory, and it was not said to be replaced.
        InvalidRequest: not a backup of ours, or of a newer version.
        StorageFailed: the backup is damaged, or the disk failed. Nothing has changed.
    """
    finish_restore(data_dir)
    occupied = _occupied(data_dir, replace)
    staging = data_dir / f"restore-{new_id('')}.tmp"
    try:
        with storage_errors("make room for what is restored"):
            make_folder(staging)
        manifest = read_archive(file, staging)
        _check_database(staging, file)
        with storage_errors("store what is restored"):
            for name in _FOLDERS:
                make_folder(staging / name)
            for folder in (*(staging / name for name in _FOLDERS), staging, data_dir):
                fsync_path(folder)
        aside = data_dir / f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}" if occupied else None
        _decide(data_dir, staging, aside)
    except BaseException:
        if not (data_dir / MARKER_FILE).exists():
            shutil.rmtree(staging, ignore_errors=True)
        raise
    finish_restore(data_dir)
    return manifest, aside


def finish_restore(data_dir: Path) -> None:
    """Ends a switch that was decided, and clears what an undecided one left. The caller holds the lock.

    Each step looks at what is still to be done, so that it can be interrupted and begun again at any point.

    Raises:
        StorageFailed: the disk failed, or the marker is unreadable.
    """
    marker = data_dir / MARKER_FILE
    with storage_errors("finish an interrupted restore"):
        if marker.exists():
            staging, aside = _read_marker(marker)
            _switch(data_dir, staging, aside)
            marker.unlink()
            fsync_path(data_dir)
        for left in data_dir.glob(_STAGING):
            shutil.rmtree(left, ignore_errors=True)
        (data_dir / f"{MARKER_FILE}.tmp").unlink(missing_ok=True)


def _switch(data_dir: Path, staging: Path, aside: Path | None) -> None:
    for name in _FOLDERS:
        if (staging / name).is_dir():  # the old one has not yet been followed by the new
            _put_aside(data_dir / name, aside)
            (staging / name).rename(data_dir / name)
    if (staging / DATABASE_FILE).exists():  # last of all, so that it tells whether the rest was put aside
        for name in _STATE:
            _put_aside(data_dir / name, aside)
        (staging / DATABASE_FILE).rename(data_dir / DATABASE_FILE)
    for folder in (aside, staging, data_dir):
        if folder is not None and folder.is_dir():
            fsync_path(folder)


def _put_aside(path: Path, aside: Path | None) -> None:
    if not path.exists():
        return
    if aside is None:  # an unused directory holds nothing worth keeping, but may hold an empty folder
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return
    make_folder(aside)
    path.rename(aside / path.name)


def _decide(data_dir: Path, staging: Path, aside: Path | None) -> None:
    body = {"from": staging.name, "aside": aside.name if aside is not None else None}
    temp = data_dir / f"{MARKER_FILE}.tmp"
    with storage_errors("switch to what is restored"):
        temp.write_text(json.dumps(body))
        fsync_path(temp)
        temp.rename(data_dir / MARKER_FILE)
        fsync_path(data_dir)


def _read_marker(marker: Path) -> tuple[Path, Path | None]:
    try:
        body = json.loads(marker.read_text())
        staging, aside = str(body["from"]), body["aside"]
        if not Path(f"/{staging}").match(f"/{_STAGING}") or Path(staging).name != staging:
            raise ValueError(f"{staging!r} is not a folder of a restore")
        if aside is not None and (Path(str(aside)).name != aside or not str(aside).startswith("before-restore-")):
            raise ValueError(f"{aside!r} is not a folder of a restore")
    except (ValueError, KeyError, TypeError) as e:
        raise StorageFailed(f"{marker} cannot be read ({e}): restore the backup again with --replace") from e
    return marker.parent / staging, None if aside is None else marker.parent / str(aside)


def _occupied(data_dir: Path, replace: bool) -> bool:
    """Whether there is a state to put aside. Raises Conflict, InvalidRequest."""
    names = {path.name for path in data_dir.iterdir()} - _NOTHING if data_dir.is_dir() else set()
    names -= {name for name in names if name.startswith("before-restore-")}
    if not names:
        return False
    if DATABASE_FILE not in names and _ORIGINALS not in names:
        raise InvalidRequest(
            f"{data_dir} holds {sorted(names)[0]!r} and is not a data directory of Openbook: choose another --data-dir"
        )
    if not replace:
        raise Conflict(
            f"{data_dir} is in use: give an empty --data-dir, or --replace to put aside what is there",
            code="data-dir-in-use",
        )
    return True


def _check_database(staging: Path, file: Path) -> None:
    """Raises InvalidRequest, StorageFailed unless the unpacked database is sound and of this version or an older one.

    Its manifests of index files are taken out: the files are not in a backup and are built anew.
    """
    path = staging / DATABASE_FILE
    try:
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    except (sqlite3.Error, TypeError) as e:
        raise StorageFailed(
            f"the database in {file} cannot be used ({e}): take another backup", code="bad-backup"
        ) from e
    if found != "ok":
        raise StorageFailed(f"the database in {file} is damaged ({found}): take another backup", code="bad-backup")
    if revision not in _known_revisions():
        raise InvalidRequest(
            f"{file} was made by a newer version (schema {revision}): install that version, then restore",
            code="newer-backup",
        )
    database = open_database(staging)
    try:
        with database.write() as connection:
            Generations(database, staging / "indexes").forget_all(connection)
        with database.engine.connect() as plain:
            plain.exec_driver_sql("PRAGMA journal_mode=DELETE")  # so that it is one file when it is moved
    finally:
        database.close()
    fsync_path(path)
    for name in (*_WAL_FILES, MANIFEST_FILE):
        (staging / name).unlink(missing_ok=True)


def _known_revisions() -> set[str]:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from app.wiring import MIGRATIONS

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
