"""The data directory: one writer, enforced by a lock, and the address of the server that holds it.

The lock is the kernel's, so a killed server leaves none behind.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from core.database import make_private
from core.errors import DataDirLocked, StorageFailed

LOCK_FILE = "lock"
SERVER_FILE = "server.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    url: str
    token: str
    pid: int


class DataDirLock:
    """Held from ``acquire`` until ``release`` or the end of the process."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / LOCK_FILE
        self._fd: int | None = None

    def acquire(self) -> None:
        """Raises DataDirLocked if another process writes to this data directory."""
        fd = _open(self._path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            os.close(fd)
            raise DataDirLocked(
                f"another process is using {self._path.parent}: stop it, or choose another --data-dir"
            ) from e
        self._fd = fd

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def is_locked(data_dir: Path) -> bool:
    """Whether a process holds the lock just now."""
    if not (data_dir / LOCK_FILE).exists():
        return False
    lock = DataDirLock(data_dir)
    try:
        lock.acquire()
    except DataDirLocked:
        return True
    lock.release()
    return False


def announce_server(data_dir: Path, address: ServerAddress) -> None:
    """Writes the address for the commands of this person: mode 0600, since it holds the token."""
    path = data_dir / SERVER_FILE
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump(asdict(address), file)
    temporary.replace(path)


def withdraw_server(data_dir: Path) -> None:
    (data_dir / SERVER_FILE).unlink(missing_ok=True)


def find_server(data_dir: Path) -> ServerAddress | None:
    """The server that holds this data directory, if one does and has said where it listens."""
    return announced_server(data_dir) if is_locked(data_dir) else None


def announced_server(data_dir: Path) -> ServerAddress | None:
    """The server that has said last that it uses this data directory, which need not run any more. Touches no lock."""
    try:
        return ServerAddress(**json.loads((data_dir / SERVER_FILE).read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as e:
        raise StorageFailed(f"{data_dir / SERVER_FILE} cannot be read ({e}): restart the server") from e


def _open(path: Path) -> int:
    try:
        make_private(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        if e.errno == errno.ENOSPC:
            raise StorageFailed(f"the disk of {path.parent} is full: free some space", code="disk-full") from e
        raise StorageFailed(f"cannot use {path.parent} as the data directory: {e.strerror}") from e
