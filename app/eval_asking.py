"""The questions of an evaluation, each asked until what becomes of it says something of the strategy and not of the moment."""

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

_BUSY_S = 60.0  # at most, between two tries
PATIENCE_S = 600.0  # with a model server that is busy, question by question


class Asking:
    """Asks the questions of one configuration, one after another; it knows how the one before ended.

    Args:
        patience_s: how long it waits, for one question, for a model server that is busy; not counted is the wait for room in the
            queue, where people come first.
        busy_s: how long it waits at most after one run that met something busy.
    """

    def __init__(self, *, patience_s: float = PATIENCE_S, busy_s: float = _BUSY_S) -> None:
        self._patience_s = patience_s
        self._busy_s = busy_s
        self._unanswered = False  # the question before, because there was no model

    async def to_the_end(self, run: Callable[[], AsyncIterator[Event]], queue: LMQueue | None) -> Outcome:
        """What became of a question. A failure is an outcome too, but none of a moment: people who wait for an answer come first,
        and a model that went away measures nothing.

        A model that fails twice at one question may have failed because of it, and goes on with the next; at two questions in
        a row it is gone.

        Args:
            run: begins to answer; called again after each time that something was busy. The seconds are those of the last time.
            queue: of the language model that is asked, if any.

        Raises:
            Busy: for longer than the patience lasts, as where a quota is used up.
            ModelUnavailable, NotReady, StorageFailed: nothing can be asked just now.
        """
        waited_s, asked_again = 0.0, False
        while True:
            await _room(queue)
            started = time.perf_counter()
            try:
                done = _done(await end_of(run()))
            except Busy as e:
                wait_s = min(self._busy_s, max(1, e.retry_after_s), self._patience_s - waited_s)
                if wait_s <= 0:
                    raise
                await asyncio.sleep(wait_s)
                waited_s += wait_s
            except ModelUnavailable as e:
                if asked_again:
                    if self._unanswered:
                        raise
                    self._unanswered = True
                    return Outcome(error=e.message, seconds=time.perf_counter() - started)
                asked_again = True
            except (NotReady, StorageFailed):
                raise
            except OpenbookError as e:
                self._unanswered = False
                return Outcome(error=e.message, seconds=time.perf_counter() - started)
            else:
                self._unanswered = False
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
            raise error_of(code, message, kind)
