"""A reasoning model keeps to its loop: what it thinks before each answer takes nothing from the few tokens that an answer may have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from agents.cot import cot
from agents.desk import AtDesk, Kit
from agents.limits import Budget
from agents.multihop import multihop
from agents.react import react
from agents.reflexion import reflexion
from agents.saying import listen
from agents.self_rag import self_rag
from agents.tot import tot
from core.events import RunDone
from core.offload import Offload
from core.types import Limits, Message, SamplingParams, Trace
from lm.openai import OpenAICompatibleLM
from lm.scripted import Reply, ScriptedLM
from tests.contract.strategy_suite import QUESTION, collect
from tests.support.kits import kit_of
from tests.support.model_server import ModelServer, serving
from tests.support.passages import PassageRetriever
from tests.support.thinking import reasons

THOUGHT = " ".join(f"Perhaps {i}." for i in range(150))  # 300 tokens: more than any loop asks for
LOOPS: dict[str, Callable[[Kit], AtDesk]] = {
    "cot": cot, "multihop": multihop, "react": react, "reflexion": reflexion, "self-rag": self_rag, "tot": tot,
}  # fmt: skip


def aloud(messages: Sequence[Message]) -> Reply:
    said = reasons(messages)
    return replace(said, text=f"<think>{THOUGHT}</think>{said.text}")


def run_of(loop: AtDesk, **limits: int) -> Trace:
    events = asyncio.run(collect(loop, QUESTION, limits=Limits(**{"max_steps": 40, "max_tokens": 2000, **limits})))
    last = events[-1]
    assert isinstance(last, RunDone), last
    return last.trace


def answer_of(trace: Trace) -> tuple[str, str]:
    assert trace.answer is not None and not trace.answer.abstained
    return trace.answer.text, trace.stop_reason


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_answers_as_it_does_without_thoughts(name: str, library: PassageRetriever, offload: Offload) -> None:
    plain = run_of(LOOPS[name](kit_of(library, ScriptedLM(reasons), offload)))
    lm = ScriptedLM(aloud, thinks=True, context_tokens=32_000)
    thought = run_of(LOOPS[name](kit_of(library, lm, offload)))
    assert answer_of(thought) == answer_of(plain)
    others = [s.thought for s in thought.steps if s.thought != THOUGHT]
    assert others == [s.thought for s in plain.steps]
    assert len(thought.steps) > len(others)


def test_a_loop_without_room_for_thoughts_gets_no_word_in(library: PassageRetriever, offload: Offload) -> None:
    lm = ScriptedLM(aloud, thinks=True, context_tokens=32_000)
    cut = run_of(self_rag(kit_of(library, lm, offload)), max_thought_tokens=0)
    assert any("said '', which is none of the answers" in step.error for step in cut.steps)


@pytest.mark.parametrize("thinks", [None, True, False])
@pytest.mark.parametrize("name", ["cot", "multihop"])
def test_a_server_that_looks_for_stops_in_the_thought_ends_no_answer_by_it(
    name: str, thinks: bool | None, library: PassageRetriever, offload: Offload
) -> None:
    words = [
        "Maria ",
        "Keller ",
        "planted ",
        "it. ",
        "So ",
        "the ",
        "answer ",
        "is ",
        "Maria ",
        "Keller.",
        "\n\n",
        "Q: ",
    ]
    with serving(ModelServer(words=words)) as server:
        plain = run_of(LOOPS[name](kit_of(library, OpenAICompatibleLM(server.base_url), offload)))
    with serving(ModelServer(words=words, thought=["Who ", "was ", "it?\n\n", "Q: ", "Maria.\n", "Q:"])) as server:
        lm = OpenAICompatibleLM(server.base_url)
        lm.abilities.thinks = thinks  # False: what was said first had no thought before it
        thought = run_of(LOOPS[name](kit_of(library, lm, offload)))
        told = [body for body in server.requests if "stop" in body]
    assert answer_of(thought) == answer_of(plain)
    assert len(told) == (1 if thinks is False else 0)


def listened(budget: Budget, lm: ScriptedLM) -> None:
    async def scene() -> None:
        said = await listen(lm, [Message(role="user", content="Who planted it?")], SamplingParams(max_tokens=8), budget)
        budget.tokens += said.usage.completion_tokens

    asyncio.run(scene())


def test_thoughts_are_counted_apart_and_bounded_over_the_whole_run() -> None:
    lm = ScriptedLM([Reply(text=f"<think>{THOUGHT}</think> Maria Keller.", times=0)], thinks=True)
    budget = Budget(Limits(max_tokens=100, max_thought_tokens=4000))
    listened(budget, lm)
    assert (budget.tokens, budget.thought_tokens) == (2, 300)
    listened(budget, lm)
    assert [a.params.thought_tokens for a in lm.asked] == [4000 // 4, (4000 - 300) // 4]
    assert budget.left().max_thought_tokens == 4000 - 2 * 300
    assert budget.left().max_tokens == 100 - 2 * 2


def test_what_may_be_thought_is_paid_for_like_what_is_said() -> None:
    lm = ScriptedLM([Reply(text="<think>hm</think>Maria.", times=0)], thinks=True)
    budget = Budget(Limits(max_cost=30.0, completion_price=1e6))  # a token costs 1
    listened(budget, lm)
    asked = lm.asked[0].params
    assert (asked.max_tokens, asked.thought_tokens) == (8, 22)
