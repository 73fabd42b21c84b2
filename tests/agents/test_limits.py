"""One place says when a run has to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from agents.limits import Budget
from core.errors import LimitReached
from core.types import Limits


def test_steps_and_tokens_and_seconds_each_end_a_run() -> None:
    now = [0.0]
    budget = Budget(Limits(max_steps=2, max_tokens=10, max_seconds=5.0), clock=lambda: now[0])
    budget.take_step()
    budget.take_step()
    with pytest.raises(LimitReached, match="2 steps"):
        budget.take_step()
    budget.spend_tokens(10)
    with pytest.raises(LimitReached, match="10 tokens"):
        budget.spend_tokens(1)
    now[0] = 5.0
    with pytest.raises(LimitReached, match="5 seconds"):
        budget.check()


def test_a_stream_that_hangs_is_closed_when_time_is_up() -> None:
    closed: list[bool] = []

    async def hangs() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.sleep(60)
        finally:
            closed.append(True)

    async def read() -> list[int]:
        seen: list[int] = []
        with pytest.raises(LimitReached, match="seconds"):
            async for item in Budget(Limits(max_seconds=0.1)).stream(hangs()):
                seen.append(item)  # noqa: PERF401 (kept when the stream breaks)
        return seen

    assert asyncio.run(read()) == [1]
    assert closed == [True]
