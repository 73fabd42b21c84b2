"""A child process that ends when its parent does, however the parent ended (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Asks the kernel to send this process SIGTERM when its parent is gone. Elsewhere than on Linux: nothing."""
    if sys.platform != "linux":
        return
    parent = os.environ.get("OPENBOOK_PARENT_PID")
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # The parent may have gone before the call.
    if parent is not None and os.getppid() != int(parent):
        sys.exit(0)
