"""The uploaded files themselves, named by the SHA-256 of their bytes: ``originals/ab/abcdef…``.

One file serves every document with these bytes. Originals knows no table: who still needs a file is asked of
the caller, and a file that nobody needs is removed only after the transaction that let go of it.

A file on its way in has no row that names it yet. ``put_stream`` therefore *pins* it, and the caller says
``release`` once its transaction is over; a pinned file is never removed. A forgotten pin lapses after ``PIN_S``.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from core.errors import NotFound, TooLarge
from core.ids import new_id
from retrieval.files import fsync_path, make_folder, storage_errors

PIN_S = 3600.0
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _storing() -> AbstractContextManager[None]:
    return storage_errors("store the uploaded file")


@contextmanager
def _closing(file: IO[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        with _storing():  # closing writes what is still buffered
            file.close()


def _open_new(path: Path) -> IO[bytes]:
    return path.open("xb")


class Originals:
    """Content-addressed files under ``directory`` (made at first use).

    Args:
        open_new: opens a new file for writing; a seam for tests of full disks.
    """

    def __init__(self, directory: Path, *, open_new: Callable[[Path], IO[bytes]] = _open_new) -> None:
        self.directory = directory
        self._temp = directory / "tmp"
        self._open_new = open_new
        self._lock = threading.Lock()
        self._pins: dict[str, list[float]] = {}  # sha256 -> when each pin lapses (monotonic seconds)
        self._arriving: set[Path] = set()
        self._keeping = 0  # how many want that nothing is removed

    def put_stream(self, chunks: Iterable[bytes], limit: int) -> tuple[str, int]:
        """Stores a stream of bytes durably and pins it; returns (sha256, size in bytes).

        Raises:
            TooLarge: more than ``limit`` bytes came; nothing is kept.
            StorageFailed: the disk failed (code ``disk-full`` if it is full); nothing is kept.
        """
        temp = self._temp / new_id("t")
        self._arriving.add(temp)
        try:
            sha256, size = self._write(temp, chunks, limit)
            final = self._place(sha256)
            with _storing():
                make_folder(final.parent)
                with self._lock:
                    temp.rename(final)  # over a file with the same bytes: heals one that the disk damaged
                    self._pins.setdefault(sha256, []).append(time.monotonic() + PIN_S)
                fsync_path(final.parent)
        finally:
            with _storing():
                temp.unlink(missing_ok=True)
            self._arriving.discard(temp)
        return sha256, size

    def _write(self, temp: Path, chunks: Iterable[bytes], limit: int) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        with _storing():
            make_folder(self._temp)
            file = self._open_new(temp)
        with _closing(file):
            for chunk in chunks:  # an error of the sender is the sender's
                size += len(chunk)
                if size > limit:
                    raise TooLarge(f"the file is larger than {limit:,} bytes: split it, or raise max_upload_bytes")
                digest.update(chunk)
                with _storing():
                    file.write(chunk)
            with _storing():
                file.flush()
                os.fsync(file.fileno())
        return digest.hexdigest(), size

    @contextmanager
    def receiving(self, chunks: Iterable[bytes], limit: int) -> Iterator[tuple[str, int]]:
        """``put_stream`` whose pin ends with the block: commit the row that names the file inside it."""
        sha256, size = self.put_stream(chunks, limit)
        try:
            yield sha256, size
        finally:
            self.release(sha256)

    def release(self, sha256: str) -> None:
        """Takes back one pin; a pin that is not there is no error."""
        with self._lock:
            pins = self._pins.get(sha256, [])
            if pins:
                pins.pop(0)
            if not pins:
                self._pins.pop(sha256, None)

    @contextmanager
    def keeping_all(self) -> Iterator[None]:
        """While it lasts no original is removed; afterwards the caller sweeps what was let go of meanwhile."""
        with self._lock:
            self._keeping += 1
        try:
            yield
        finally:
            with self._lock:
                self._keeping -= 1

    def is_pinned(self, sha256: str) -> bool:
        """Whether a file is on its way in, so that no row need name it yet."""
        with self._lock:
            return self._pinned(sha256)

    def path(self, sha256: str) -> Path:
        """Where the bytes lie. Raises NotFound if there is no such original."""
        path = self._place(sha256)
        if not path.is_file():
            raise NotFound(f"the original {sha256} is not stored (any more): upload the file again")
        return path

    def size(self, sha256: str) -> int | None:
        """Bytes of an original, or None if it is not stored."""
        try:
            return self._place(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def remove_unneeded(self, candidates: Iterable[str], needed: Callable[[], AbstractSet[str]]) -> list[str]:
        """Removes those of ``candidates`` that no pin and no name in ``needed()`` holds; returns the removed.

        ``needed`` is asked under the same lock as uploads take, after their pins are looked at: a row committed
        since is either seen by it or still pinned.
        """
        removed = []
        with self._lock, storage_errors("remove an original"):
            if self._keeping:
                return []
            free = [s for s in dict.fromkeys(candidates) if not self._pinned(s)]
            kept = needed() if free else frozenset()
            for sha256 in free:
                path = self._place(sha256)
                if sha256 not in kept and path.exists():
                    path.unlink()
                    removed.append(sha256)
        return removed

    def sweep_temp(self) -> None:
        """Removes what interrupted uploads left. Only for the one writer; its own uploads go on."""
        with storage_errors("clear interrupted uploads"):
            for temp in self._temp.glob("*"):
                if temp not in self._arriving:
                    temp.unlink(missing_ok=True)

    def stored(self) -> list[str]:
        """Every original there is."""
        if not self.directory.is_dir():
            return []
        return sorted(p.name for p in self.directory.glob("[0-9a-f][0-9a-f]/*") if _SHA256.fullmatch(p.name))

    def _pinned(self, sha256: str) -> bool:
        now = time.monotonic()
        return any(lapses > now for lapses in self._pins.get(sha256, ()))

    def _place(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise NotFound(f"{sha256!r} does not name an original: 64 hexadecimal digits do")
        return self.directory / sha256[:2] / sha256
