"""Files that are either there in full or not there: temp, fsync, rename, fsync of the folder.

Knows nothing of what the files hold.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import StorageFailed

_READ_BYTES = 1 << 20


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turns an OSError inside the block into StorageFailed (code ``disk-full`` when the disk or quota is full)."""
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"the disk is full: could not {doing}; free some space and try again"
            raise StorageFailed(message, code="disk-full") from e
        raise StorageFailed(f"could not {doing}: {e}") from e


def fsync_path(path: Path) -> None:
    """Makes a file's bytes, or a folder's names, survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Makes ``path`` and its parents; every new name is durable on return."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        fsync_path(folder.parent)


def move_into_place(temp: Path, final: Path) -> None:
    """Gives a finished temp file its name; whoever sees the name sees all of the bytes, also after a crash."""
    fsync_path(temp)
    temp.rename(final)
    fsync_path(final.parent)


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
