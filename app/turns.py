"""Whose turn it is: work that fills the processors is done a few at a time, a bounded number waits, and the rest is told when to
come again. Knows nothing of what is done.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from core.errors import Busy

MAX_RETRY_AFTER_S = 60
_SMOOTHING = 0.1  # weight of the newest turn in the mean


class Turns:
    """For one event loop.

    Args:
        what: as it is named to who is refused: "searches".
        at_once: how many are at work.
        waiting: how many more may wait.
        each: how many of all these may be one person's; None: all.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        what: str,
        *,
        at_once: int,
        waiting: int,
        each: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._at_once, self._most, self._each = what, at_once, at_once + waiting, each
        self._clock = clock
        self._free = asyncio.Semaphore(at_once)
        self._of: Counter[str] = Counter()
        self._total = 0
        self._mean_s = 0.0
        self.refused = 0  # since the start

    def __len__(self) -> int:
        """At work or waiting."""
        return self._total

    def full(self) -> Busy | None:
        """What anybody would be told now; None while there is room. So that who is refused costs next to nothing."""
        if self._total < self._most:
            return None
        return self._busy(f"{self._total} {self._what} are under way or waiting")

    @asynccontextmanager
    async def turn(self, user_id: str) -> AsyncIterator[None]:
        """Waits for a turn, and has it within the block.

        Raises:
            Busy: too many wait, of everybody or of this person; with the seconds after which those are done, if all take as
                long as the last ones did.
        """
        if (busy := self.full()) is not None:
            raise busy
        if self._each is not None and self._of[user_id] >= self._each:
            raise self._busy(f"{self._of[user_id]} {self._what} of yours are under way or waiting")
        self._total += 1
        self._of[user_id] += 1
        try:
            async with self._free:
                began = self._clock()
                yield
                took = self._clock() - began
                self._mean_s += (took - self._mean_s) * (_SMOOTHING if self._mean_s else 1.0)
        finally:
            self._total -= 1
            self._of[user_id] -= 1
            if not self._of[user_id]:
                del self._of[user_id]

    def _busy(self, why: str) -> Busy:
        self.refused += 1
        wait_s = min(MAX_RETRY_AFTER_S, max(1, math.ceil(self._total * self._mean_s / self._at_once)))
        return Busy(f"{why}, which is the limit: try again in {wait_s} s", retry_after_s=wait_s)
