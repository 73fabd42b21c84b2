"""How often somebody may come: failed sign-ins hold up further ones, and a person's requests have a rate.

In memory alone: a restart forgets. Each holds no more than a bounded number of names, however many are tried.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import Busy

MAX_NAMES = 10_000


@dataclass(slots=True)
class _Failures:
    n: int = 0
    until: float = 0.0
    last: float = 0.0


class Throttle:
    """After ``free`` failures of a name in a row, each further try waits twice as long as the one before.

    Args:
        free: failures without a wait.
        first_s, most_s: the first wait, and the longest.
        forget_s: how long after its last failure a name starts anew.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        free: int,
        first_s: float = 1.0,
        most_s: float = 60.0,
        forget_s: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free, self._first_s, self._most_s, self._forget_s = free, first_s, most_s, forget_s
        self._clock = clock
        self._names: OrderedDict[str, _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, name: str) -> None:
        """Raises Busy while ``name`` has to wait."""
        with self._lock:
            found = self._names.get(name)
            wait = found.until - self._clock() if found else 0.0
        if wait > 0:
            raise Busy(
                "too many sign-ins that failed: wait a moment before the next one",
                retry_after_s=max(1, math.ceil(wait)),
            )

    def failed(self, name: str) -> None:
        now = self._clock()
        with self._lock:
            found = self._names.pop(name, None)
            if found is None or now - found.last > self._forget_s:
                found = _Failures()
            found.n, found.last = found.n + 1, now
            if found.n >= self._free:
                found.until = now + min(self._most_s, self._first_s * 2 ** min(found.n - self._free, 30))
            self._names[name] = found
            while len(self._names) > MAX_NAMES:
                self._names.popitem(last=False)

    def succeeded(self, name: str) -> None:
        with self._lock:
            self._names.pop(name, None)


class Rate:
    """A bucket for each person that fills evenly and holds what a minute brings (a token bucket).

    Args:
        per_minute: 0 lets everything through.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # name → (tokens, when that was)

    def take(self, name: str) -> float:
        """0 if ``name`` may go on, else the seconds until it may. For the event loop's thread alone."""
        if not self._per_minute:
            return 0.0
        now, each_s = self._clock(), 60.0 / self._per_minute
        tokens, then = self._left.pop(name, (float(self._per_minute), now))
        tokens = min(float(self._per_minute), tokens + (now - then) / each_s)
        wait = 0.0 if tokens >= 1 else (1 - tokens) * each_s
        self._left[name] = (tokens - 1 if not wait else tokens, now)
        while len(self._left) > MAX_NAMES:
            self._left.popitem(last=False)
        return wait
