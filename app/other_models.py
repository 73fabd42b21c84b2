"""Other language models than the server's own, for answers: one that settings list by name is lent to a run, and given back after it.

What is served elsewhere costs nothing to keep. Of those that run in this process one is loaded at a time, when it is first asked for;
it goes when another one is wanted, or when nobody has asked it for a while. Part of the wiring.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import psutil

from app.lm_choices import check_room, chosen_settings
from app.wiring import LoadableLM, build_lm, build_queue
from core.errors import Busy, ModelUnavailable
from core.offload import Offload
from core.settings import Settings
from lm.queue import LMQueue

if TYPE_CHECKING:
    from app.runs import Run
    from app.services import Services

logger = logging.getLogger(__name__)

IDLE_S = 600.0
_ELSEWHERE = ("openai", "scripted")  # runtimes that hold no weights here


@dataclasses.dataclass(slots=True)
class _Loaded:
    settings: Settings
    lm: LoadableLM
    queue: LMQueue
    here: bool  # whether its weights are in this process
    users: int = 0
    idle: asyncio.TimerHandle | None = None


class OtherModels:
    """One per server; used from its event loop alone."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._loaded: dict[str, _Loaded] = {}
        self._loading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._giving: dict[str, asyncio.Task[None]] = {}  # run id → what gives its model back
        self._offload: Offload | None = None

    async def begin(self, services: Services, name: str | None, start: Callable[[Services], Run]) -> Run:
        """What ``start`` begins, with the model ``name`` (None: the server's own), which is given back when the run has ended.
        Raises as ``lent`` and as ``start``."""
        if name is None:
            return start(services)
        stack = AsyncExitStack()
        here = await stack.enter_async_context(self.lent(services, name))
        try:
            run = start(here)
        except BaseException:
            await stack.aclose()
            raise
        self._giving[run.run_id] = self._later(self._give_back(run, stack))
        return run

    async def given_back(self, run_id: str) -> None:
        """Waits until the model that a run was lent is free again, which is a moment after the run has ended."""
        task = self._giving.get(run_id)
        if task is not None:
            await asyncio.wait([task])

    async def _give_back(self, run: Run, stack: AsyncExitStack) -> None:
        await run.wait()
        await stack.aclose()
        del self._giving[run.run_id]

    @asynccontextmanager
    async def lent(self, services: Services, name: str) -> AsyncIterator[Services]:
        """The services with the model ``name`` in the place of the server's own, until the context ends.

        Raises:
            InvalidRequest: no such model is listed, code "unknown-model".
            ModelUnavailable: it cannot be loaded, or there is no memory for it beside what is loaded.
            Busy: another one that runs in this process is being asked.
        """
        self._offload = services.offload
        async with self._loading:  # who waits here waits for a model to load
            found = self._loaded.get(name) or await self._load(services, name)
            found.users += 1
            if found.idle is not None:
                found.idle.cancel()
                found.idle = None
        try:
            models = dataclasses.replace(services.models, lm=found.queue, close_lm=None)
            yield dataclasses.replace(services, settings=found.settings, models=models)
        finally:
            found.users -= 1
            if found.here and not found.users:
                found.idle = asyncio.get_running_loop().call_later(self._idle_s, self._let_go, name)

    async def close(self) -> None:
        """Lets go of all of them."""
        for name in list(self._loaded):
            await self._close(name)

    async def _load(self, services: Services, name: str) -> _Loaded:
        chosen = chosen_settings(services.settings, name)
        here = chosen.lm_runtime not in _ELSEWHERE
        if here:
            await self._make_room(name)
            check_room(chosen, name, psutil.virtual_memory().available)
        lm = build_lm(chosen)
        if lm is None:
            raise ModelUnavailable(f"model {name!r} has no runtime")
        await services.offload(
            lm.load, lambda text, share: logger.info("model %s: %s (%.0f %%)", name, text, 100 * share)
        )
        self._loaded[name] = _Loaded(settings=chosen, lm=lm, queue=build_queue(chosen, lm), here=here)
        return self._loaded[name]

    async def _make_room(self, name: str) -> None:
        for other, loaded in list(self._loaded.items()):
            if not loaded.here:
                continue
            if loaded.users:
                raise Busy(
                    f"model {other!r} is being asked, and {name!r} does not run beside it: try again in a moment"
                )
            await self._close(other)

    def _let_go(self, name: str) -> None:
        self._later(self._close_idle(name))

    def _later(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _close_idle(self, name: str) -> None:
        async with self._loading:
            loaded = self._loaded.get(name)
            if loaded is not None and not loaded.users:
                await self._close(name)

    async def _close(self, name: str) -> None:
        loaded = self._loaded.pop(name)
        if loaded.idle is not None:
            loaded.idle.cancel()
        if self._offload is not None:
            await self._offload(loaded.lm.close)
