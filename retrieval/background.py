"""A thread that keeps the indexes in shape while searches go on. It knows steps, not what they do."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence

from core.errors import RunCancelled

logger = logging.getLogger(__name__)

_NICENESS = 10
_RETRY_S = 30.0

# A step does what is due and says whether there was anything.
Step = Callable[[], bool]


class Background:
    """Runs ``steps`` in turn, whenever woken and every ``every_s`` seconds, until stopped.

    A step that raises is logged and tried again after 30 seconds; the others go on.

    Args:
        nice: gives way to the other threads of the machine (Linux). Not for steps that hold a lock others wait for.
    """

    def __init__(self, name: str, steps: Sequence[Step], *, every_s: float = 1.0, nice: bool = False) -> None:
        self._steps = steps
        self._nice = nice
        self._every_s = every_s
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._idle = threading.Condition()
        self._asked = 0
        self._answered = 0
        self._not_before: dict[Step, float] = {}
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def stopping(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        """Waits for the step in hand; long ones look at ``stopping()``."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def settle(self, timeout_s: float) -> bool:
        """Waits until a whole pass that began after this call found nothing to do; False if that takes too long."""
        with self._idle:
            self._asked += 1
            mine = self._asked
            self._wake.set()
            return self._idle.wait_for(lambda: self._answered >= mine or self._stop.is_set(), timeout_s)

    def _run(self) -> None:
        if self._nice and sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while not self._stop.is_set():
            self._wake.clear()
            with self._idle:
                asked = self._asked
            busy = [self._try(step) for step in self._steps]
            if any(busy):
                continue
            with self._idle:
                self._answered = asked
                self._idle.notify_all()
            self._wake.wait(self._every_s)

    def _try(self, step: Step) -> bool:
        if self._stop.is_set() or time.monotonic() < self._not_before.get(step, 0.0):
            return False
        try:
            return step()
        except RunCancelled:
            return False
        except Exception:  # whatever it is: the thread has to live on
            logger.exception("keeping the indexes in shape failed; it is tried again in %d s", _RETRY_S)
            self._not_before[step] = time.monotonic() + _RETRY_S
            return False
