"""Where the synchronous and the asynchronous world meet, and nowhere else."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Offload:
    """A bounded pool of threads for blocking work; one per process, built by the wiring and closed by it."""

    def __init__(self, max_threads: int = 8) -> None:
        self._pool = ThreadPoolExecutor(max_workers=max_threads, thread_name_prefix="offload")

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs ``function`` in the pool. Cancelling the caller does not stop a function that has begun."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, functools.partial(function, *args, **kwargs))

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


class Channel(Generic[T]):
    """Carries items from any thread to the event loop in which it was made.

    A thread must not wait for a reader that has gone, so ``put`` never blocks: whoever fills a channel bounds what
    it puts there.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[T] = asyncio.Queue()

    def put(self, item: T) -> bool:
        """Thread-safe. False if the loop has ended, so that nobody will ever read it."""
        try:
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)
        except RuntimeError:
            return False
        return True

    async def get(self) -> T:
        return await self._items.get()
