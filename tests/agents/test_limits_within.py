"""A limit holds for all that runs within a run, and what was found before it was met is given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from agents.auto import auto
from agents.desk import Kit
from agents.limits import Budget
from agents.react import react
from agents.research import research
from agents.tot import tot
from core.events import RunDone
from core.offload import Offload
from core.protocols import Strategy
from core.types import Limits, Message, ToolCall, Trace
from lm.scripted import Reply, ScriptedLM
from tests.contract.strategy_suite import QUESTION, collect
from tests.support.kits import kit_of
from tests.support.passages import PassageRetriever
from tests.support.thinking import reasons

MADE_UP = "Penguins breed on the ice shelves of Antarctica [1]."


def run_of(strategy: Strategy, limits: Limits, question: str = QUESTION) -> Trace:
    last = asyncio.run(collect(strategy, question, limits=limits))[-1]
    assert isinstance(last, RunDone), last
    return last.trace


def tried_in_turn(kit: Kit, *routes: Callable[[], Strategy]) -> Strategy:
    named = {f"route-{n}": route for n, route in enumerate(routes, 1)}
    return auto(kit, named, {"courtesy": (), "single": tuple(named), "several": ()})


def test_what_a_route_thought_leaves_the_next_one_its_words(library: PassageRetriever, offload: Offload) -> None:
    thought = " ".join(f"Perhaps {i}." for i in range(150))  # 300 tokens
    lm = ScriptedLM([Reply(text=f"<think>{thought}</think>{MADE_UP}", times=0)], thinks=True, context_tokens=32_000)
    kit = kit_of(library, lm, offload)
    trace = run_of(tried_in_turn(kit, lambda: kit.reader, lambda: kit.reader), Limits(max_tokens=300))
    assert len(lm.asked) == 2
    said = 300 - lm.asked[1].params.max_tokens
    assert said == pytest.approx(9, abs=2)  # the first one's nine words, as their share of the characters tells
    assert trace.answer is not None and "Not finished" not in trace.answer.reason


def test_steps_and_tool_calls_are_of_all_routes_together(library: PassageRetriever, offload: Offload) -> None:
    def go_on(messages: Sequence[Message]) -> Reply:
        prompt = messages[-1].content.rstrip()
        turn = prompt.rsplit("Thought ", 1)[1].rstrip(":")
        return Reply(text=f"I look.\nAction {turn}: search[orchard {turn} {len(prompt)}]")

    kit = kit_of(library, ScriptedLM(go_on), offload)

    def route() -> Strategy:
        return react(kit, turns=3)

    def searches(limits: Limits) -> tuple[int, str]:
        trace = run_of(tried_in_turn(kit, route, route, route), limits)
        assert trace.answer is not None and trace.stop_reason == "limit"
        calls = [s.tool_call.name for s in trace.steps if s.tool_call is not None]
        return calls.count("search"), trace.answer.reason

    assert searches(Limits(max_steps=40, max_tool_calls=5))[0] == 5
    n, reason = searches(Limits(max_steps=6))  # three turns and three, and none is left for the third route
    assert n == 6 and "Not finished: stopped after 6 steps, the limit of a run." in reason
    assert searches(Limits(max_steps=40))[0] == 9


def test_an_answer_that_nothing_supports_in_full_is_kept_where_a_limit_cut_the_dearer_route(
    library: PassageRetriever, offload: Offload
) -> None:
    half = f"The orchard was planted in 1987 by Maria Keller [1]. {MADE_UP} {MADE_UP}"
    kit = kit_of(library, ScriptedLM([half, Reply(text="I look.\nAction 1: search[orchard]", times=0)]), offload)
    trace = run_of(tried_in_turn(kit, lambda: kit.reader, lambda: react(kit)), Limits(max_steps=3))
    assert trace.answer is not None
    assert trace.answer.text == half


def test_what_an_inner_run_used_is_charged_once() -> None:
    outer = Budget(Limits(max_steps=9, max_tokens=100, max_cost=1.0))
    within = outer.left()
    inner = Budget(within)
    inner.take_step()
    inner.take_tool_call()
    inner.tokens, inner.thought_tokens, inner.cost = 30, 7, 0.25
    for _ in range(2):
        outer.charge(within)
    assert (outer.steps, outer.tool_calls, outer.tokens, outer.thought_tokens, outer.cost) == (1, 1, 30, 7, 0.25)


# ------------------------------------------------------------ what was found before


PARTS = "Who planted the orchard?\nWhen was the orchard's cider press sold?"


def test_of_research_that_runs_out_of_time_the_parts_that_were_answered_are_given(
    library: PassageRetriever, offload: Offload
) -> None:
    def reply(messages: Sequence[Message]) -> Reply:
        if "with the tools you are given" not in messages[0].content:
            return Reply(text=PARTS)
        if messages[-1].role != "tool":
            call = ToolCall(call_id="1", name="search", arguments={"query": messages[-1].content})
            return Reply(text="I look.", tool_calls=(call,))
        if "press" in messages[1].content:
            return Reply(text="Never said.", delay_s=20)
        answer = {"answer": "Maria Keller planted the orchard in 1987 [1]."}
        return Reply(tool_calls=(ToolCall(call_id="2", name="finish", arguments=answer),))

    kit = kit_of(library, ScriptedLM(reply), offload)
    trace = run_of(
        research(kit), Limits(max_steps=40, max_seconds=0.7), "Who planted the orchard, and when was its press sold?"
    )
    assert trace.answer is not None
    assert (trace.answer.text, trace.stop_reason) == ("Maria Keller planted the orchard in 1987 [1].", "limit")
    assert "Not finished: stopped after 0.7 seconds, the limit of a run." in trace.answer.reason


@pytest.mark.parametrize("steps", [6, 7])  # before any answer is weighed, and before the second is
def test_of_answers_to_choose_from_one_is_given_where_they_cannot_be_weighed_to_the_end(
    steps: int, library: PassageRetriever, offload: Offload
) -> None:
    trace = run_of(tot(kit_of(library, ScriptedLM(reasons), offload)), Limits(max_steps=steps))
    assert trace.answer is not None
    assert (trace.answer.text, trace.stop_reason) == ("The orchard was planted in 1987 by Maria Keller [1].", "limit")
    assert f"Not finished: stopped after {steps} steps" in trace.answer.reason
