"""Turns: a few at work, a bounded number waiting, and a time to come again for the rest."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from app.turns import Turns
from core.errors import Busy


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_fourth_of_two_at_work_and_one_waiting_is_told_to_come_again() -> None:
    async def run() -> None:
        turns, begun, free = Turns("searches", at_once=2, waiting=1), list[int](), asyncio.Event()

        async def one(i: int) -> None:
            async with turns.turn("ada"):
                begun.append(i)
                await free.wait()

        tasks = [asyncio.create_task(one(i)) for i in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert begun == [0, 1] and len(turns) == 3
        with pytest.raises(Busy, match="3 searches are under way or waiting"):
            async with turns.turn("bob"):
                pass
        free.set()
        await asyncio.gather(*tasks)
        assert begun == [0, 1, 2] and len(turns) == 0 and turns.refused == 1 and turns.full() is None

    asyncio.run(run())


def test_one_person_does_not_take_all_the_room() -> None:
    async def run() -> None:
        turns = Turns("checks", at_once=2, waiting=2, each=1)
        async with turns.turn("ada"):
            with pytest.raises(Busy, match="1 checks of yours"):
                async with turns.turn("ada"):
                    pass
            async with turns.turn("bob"):
                pass
        async with turns.turn("ada"):
            pass

    asyncio.run(run())


def test_the_wait_is_what_those_ahead_will_take() -> None:
    async def run() -> None:
        clock = Clock()
        turns = Turns("searches", at_once=2, waiting=1, clock=clock)
        async with turns.turn("ada"):
            clock.now += 10.0
        async with AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(turns.turn("ada"))
            waiting = asyncio.create_task(stack.enter_async_context(turns.turn("ada")))
            await asyncio.sleep(0)
            with pytest.raises(Busy) as refused:
                async with turns.turn("bob"):
                    pass
            assert refused.value.retry_after_s == 15  # 3 ahead × 10 s each / 2 at once
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert len(turns) == 2  # who gave up waiting counts no more

    asyncio.run(run())


def test_work_that_fails_frees_its_place() -> None:
    async def run() -> None:
        turns = Turns("searches", at_once=1, waiting=0)
        for _ in range(3):
            with pytest.raises(ValueError, match="broke"):
                async with turns.turn("ada"):
                    raise ValueError("broke")
        assert len(turns) == 0

    asyncio.run(run())
