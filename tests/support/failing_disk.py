"""A disk that fails when it is told to: ``failing_disk.c``, compiled once and preloaded into a process of ours."""

from __future__ import annotations

import errno
import functools
import mmap
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
WRITES, SYNCS, RENAMES = 1, 2, 4
EVERYTHING = WRITES | SYNCS | RENAMES
FULL, BROKEN = errno.ENOSPC, errno.EIO
_NUMBERS = 6


def compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


@functools.cache
def _library() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="failing-disk-"))
    built = folder / "failing_disk.so"
    subprocess.run([str(compiler()), "-shared", "-fPIC", "-O1", "-o", built, SOURCE, "-ldl"], check=True)
    return built


class FailingDisk:
    """Lets everything pass until ``fail`` is called; ``environment`` is what a process needs to be under it."""

    def __init__(self, folder: Path, control: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        control.write_bytes(bytes(8 * _NUMBERS))
        with control.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 8 * _NUMBERS)
        self.environment = {
            "LD_PRELOAD": str(_library()),
            "FAILING_DISK": str(control),
            "FAILING_DISK_FOLDER": str(folder),
        }

    def fail(self, number: int, *, at: int = 1, lasting: bool = True, kinds: int = EVERYTHING) -> None:
        """From now on the ``at``-th call of these kinds fails with this errno, and if lasting each later one."""
        self._set(0, 0, 0, 0)
        self._set(at, int(lasting), number, kinds)

    def count(self, kinds: int = EVERYTHING) -> None:
        """Nothing fails, and calls are counted from 0."""
        self._set(0, 0, 0, kinds)

    def heal(self) -> None:
        self._shared[0:8] = bytes(8)

    @property
    def seen(self) -> int:
        return int(self._numbers()[4])

    @property
    def failed(self) -> int:
        return int(self._numbers()[5])

    def close(self) -> None:
        self._shared.close()

    def _set(self, at: int, lasting: int, number: int, kinds: int) -> None:
        self.heal()
        self._shared[8:48] = struct.pack("=5q", at, lasting, number, 0, 0)
        self._shared[0:8] = struct.pack("=q", kinds)

    def _numbers(self) -> tuple[int, ...]:
        return struct.unpack(f"={_NUMBERS}q", self._shared[:])


def preloadable() -> bool:
    """Whether a compiler is here, and this is a system that preloads."""
    return compiler() is not None and os.uname().sysname == "Linux"
