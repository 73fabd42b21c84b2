"""Where the synchronous and the asynchronous world meet, and nowhere else."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, ParamSpec, TypeVar

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


async def apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a call that is short, but may have to wait for something busy, in a thread of the event loop's own: neither the loop nor
    those who search in an ``Offload`` wait with it. Cancelling the caller does not stop it."""
    return await asyncio.to_thread(function, *args, **kwargs)


class OwnLoop:
    """An event loop in a thread of its own, for blocking code that must ask something asynchronous.

    The thread starts with the first ``run`` and ends with the process.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Waits for ``work``. Never call it from an event loop: that would stand still meanwhile."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True).start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """Stops the loop; what runs in it is not waited for."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)


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
