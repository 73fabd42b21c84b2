"""What a process keeps of memory that nothing uses any more: bounded here, and returned to the system.

glibc gives each thread an arena of its own, eight to a processor, and takes large blocks from arenas, too, once one as large
was freed. A process in which many threads make and free results of every size, one after the other, then grows for hours
without holding anything: see docs/decisions/0220. Elsewhere than on glibc its part of this does nothing.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import time
from functools import lru_cache

# Parameters of mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

ARENAS = 2  # one would make threads wait for each other
LARGE_BYTES = (
    2**20
)  # blocks from this size on are the system's, which has them back at once; left alone it may become 32 MiB
_EVERY_S = 20.0
_WORTH_IT_S = 0.5  # of processor time since the last look: a process that rests has made nothing to give back


def bound_arenas() -> None:
    """To be called first thing in a process: what threads have taken before stays theirs."""
    libc = _glibc()
    if libc is None:
        return
    for parameter, value in (
        (_M_ARENA_MAX, ARENAS),
        (_M_MMAP_THRESHOLD, LARGE_BYTES),
        (_M_TRIM_THRESHOLD, 2 * LARGE_BYTES),
    ):
        libc.mallopt(parameter, value)


def keep_loaded() -> None:
    """Says that what is there now stays until the process ends, as libraries and models do.

    Python looks through everything for circles of forgotten objects only when a quarter as much has come as there is; beside
    half a million objects of libraries that is never, and what a circle holds (a result, a request's body) stays with it.
    """
    gc.freeze()


def give_back() -> None:
    """Returns to the system what is free in the midst of the arenas."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


@lru_cache(maxsize=1)
def keep_giving_back() -> None:
    """Does so now and then while the process works, on a thread of its own that ends with it. Once is enough."""
    if _glibc() is not None:
        threading.Thread(target=_keep, name="allocator", daemon=True).start()


def _keep() -> None:
    worked = time.process_time()
    while True:
        time.sleep(_EVERY_S)
        now = time.process_time()
        if now - worked >= _WORTH_IT_S:
            give_back()
        worked = now


@lru_cache(maxsize=1)
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    # musl has neither, or does nothing in them.
    return libc if hasattr(libc, "gnu_get_libc_version") else None
