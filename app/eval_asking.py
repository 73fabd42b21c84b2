"""One question of an evaluation asked, until what becomes of it says something of the strategy and not of the moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from app.runs import end_of
from core.errors import Busy, ModelUnavailable, NotReady, OpenbookError, StorageFailed, error_of
from core.events import Event, RunDone, RunFailed
from eval.qa_scores import Outcome

if TYPE_CHECKING:
    from lm.queue import LMQueue

_BUSY_S = 5.0  # between two tries, where nobody says when there is room


async def asked_to_the_end(
    run: Callable[[], AsyncIterator[Event]], queue: LMQueue | None, busy_s: float = _BUSY_S
) -> Outcome:
    """What became of a question. A failure is an outcome too, but none of a moment: people who wait for an answer come first, and a
    model that went away measures nothing.

    Args:
        run: begins to answer; called again after each time that something was busy. The seconds are those of the last time.
        queue: of the language model that is asked, if any.
        busy_s: how long to wait after a run that met something busy.

    Raises:
        ModelUnavailable, NotReady, StorageFailed: nothing can be asked just now.
    """
    while True:
        await _room(queue)
        started = time.perf_counter()
        try:
            done = _done(await end_of(run()))
        except Busy:
            await asyncio.sleep(busy_s)
        except (ModelUnavailable, NotReady, StorageFailed):
            raise
        except OpenbookError as e:
            return Outcome(error=e.message, seconds=time.perf_counter() - started)
        else:
            return Outcome(answer=done.answer, usage=done.trace.usage, seconds=time.perf_counter() - started)


async def _room(queue: LMQueue | None) -> None:
    """Waits while the queue would refuse, so that nothing is searched in vain."""
    while queue is not None:
        try:
            queue.check()
        except Busy as e:
            await asyncio.sleep(e.retry_after_s)
        else:
            return


def _done(ended: RunDone | RunFailed) -> RunDone:
    match ended:
        case RunDone():
            return ended
        case RunFailed(code=code, message=message, kind=kind):
            # Of a run within a run the class is lost, and the code is all there is.
            raise error_of(code if kind in ("", OpenbookError.code) else kind, message)
