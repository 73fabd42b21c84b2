"""Takes a process's rights away: memory, processor time, files, network, and outliving its parent.

Linux does all of it. Elsewhere what is missing is named in what ``confine`` returns, so that nobody assumes it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import Literal

Network = Literal["namespace", "audit-hook"]

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_MAX_OPEN_FILES = 64
_SOCKET_EVENTS = frozenset(["socket.__new__", "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"])
_PROCESS_EVENTS = frozenset(["subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"])


class Forbidden(RuntimeError):
    """Raised by the audit hook; the file that led to it is refused."""


_READ_ONLY_BYTES = 2**30  # of address space: libraries, and files that are mapped to be read


def confine(memory_bytes: int) -> Network:
    """Confines this process for good. Call it once, before any thread starts.

    Args:
        memory_bytes: bound of what it may write to (heap, stacks, private mappings): what it holds at most, but for the
            code of its libraries.

    Returns:
        How the network is shut off: an own, empty network namespace, or only a hook that refuses sockets made by Python.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux":
        parent = os.getppid()
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died while we asked to be told
            os._exit(1)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for limit, value in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_AS, memory_bytes + _READ_ONLY_BYTES),
        (resource.RLIMIT_FSIZE, 0),  # it writes no file: its answer goes through a pipe
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(limit)
        bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (bounded, bounded))
    isolated = sys.platform == "linux" and libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0
    sys.addaudithook(_refuse)
    return "namespace" if isolated else "audit-hook"


def allow_cpu(seconds: float) -> None:
    """Gives the process ``seconds`` of processor time from now; over that the kernel ends it (SIGXCPU)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 1, hard))


def _refuse(event: str, _arguments: object) -> None:
    if event in _SOCKET_EVENTS or event in _PROCESS_EVENTS:
        raise Forbidden(f"a parser tried {event}, which it has no business to do")
