"""Waits for slow work as long as somebody wants it: a language model may write for minutes, and a cancel must not wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_LOOK_S = 1.0


async def while_wanted(work: Coroutine[Any, Any, T], check: Callable[[], Awaitable[None]]) -> T:
    """What ``work`` returns or raises. ``check`` is asked every second, and what it raises ends the work and comes out of here."""
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait({task}, timeout=_LOOK_S))[0]:
            await check()
        return task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
