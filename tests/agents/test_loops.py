"""Every looping strategy keeps the contract, with a model that reasons correctly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from agents.auto import auto, route_of
from agents.desk import AtDesk, Desk, Kit
from agents.multihop import multihop
from agents.nested import with_fallback
from agents.rag import RagStrategy
from agents.react import react
from agents.reflexion import reflexion
from agents.research import research
from agents.self_rag import self_rag
from agents.tot import tot
from agents.verify import RuleVerifier
from core.errors import Busy, OpenbookError, TooLarge
from core.events import Event, RunFailed, StepTaken
from core.offload import Offload
from core.protocols import Strategy
from core.types import Limits, Message, Step, ToolCall
from lm.scripted import Reply, ScriptedLM
from tests.contract.strategy_suite import QUESTION, UNANSWERABLE, StrategySuite, answer_of, collect
from tests.support.kits import kit_of
from tests.support.passages import PassageRetriever
from tests.support.thinking import ANSWER, calls, reasons


@pytest.fixture
def kit(library: PassageRetriever, offload: Offload) -> Kit:
    return kit_of(library, ScriptedLM(reasons), offload)


@pytest.fixture
def calling(library: PassageRetriever, offload: Offload) -> Kit:
    return kit_of(library, ScriptedLM(calls), offload)


def steps(events: list[Event]) -> list[Step]:
    return [e.step for e in events if isinstance(e, StepTaken)]


class TestReact(StrategySuite):
    @pytest.fixture
    def strategy(self, kit: Kit) -> Strategy:
        return react(kit)


class TestReactByToolCalls(StrategySuite):
    @pytest.fixture
    def strategy(self, calling: Kit) -> Strategy:
        return react(calling, native=True)


class TestReflexion(StrategySuite):
    @pytest.fixture
    def strategy(self, kit: Kit) -> Strategy:
        return reflexion(kit)


class TestMultihop(StrategySuite):
    @pytest.fixture
    def strategy(self, kit: Kit) -> Strategy:
        return multihop(kit)


class TestSelfRag(StrategySuite):
    @pytest.fixture
    def strategy(self, kit: Kit) -> Strategy:
        return self_rag(kit)


class TestTot(StrategySuite):
    @pytest.fixture
    def strategy(self, kit: Kit) -> Strategy:
        return tot(kit)


class TestResearch(StrategySuite):
    @pytest.fixture
    def strategy(self, calling: Kit) -> Strategy:
        return research(calling)


def routed(kit: Kit) -> Strategy:
    routes = {
        "rag": lambda: kit.reader,
        "multihop": lambda: multihop(kit),
        "reflexion": lambda: reflexion(kit),
    }
    plans = {"courtesy": ("rag",), "single": ("rag", "multihop"), "several": ("multihop", "reflexion")}
    return auto(kit, routes, plans)  # type: ignore[arg-type]


class TestAuto(StrategySuite):
    @pytest.fixture
    def strategy(self, kit: Kit) -> Strategy:
        return routed(kit)


class TestWithFallback(StrategySuite):
    @pytest.fixture
    def strategy(self, kit: Kit) -> Strategy:
        return with_fallback(kit, react(kit), lambda: kit.reader)


# ------------------------------------------------------------ what is said beside an answer


@pytest.mark.parametrize("loop", [react, reflexion, multihop, self_rag])
def test_a_loop_names_a_false_premise_and_answers_an_objection(loop: Callable[[Kit], Strategy], kit: Kit) -> None:
    named = answer_of(asyncio.run(collect(loop(kit), "Who planted the orchard in 1992?")))
    assert "The question takes “1992” for granted, but the passage says 1987" in named.reason
    history = (Message(role="user", content=QUESTION), Message(role="assistant", content=ANSWER))
    objected = answer_of(asyncio.run(collect(loop(kit), "No, that is wrong, it was Tom Varga.", history=history)))
    assert "the documents stand as before" in objected.reason
    assert "Tom Varga" not in objected.text


# ------------------------------------------------------------ auto


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Hello!", "courtesy"),
        ("Thank you very much", "courtesy"),
        ("What is 12% of 80?", "sum"),
        ("2022-03-01 - 2021-12-25", "sum"),
        ("How much is 3 km in miles?", "sum"),
        ("Who planted the orchard?", "single"),
        ("How many apple trees are there?", "single"),
        ("What happened in 2021?", "single"),
        ("Is the lighthouse taller than the mill?", "several"),
        ("Who planted the orchard and when was the press sold?", "several"),
        ("Where was the architect of the bridge that the company built in the north born?", "several"),
    ],
)
def test_the_route_follows_from_the_question(question: str, kind: str) -> None:
    assert route_of(question).kind == kind


def test_a_sum_is_worked_out_without_model_or_search(kit: Kit) -> None:
    events = asyncio.run(collect(routed(kit), "What is 12% of 80?"))
    assert answer_of(events).text == "12% of 80 = 9.6"
    assert kit.lm.asked == []  # type: ignore[attr-defined]


def test_an_answer_that_holds_is_given_and_no_dearer_route_is_tried(kit: Kit) -> None:
    events = asyncio.run(collect(routed(kit), QUESTION))
    assert answer_of(events).text == ANSWER
    said = [s.thought for s in steps(events)]
    assert said[0].startswith("Route: rag, because one look may do")
    assert any(t.startswith("rag: kept") for t in said)
    assert not any("multihop: " in t for t in said)


def test_a_failed_check_goes_on_to_the_next_route_and_says_why(library: PassageRetriever, offload: Offload) -> None:
    lm = ScriptedLM(
        [
            Reply(text="The orchard was planted by Tom Varga in 1950 [1]."),  # rag
            Reply(text="So the answer is in the passage."),  # multihop: the chain
            Reply(text=ANSWER),  # multihop: the reader
        ]
    )
    events = asyncio.run(collect(routed(kit_of(library, lm, offload)), QUESTION))
    assert answer_of(events).text == ANSWER
    assert any("rag: check failed, 1 of 1 sentences are not supported" in s.thought for s in steps(events))


# ------------------------------------------------------------ reflexion


def test_reflexion_tries_again_with_what_it_learned_and_never_more_than_three(
    library: PassageRetriever, offload: Offload
) -> None:
    def wrong(messages: object) -> Reply:
        prompt = messages[-1].content  # type: ignore[index]
        if prompt.endswith("Reflection:"):
            return Reply(text="I failed because I guessed. I should search for the orchard.")
        return Reply(text="I guess.\nAction 1: finish[Tom Varga planted it in 1950.]")

    lm = ScriptedLM(wrong)
    events = asyncio.run(collect(reflexion(kit_of(library, lm, offload)), QUESTION))
    first_turns = [a.messages[-1].content for a in lm.asked if a.messages[-1].content.endswith("Thought 1:")]
    assert [p.count("- I failed because I guessed.") for p in first_turns] == [0, 1, 2]
    feedback = [s.thought for s in steps(events) if s.thought.startswith("Attempt ")]
    assert len(feedback) == 3
    assert all("does not hold" in f for f in feedback)


def test_reflexion_stops_at_the_first_attempt_that_holds(kit: Kit) -> None:
    events = asyncio.run(collect(reflexion(kit), QUESTION))
    assert [s.thought for s in steps(events) if s.kind == "reflect"] == [
        "Attempt 1 of 3: Every sentence of the answer is supported."
    ]


# ------------------------------------------------------------ self-rag


def test_a_miss_of_self_rag_triggers_a_new_query(library: PassageRetriever, offload: Offload) -> None:
    def judging(messages: object) -> Reply:
        prompt = messages[-1].content  # type: ignore[index]
        if "Write other words" in prompt:
            return Reply(text="lighthouse keeper Port Ellis")
        if "Does the passage hold" in prompt:
            return Reply(text="yes" if "lighthouse" in prompt else "no")
        if "Reply with yes" in prompt:
            return Reply(text="yes")
        if "fully" in prompt:
            return Reply(text="fully")
        if "from 1" in prompt:
            return Reply(text="5")
        return Reply(text="Tom Varga kept it [2].")

    lm = ScriptedLM(judging)
    asyncio.run(collect(self_rag(kit_of(library, lm, offload)), "Who was in charge of the orchard tower?"))
    assert library.queries == ["Who was in charge of the orchard tower?", "lighthouse keeper Port Ellis"]


# ------------------------------------------------------------ limits, circles, fallback


def test_a_model_that_goes_in_circles_is_noticed(library: PassageRetriever, offload: Offload) -> None:
    lm = ScriptedLM(lambda messages: Reply(text=_search_again(messages[-1].content)))
    events = asyncio.run(collect(react(kit_of(library, lm, offload)), QUESTION))
    assert answer_of(events).abstained
    assert "again and again" in answer_of(events).reason
    assert len(lm.asked) == 3


def _search_again(prompt: str) -> str:
    i = prompt.rsplit("Thought ", 1)[1].removesuffix(":")
    return f"I search.\nAction {i}: search[orchard]"


def test_tool_calls_are_bounded(library: PassageRetriever, offload: Offload) -> None:
    lm = ScriptedLM(reasons)
    events = asyncio.run(collect(react(kit_of(library, lm, offload)), QUESTION, limits=Limits(max_tool_calls=0)))
    assert "0 tool calls" in answer_of(events).reason


def test_an_unknown_tool_and_a_wrong_argument_are_answered_with_what_there_is(
    library: PassageRetriever, offload: Offload
) -> None:
    lm = ScriptedLM(
        [
            Reply(tool_calls=(ToolCall(call_id="1", name="send_mail", arguments={"to": "x"}),)),
            Reply(tool_calls=(ToolCall(call_id="2", name="search", arguments={"q": "orchard"}),)),
            Reply(tool_calls=(ToolCall(call_id="3", name="finish", arguments={"answer": "I don't know."}),)),
        ]
    )
    events = asyncio.run(collect(react(kit_of(library, lm, offload), native=True), QUESTION))
    seen = [s.observation for s in steps(events)]
    assert "there is no tool 'send_mail': there are search, lookup, read, outline, table, calculator" in seen
    assert any("unknown argument 'q'" in o and "query (string)" in o for o in seen)
    assert library.queries == []


def test_the_fallback_quotes_where_the_models_answer_fails_its_check(
    library: PassageRetriever, offload: Offload
) -> None:
    kit = kit_of(library, ScriptedLM(lambda m: Reply(text="Nothing.\nAction 1: finish[Penguins planted it.]")), offload)
    spare = RagStrategy(retriever=library, lm=ScriptedLM([ANSWER]), verifier=RuleVerifier(), offload=offload)
    answer = answer_of(asyncio.run(collect(with_fallback(kit, react(kit), lambda: spare), QUESTION)))
    assert answer.text == ANSWER
    assert "failed its check" in answer.reason


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (Busy("slow down"), "busy", "busy"),
        (TooLarge("the prompt does not fit", code="prompt-too-long"), "prompt-too-long", "too-large"),
        (OpenbookError("not on the tape", code="not-recorded"), "not-recorded", "error"),
    ],
)
def test_a_run_within_a_run_breaks_with_the_error_that_it_broke_with(
    error: OpenbookError, code: str, kind: str, library: PassageRetriever, offload: Offload
) -> None:
    async def breaks(desk: Desk, question: str, history: Sequence[Message]) -> None:
        raise error

    kit = kit_of(library, ScriptedLM([ANSWER]), offload)
    outer = with_fallback(kit, AtDesk("test", breaks, kit, ()), lambda: kit.reader)
    failed = asyncio.run(collect(outer, QUESTION))[-1]
    assert isinstance(failed, RunFailed) and (failed.code, failed.kind, failed.message) == (code, kind, error.message)


def test_nothing_found_is_said(kit: Kit) -> None:
    for strategy in (multihop(kit), tot(kit), react(kit)):
        events = asyncio.run(collect(strategy, UNANSWERABLE))
        assert answer_of(events).abstained or answer_of(events).sentences


def test_notes_of_earlier_questions_stand_before_every_attempt(library: PassageRetriever, offload: Offload) -> None:
    lm = ScriptedLM(lambda messages: "I guess.\nAction 1: finish[Tom Varga planted the orchard]")
    notes = ("I failed because I guessed.\nAction 1: finish[x]", "I should search.")
    kit = kit_of(library, lm, offload, notes=notes)
    asyncio.run(collect(reflexion(kit), QUESTION))
    prompts = [a.messages[-1].content for a in lm.asked if a.messages[-1].content.endswith("Thought 1:")]
    assert len(prompts) == 3
    assert all("- I failed because I guessed. Action 1: finish[x]\n- I should search.\n" in p for p in prompts)
    bare = ScriptedLM(lambda messages: "I guess.\nAction 1: finish[Tom Varga planted the orchard]")
    asyncio.run(collect(reflexion(kit_of(library, bare, offload)), QUESTION))
    assert not any("earlier questions" in m.content for a in bare.asked for m in a.messages)
