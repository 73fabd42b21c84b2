"""One place says when a run has to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from agents.limits import Budget
from agents.looping import Circles
from agents.watch import replayed
from core.errors import LimitReached
from core.events import LMDone, LMEvent, TextDelta
from core.types import Limits, Message, SamplingParams
from lm.scripted import Reply, ScriptedLM


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


def test_while_a_run_within_a_run_waits_for_a_person_both_clocks_stand() -> None:
    now = [0.0]
    outer = Budget(Limits(max_seconds=10.0), clock=lambda: now[0])
    within = outer.left()
    inner = Budget(within, clock=lambda: now[0])
    now[0] = 1.0
    with inner.paused():
        now[0] = 300.0
    outer.charge(within)
    assert outer.seconds_left == inner.seconds_left == 9.0


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


PRICED = Limits(max_cost=0.001, prompt_price=10.0, completion_price=100.0)  # a millionth of that a token
MOST = SamplingParams(max_tokens=8)
FIVE_TOKENS = [Message(role="user", content="one two")]  # 2 words + 3 of the message


def test_a_changed_replay_waits_for_who_is_asked_anew_no_longer_than_its_limit() -> None:
    budget = Budget(replayed(Limits(max_seconds=0.05), None, 0.05))
    with pytest.raises(LimitReached, match=r"stopped after 0\.05 seconds"):
        asyncio.run(asyncio.wait_for(budget.bounded(asyncio.sleep(60)), timeout=5))


def spoken(budget: Budget, lm: ScriptedLM, most: int = 100) -> list[LMEvent]:
    async def read() -> list[LMEvent]:
        return [e async for e in budget.ask(lm, FIVE_TOKENS, SamplingParams(max_tokens=most))]

    return asyncio.run(read())


def test_a_run_pays_for_what_it_read_and_what_was_said() -> None:
    budget = Budget(PRICED)
    spoken(budget, ScriptedLM(["a b c"]))
    assert budget.cost == pytest.approx((5 * 10 + 3 * 100) / 1e6)
    left = budget.left().max_cost
    assert left == pytest.approx(0.001 - 0.00035)


def test_an_answer_is_no_longer_than_what_is_left_can_pay() -> None:
    budget = Budget(PRICED)
    events = spoken(budget, ScriptedLM(["word " * 50]))
    # 0.001 - 5 * 10 / 1e6 = 0.00095, which is 9 words of 100 / 1e6 each
    assert events[-1] == LMDone(finish_reason="length", usage=replace(events[-1].usage, completion_tokens=9))  # type: ignore[union-attr]
    assert budget.cost <= 0.001
    with pytest.raises(LimitReached, match="the limit of a run") as stopped:
        spoken(budget, ScriptedLM(["never asked"]))
    assert stopped.value.code == "limit-cost"


def test_requests_side_by_side_together_cost_no_more_than_the_run_may() -> None:
    lm = ScriptedLM([Reply(text="word " * 8, delta_delay_s=0.001, times=0)])
    budget = Budget(PRICED)

    async def one() -> int:
        try:
            return sum(isinstance(e, TextDelta) for e in [e async for e in budget.ask(lm, FIVE_TOKENS, MOST)])
        except LimitReached:
            return 0

    async def three() -> list[int]:
        return list(await asyncio.gather(one(), one(), one()))

    said = asyncio.run(three())
    assert sum(said) > 0
    assert budget.cost <= 0.001


def test_an_answer_that_is_given_up_is_paid_as_far_as_it_was_heard() -> None:
    budget = Budget(PRICED)

    async def first_word() -> None:
        stream = budget.ask(ScriptedLM(["a b c d"]), FIVE_TOKENS, MOST)
        await anext(stream)
        await stream.aclose()

    asyncio.run(first_word())
    assert budget.cost == pytest.approx((5 * 10 + 1 * 100) / 1e6)


def test_the_same_action_with_the_same_outcome_three_times_is_a_circle() -> None:
    circles = Circles()
    said = [circles.note("search[Orchard]", "nothing"), circles.note("Search[orchard] ", "nothing")]
    assert said == [False, False]
    assert not Circles().in_circles
    assert circles.note("search[orchard]", "nothing")
    assert not circles.note("search[orchard]", "something new")
