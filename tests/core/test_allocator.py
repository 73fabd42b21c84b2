"""The allocator keeps few arenas and gives back what is free in them. In a process of its own: its settings stay."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.allocator import ARENAS

# Eight threads make and free blocks of many sizes, and each keeps one of a hundred, as results and caches do.
_WORK = """
import ctypes, random, sys, threading
from pathlib import Path
from core.allocator import bound_arenas, give_back

if sys.argv[1] == "bounded":
    bound_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = libc.fclose.argtypes = [ctypes.c_void_p]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
kept = []

def work(seed):
    sizes = random.Random(seed)
    blocks = [(libc.malloc(size), size) for size in (sizes.randrange(2_000, 60_000) for _ in range(400))]
    for address, size in blocks:
        ctypes.memset(address, 1, size)
    together.wait()
    kept.extend(size for _, size in blocks[::100])
    for n, (address, _) in enumerate(blocks):
        if n % 100:
            libc.free(address)

def anonymous():
    line = next(l for l in Path("/proc/self/smaps_rollup").read_text().splitlines() if l.startswith("Anonymous"))
    return int(line.split()[1]) * 1024

together = threading.Barrier(8)
before = anonymous()
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
if sys.argv[1] == "bounded":
    give_back()
report = libc.fopen(sys.argv[2].encode(), b"w")
libc.malloc_info(0, report)
libc.fclose(report)
print(Path(sys.argv[2]).read_text().count("<heap nr"), anonymous() - before, sum(kept))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_what_threads_have_freed_goes_back_to_the_system(tmp_path) -> None:
    def measure(how: str) -> tuple[int, int, int]:
        command = [sys.executable, "-c", _WORK, how, str(tmp_path / how)]
        arenas, held, kept = map(
            int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        )
        return arenas, held, kept

    arenas, held, kept = measure("bounded")
    assert arenas <= ARENAS
    assert held < kept + 12 * 2**20, f"{held} bytes are held for {kept} in use"
    left_alone = measure("left alone")
    assert left_alone[0] > ARENAS and left_alone[1] > 2 * held, "without it there is something to mend"
