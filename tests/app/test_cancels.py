"""Runs that are cancelled at random moments leave nothing behind: no generation, no place in the queue, no task."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from agents.best_of import best_of_rag
from agents.cot import cot, self_consistency
from agents.desk import Kit
from agents.multihop import multihop
from agents.react import react
from agents.research import research
from agents.tot import tot
from app.runs import Run, Runs
from core.events import LMEvent
from core.offload import Offload
from core.protocols import LanguageModel, Strategy
from core.types import Limits, Message, SamplingParams, ToolSpec
from lm.openvino import OpenVinoLM
from lm.queue import LMQueue
from lm.scripted import Reply, ScriptedLM
from models.packaged import SMOLLM2, verify
from tests.contract.language_model_suite import cancel_within_s, until_idle
from tests.contract.strategy_suite import HARBOUR, ORCHARD, QUESTION
from tests.support.kits import kit_of
from tests.support.passages import EVERYTHING, PassageRetriever
from tests.support.thinking import calls, reasons

STRATEGIES: dict[str, Callable[[Kit], Strategy]] = {
    "rag": lambda kit: kit.reader,
    "cot": cot,
    "self-consistency": lambda kit: self_consistency(kit, n=4),
    "multihop": multihop,
    "react": react,
    "react by tool calls": lambda kit: react(kit, native=True),
    "research": research,
    "tot": tot,
    "best of 3": lambda kit: best_of_rag(kit, 3),
}


@dataclass
class Watched:
    """A language model that counts the streams which are open; ``native_tools`` as ``inner``."""

    inner: ScriptedLM
    open: int = 0
    begun: int = 0
    native_tools: bool = True
    name: str = "watched"
    context_tokens: int = 32_000
    seen: list[int] = field(default_factory=list)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return self.inner.count_tokens(messages)

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], params: SamplingParams
    ) -> AsyncGenerator[LMEvent, None]:
        self.open += 1
        self.begun += 1
        self.seen.append(self.open)
        try:
            async with aclosing(self.inner.stream(messages, tools, params)) as events:
                async for event in events:
                    yield event
        finally:
            self.open -= 1


def slowly(think: Callable[[Sequence[Message]], str | Reply]) -> Callable[[Sequence[Message]], Reply]:
    def reply(messages: Sequence[Message]) -> Reply:
        said = think(messages)
        made = said if isinstance(said, Reply) else Reply(text=said)
        return Reply(text=made.text, tool_calls=made.tool_calls, delay_s=0.002, delta_delay_s=0.0005)

    return reply


async def cancelled_at_random(
    n: int, library: PassageRetriever, offload: Offload, *, seed: int
) -> tuple[list[Watched], list[LMQueue], int]:
    """``n`` runs, eight at a time, each cancelled within 60 ms; how many had ended before."""
    rng = random.Random(seed)
    models = [Watched(ScriptedLM(slowly(reasons))), Watched(ScriptedLM(slowly(calls)))]
    queues = [LMQueue(cast("LanguageModel", m), max_waiting=400, max_running=3) for m in models]
    runs = Runs(max_running=64)
    ended = 0

    async def keep(_run: Run) -> None:
        await asyncio.sleep(0)

    async def one(i: int) -> None:
        nonlocal ended
        name = list(STRATEGIES)[i % len(STRATEGIES)]
        queue = queues[name in ("react by tool calls", "research")]
        strategy = STRATEGIES[name](kit_of(library, queue.for_user(f"u{i % 5}"), offload))
        run = runs.start(strategy, QUESTION, history=(), limits=Limits(max_steps=40), where=EVERYTHING, on_end=keep)
        await asyncio.sleep(rng.random() * 0.06)
        run.cancel()
        await run.wait()
        ended += run.outcome is not None

    for start in range(0, n, 8):
        await asyncio.gather(*(one(i) for i in range(start, min(n, start + 8))))
    assert len(runs) == 0
    return models, queues, ended


def check(n: int, library: PassageRetriever, offload: Offload, seed: int) -> None:
    async def work() -> None:
        models, queues, ended = await cancelled_at_random(n, library, offload, seed=seed)
        assert [m.open for m in models] == [0, 0]
        assert [(q.status().running, q.status().waiting) for q in queues] == [(0, 0), (0, 0)]
        assert max(n for m in models for n in m.seen) <= 3
        assert ended < n, "nothing was cancelled"
        assert sum(m.begun for m in models) > n // 4, "most were cancelled before they asked anything"
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left

    asyncio.run(work())


@pytest.fixture
def library() -> PassageRetriever:
    return PassageRetriever([ORCHARD, HARBOUR])


@pytest.fixture
def offload() -> Iterator[Offload]:
    pool = Offload(2)
    yield pool
    pool.close()


def test_fifty_runs_cancelled_at_random_leave_nothing(library: PassageRetriever, offload: Offload) -> None:
    check(54, library, offload, seed=6)


@pytest.mark.slow
def test_a_thousand_runs_cancelled_at_random_leave_nothing(library: PassageRetriever, offload: Offload) -> None:
    check(1000, library, offload, seed=66)


@pytest.mark.slow
def test_a_thousand_generations_of_the_packaged_model_cancelled_at_random_leave_nothing(model_cache: Path) -> None:
    lm = OpenVinoLM(verify(SMOLLM2), cache_dir=model_cache)
    lm.load()
    rng = random.Random(666)
    story = [Message(role="user", content="Tell me a long story about a river and its people.")]
    long = [Message(role="user", content="The river rose and fell. " * 120 + "What did it do?")]

    async def said(queue: LMQueue, messages: Sequence[Message]) -> str:
        stream = cast("AsyncGenerator[LMEvent, None]", queue.stream(messages, (), SamplingParams(max_tokens=24)))
        async with aclosing(stream):
            return "".join([getattr(event, "text", "") async for event in stream])

    async def work() -> None:
        queue = LMQueue(lm, max_waiting=100, max_running=4)
        before = await said(queue, story)

        async def one(i: int) -> None:
            task = asyncio.create_task(said(queue, rng.choice((story, long))))
            await asyncio.sleep(rng.random() ** 2 * 1.2)  # most of them early: while they wait, or read
            task.cancel()
            await asyncio.wait([task])

        for start in range(0, 1000, 8):
            await asyncio.gather(*(one(i) for i in range(start, start + 8)))
        status = queue.status()
        assert (status.running, status.waiting) == (0, 0)
        await until_idle(lambda: lm.active, cancel_within_s())
        assert await said(queue, story) == before
        assert len(asyncio.all_tasks()) == 1

    try:
        asyncio.run(work())
    finally:
        lm.close()
