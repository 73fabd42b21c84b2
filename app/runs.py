"""Runs in progress: each is a task of its own, so that a reader who goes away stops it and its partial text is kept.

Knows strategies and events; knows nothing of HTTP or of what a chat is.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from core.errors import Busy, NotFound, OpenbookError
from core.events import Event, RunDone, RunFailed, StepTaken, TokenSaid
from core.ids import new_id
from core.protocols import Strategy
from core.types import Limits, Message, Principal, Step, Trace, Where

logger = logging.getLogger(__name__)

# Called once before a run begins, or once when it has ended, however it ended.
Hook = Callable[["Run"], Awaitable[None]]


async def end_of(events: AsyncIterator[Event]) -> RunDone | RunFailed:
    """How a run that nobody watches ended. Raises OpenbookError if it stopped without an end."""
    outcome: RunDone | RunFailed | None = None
    async for event in events:  # to the last: what comes after the outcome is the strategy's own tidying up
        if isinstance(event, RunDone | RunFailed):
            outcome = event
    if outcome is None:
        raise OpenbookError("the run ended without an answer")
    return outcome


async def outcome_of(events: AsyncIterator[Event]) -> RunDone:
    """The answer of a run that nobody watches.

    Raises:
        OpenbookError: the run failed, with its code, or stopped without an end.
    """
    match await end_of(events):
        case RunDone() as done:
            return done
        case RunFailed(code=code, message=message):
            raise OpenbookError(message, code=code)


class Run:
    """One question being answered. ``events`` may be read by one reader."""

    def __init__(self, strategy: Strategy, question: str, principal: Principal) -> None:
        self.run_id = new_id("r")
        self.strategy_name = strategy.name
        self.question = question
        self.principal = principal
        self.asked_at = time.monotonic()
        self.text = ""  # what has been said of the answer so far
        self.steps: list[Step] = []
        self.outcome: RunDone | RunFailed | None = None
        self.cancelled = False
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._begun = False  # a task that is cancelled before its first step would never say that it has ended
        self._ending = False  # from here on it is being kept, and a cancel comes too late

    async def events(self) -> AsyncIterator[Event]:
        """Until the run has ended; what the run wanted kept is kept by then."""
        while (event := await self._queue.get()) is not None:
            yield event

    def cancel(self) -> None:
        if self._task is not None and not self._task.done() and not self._ending:
            self.cancelled = True
            if self._begun:
                self._task.cancel()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Waits for the end of the run and its ``on_end``; False if the time is up before."""
        if self._task is None:
            return True
        done, _ = await asyncio.wait([self._task], timeout=timeout_s)
        return bool(done)

    def trace(self) -> Trace:
        """The strategy's own trace, or what is known of a run that was cut off."""
        if self.outcome is not None:
            return self.outcome.trace
        return Trace(
            run_id=self.run_id,
            strategy=self.strategy_name,
            question=self.question,
            steps=tuple(self.steps),
            answer=None,
            stop_reason="cancelled" if self.cancelled else "error",
            settings_hash="",
            prompt_hash="",
            index_version="",
        )


class Runs:
    def __init__(self, max_running: int = 32, each: int | None = None) -> None:
        """``each``: how many of them may be one person's; None: all."""
        self._max_running = max_running
        self._each = each
        self._running: dict[str, Run] = {}

    def start(
        self,
        strategy: Strategy,
        question: str,
        *,
        history: tuple[Message, ...],
        limits: Limits,
        where: Where,
        on_end: Hook,
        on_begin: Hook | None = None,
    ) -> Run:
        """Begins a run. Raises Busy when too many are in progress."""
        if len(self._running) >= self._max_running:
            raise Busy(f"{len(self._running)} questions are being answered: try again in a moment")
        if self._each is not None and self.count(where.principal.user_id) >= self._each:
            raise Busy(f"{self._each} questions of yours are being answered: wait for one of them")
        run = Run(strategy, question, where.principal)
        self._running[run.run_id] = run
        run._task = asyncio.create_task(self._drive(run, strategy, history, limits, where, on_end, on_begin))
        return run

    async def _drive(
        self,
        run: Run,
        strategy: Strategy,
        history: tuple[Message, ...],
        limits: Limits,
        where: Where,
        on_end: Hook,
        on_begin: Hook | None,
    ) -> None:
        stream = strategy.run(run.question, history=history, limits=limits, where=where, run_id=run.run_id)
        run._begun = True
        try:
            if run.cancelled:
                raise asyncio.CancelledError
            if on_begin is not None:
                await on_begin(run)
            async for event in stream:
                match event:
                    case TokenSaid():
                        run.text += event.text
                    case StepTaken():
                        run.steps.append(event.step)
                    case RunDone() | RunFailed():
                        run.outcome = event
                        continue  # told only once it is kept
                    case _:
                        pass
                run._queue.put_nowait(event)
        except asyncio.CancelledError:
            logger.info("run %s cancelled", run.run_id)
        except OpenbookError as e:
            run.outcome = RunFailed(code=e.code, message=e.message, trace=run.trace(), kind=type(e).code)
        except Exception:
            logger.exception("run %s broke", run.run_id)
            message = f"the answer broke off inside Openbook; the log names run {run.run_id}"
            run.outcome = RunFailed(code="internal", message=message, trace=run.trace())
        run._ending = True
        try:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
            await on_end(run)
        except Exception:
            logger.exception("run %s could not be kept", run.run_id)
            run.outcome = RunFailed(code="storage-failed", message="the answer could not be stored", trace=run.trace())
        finally:
            del self._running[run.run_id]
            if run.outcome is not None:
                run._queue.put_nowait(run.outcome)
            run._queue.put_nowait(None)

    def cancel_all(self, user_id: str) -> None:
        """Stops all that is being answered for one person."""
        for run in self._running.values():
            if run.principal.user_id == user_id:
                run.cancel()

    def cancel(self, principal: Principal, run_id: str) -> None:
        """Stops a run. Raises NotFound if it is not running, or is another person's."""
        run = self._running.get(run_id)
        if run is None or run.principal.user_id != principal.user_id:
            raise NotFound(f"no run {run_id!r} is in progress", code="unknown-run")
        run.cancel()

    def of(self, principal: Principal) -> list[Run]:
        """This person's, oldest first."""
        return [run for run in self._running.values() if run.principal.user_id == principal.user_id]

    async def close(self) -> None:
        """Cancels what is running and waits for it to be kept."""
        runs = list(self._running.values())
        for run in runs:
            run.cancel()
        for run in runs:
            await run.wait()

    def count(self, user_id: str) -> int:
        """How many of one person's questions are being answered."""
        return sum(run.principal.user_id == user_id for run in self._running.values())

    def __len__(self) -> int:
        return len(self._running)
