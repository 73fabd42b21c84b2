"""The queue lets so many through, refuses the rest with a time to come back, and is fair among people."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from core.errors import Busy, InvalidRequest, ModelUnavailable
from core.types import SamplingParams
from lm.complete import complete
from lm.queue import LMQueue
from lm.scripted import Reply, ScriptedLM
from tests.contract.language_model_suite import LanguageModelSuite, run, user


def slow(delay_s: float = 0.02) -> ScriptedLM:
    return ScriptedLM([Reply(text="one two three", times=0, delay_s=delay_s)])


class TestTheQueueIsALanguageModelToo(LanguageModelSuite):
    @pytest.fixture
    def lm(self) -> LMQueue:
        return LMQueue(ScriptedLM([Reply(text="word " * 300, times=0)]), max_waiting=4)

    def active(self, lm: LMQueue) -> int:
        status = lm.status()
        return status.running + status.waiting


def test_no_more_run_at_once_than_may() -> None:
    async def scene() -> int:
        queue = LMQueue(slow(), max_waiting=10, max_running=2)
        tasks = [asyncio.create_task(complete(queue, user("?"))) for _ in range(6)]
        most = 0
        while not all(t.done() for t in tasks):
            most = max(most, queue.status().running)
            await asyncio.sleep(0.001)
        assert queue.status().running == queue.status().waiting == 0
        return most

    assert run(scene()) == 2


def test_beyond_the_bound_it_is_busy_and_says_when_to_come_back() -> None:
    async def scene() -> None:
        queue = LMQueue(slow(), max_waiting=2)
        tasks = [asyncio.create_task(complete(queue, user("?"))) for _ in range(3)]  # 1 runs, 2 wait
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="1 requests are with the language model and 2 wait") as caught:
            await complete(queue, user("?"))
        assert caught.value.retry_after_s >= 1
        with pytest.raises(Busy):
            queue.check()
        await asyncio.gather(*tasks)
        queue.check()

    run(scene())


def test_people_take_turns_and_each_keeps_their_order() -> None:
    async def scene() -> list[str]:
        queue = LMQueue(slow(0.001), max_waiting=10)
        done: list[str] = []

        async def ask(person: str, n: int) -> None:
            await complete(queue.for_user(person), user(f"{person}{n}"))
            done.append(f"{person}{n}")

        wanted = [("ann", 1), ("ann", 2), ("ann", 3), ("bob", 1), ("bob", 2), ("cat", 1)]
        tasks = [asyncio.create_task(ask(*w)) for w in wanted]
        await asyncio.gather(*tasks)
        return done

    # ann1 runs at once; then ann, bob and cat in turn.
    assert run(scene()) == ["ann1", "ann2", "bob1", "cat1", "ann3", "bob2"]


def test_cancelling_one_that_waits_frees_its_place() -> None:
    async def scene() -> None:
        queue = LMQueue(slow(), max_waiting=1)
        first, second = (asyncio.create_task(complete(queue, user("?"))) for _ in range(2))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert queue.status().waiting == 0
        third = asyncio.create_task(complete(queue, user("?")))
        assert (await first).text == (await third).text == "one two three"

    run(scene())


def test_an_error_of_the_model_frees_the_place() -> None:
    async def scene() -> None:
        queue = LMQueue(ScriptedLM([Reply(error=ModelUnavailable("gone")), "fine"]), max_waiting=1)
        with pytest.raises(ModelUnavailable):
            await complete(queue, user("?"))
        assert (await complete(queue, user("?"))).text == "fine"

    run(scene())


def test_a_thousand_cancels_at_any_moment_leak_no_place() -> None:
    async def scene() -> None:
        queue = LMQueue(ScriptedLM([Reply(text="a b c d", times=0, delta_delay_s=0)]), max_waiting=2000, max_running=3)
        tasks = [
            asyncio.create_task(complete(queue.for_user(f"u{i % 7}"), user("?"), (), SamplingParams()))
            for i in range(1000)
        ]
        for i, task in enumerate(tasks):
            if i % 3 == 0:
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert queue.status().running == queue.status().waiting == 0
        assert (await complete(queue, user("?"))).text == "a b c d"

    run(scene())


def test_a_queue_that_lets_nobody_through_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        LMQueue(slow(), max_waiting=cast("int", 1), max_running=0)
