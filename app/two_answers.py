"""Two answers to one question, of which neither is seen before both are there.

One is given after the other, since two models of this process may not fit beside each other. What is whole by then is kept, however
it ends: both as a pair, or the one there is as an ordinary answer. Knows nothing of HTTP, nor of how an answer is made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

from app.runs import Run
from core.errors import OpenbookError, error_of
from core.events import RunDone, RunFailed

logger = logging.getLogger(__name__)

S = TypeVar("S")  # what is kept of an answer

Hold = Callable[[S], Awaitable[None]]


class TwoAnswers(Generic[S]):
    """``done``: both are there and kept. ``error``: why they are not, unless somebody stopped one."""

    def __init__(
        self,
        begin: Callable[[int, Hold[S]], Awaitable[Run]],
        whole: Callable[[S], bool],
        keep: Callable[[S, S | None], Awaitable[None]],
    ) -> None:
        """Begins nothing yet.

        Args:
            begin: begins the first answer (0) or the second (1), which calls the function that it is given before it ends.
            whole: whether an answer was neither stopped nor broken off.
            keep: keeps a pair, or with None in its second place one answer or the part that was said of it.
        """
        self.done = False
        self.error: OpenbookError | None = None
        self._begin = begin
        self._whole = whole
        self._keep = keep
        self._stopped = False
        self._first: S | None = None  # while it waits for the second
        self._now: Run | None = None
        self._begun: asyncio.Queue[Run | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins the first answer. Raises what ``begin`` raises."""
        self._begins(await self._begin(0, self._hold))
        self._task = asyncio.create_task(self._go_on())

    async def runs(self) -> AsyncIterator[Run]:
        """Each run as it begins, until both have ended. For one reader."""
        while (run := await self._begun.get()) is not None:
            yield run

    def cancel(self) -> None:
        """A second time it does nothing; nor once both are there."""
        self._stopped = True
        if self._now is not None:
            self._now.cancel()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Until it has ended and what there is of it is kept; False if the time is up before."""
        if self._task is None:
            return True
        done, _ = await asyncio.wait([self._task], timeout=timeout_s)
        return bool(done)

    def _begins(self, run: Run) -> None:
        self._now = run
        self._begun.put_nowait(run)
        if self._stopped:
            run.cancel()

    async def _go_on(self) -> None:
        try:
            if await self._ended() and not self._stopped:
                self._begins(await self._begin(1, self._hold_second))
                await self._ended()
        except OpenbookError as e:
            self.error = e
        except Exception:
            logger.exception("two answers broke")
            self.error = OpenbookError("the second answer broke off inside Openbook; the log has the details")
        finally:
            try:
                if self._first is not None:  # nothing came after it
                    await self._keep(self._first, None)
            except OpenbookError as e:
                self.error = e
            finally:
                self._begun.put_nowait(None)

    async def _ended(self) -> bool:
        """Waits for the run that is going on; whether it came to an answer."""
        run = self._now
        if run is None:
            return False
        await run.wait()
        match run.outcome:
            case RunDone():
                return True
            case RunFailed(code=code, message=message, kind=kind):
                self.error = error_of(code, message, kind)
            case None:
                pass  # it was stopped
        return False

    async def _hold(self, said: S) -> None:
        if self._whole(said):
            self._first = said
        else:
            await self._keep(said, None)

    async def _hold_second(self, said: S) -> None:
        first, self._first = self._first, None
        if first is not None:
            whole = self._whole(said)
            await self._keep(first, said if whole else None)
            self.done = whole
