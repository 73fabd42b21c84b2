"""A run played back from its tape says the same, event for event, and asks nobody anything."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Any

import pytest

from agents.auto import auto
from agents.cot import cot, self_consistency
from agents.desk import AtDesk, Kit
from agents.full_context import full_context
from agents.multihop import multihop
from agents.rag import RagStrategy
from agents.react import react
from agents.reflexion import reflexion
from agents.research import research
from agents.self_rag import self_rag
from agents.tape_json import hit_from, hit_json
from agents.taping import ReplayedLM, Tape, TapedLibrary, TapedLM, TapedRetriever, TapedStrategy, TapedVerifier
from agents.taping_tools import TapedOutside
from agents.tools.outside import OutsideSession
from agents.tot import tot
from agents.verify import RuleVerifier
from agents.watch import replayed
from core.errors import ModelUnavailable
from core.events import Event, RunDone, RunFailed, StepTaken
from core.offload import Offload
from core.protocols import Strategy
from core.types import (
    Chunk,
    Hit,
    Limits,
    PageSpan,
    Recorded,
    StagePart,
    ToolCall,
    ToolResult,
    ToolSpec,
    Trace,
    Usage,
    Where,
)
from lm.scripted import Reply, ScriptedLM
from tests.contract.strategy_suite import HARBOUR, ORCHARD, QUESTION, collect
from tests.support.kits import PassageShelf, kit_of
from tests.support.passages import PassageRetriever
from tests.support.thinking import calls, reasons

LOOPS: dict[str, tuple[Callable[[Kit], AtDesk], bool]] = {
    "cot": (cot, False),
    "self-consistency": (lambda kit: self_consistency(kit, n=3), False),
    "full-context": (full_context, False),
    "multihop": (multihop, False),
    "self-rag": (self_rag, False),
    "react": (react, False),
    "react by tool calls": (lambda kit: react(kit, native=True), True),
    "reflexion": (reflexion, False),
    "tot": (tot, False),
    "research": (research, True),
}


@pytest.fixture(scope="module")
def offload() -> Iterator[Offload]:
    pool = Offload(2)
    yield pool
    pool.close()


def parts(tape: Tape, lm: ScriptedLM | None, recorded: Trace | None, offload: Offload) -> Kit:
    """A kit that records with ``lm``, or that plays ``tape`` back without one."""
    library = PassageRetriever([ORCHARD, HARBOUR])
    replaying = lm is None
    if lm is not None:
        model: TapedLM | ReplayedLM = TapedLM(lm, tape)
    else:
        known = {"name": "scripted", "context_tokens": 8192, "native_tools": True}
        model = ReplayedLM(tape, known, 120.0, None)
    retriever = TapedRetriever(None if replaying else library, tape, replaying=replaying)
    verifier = TapedVerifier(RuleVerifier(), tape, replaying=replaying)
    kit = kit_of(library, model, offload)
    reader = RagStrategy(retriever=retriever, lm=model, verifier=verifier, offload=offload, query_side=kit.query_side)
    shelf = TapedLibrary(None if replaying else PassageShelf(library), tape, replaying=replaying)
    return replace(kit, retriever=retriever, verifier=verifier, reader=reader, library=shelf)


def timeless(events: list[Event]) -> list[Event]:
    """Without what a clock said."""
    found: list[Event] = []
    for event in events:
        match event:
            case StepTaken(step=step):
                usage = replace(step.usage, duration_s=0.0)
                found.append(StepTaken(step=replace(step, started_s=0.0, duration_s=0.0, usage=usage)))
            case RunDone(answer=answer):
                found.append(RunDone(answer=answer, trace=_EMPTY))
            case RunFailed(code=code, message=message):
                found.append(RunFailed(code=code, message=message, trace=_EMPTY))
            case _:
                found.append(event)
    return [e for e in found if type(e).__name__ != "UsageCounted"]


_EMPTY = Trace(
    run_id="", strategy="", question="", steps=(), answer=None, stop_reason="", settings_hash="", prompt_hash="",
    index_version="", usage=Usage(),
)  # fmt: skip


def through_json(recorded: tuple[Recorded, ...]) -> list[Recorded]:
    return [Recorded(**c) for c in json.loads(json.dumps([asdict(c) for c in recorded]))]


@pytest.mark.parametrize("name", LOOPS)
def test_a_replay_says_the_same_and_asks_nobody(name: str, offload: Offload) -> None:
    make, native = LOOPS[name]
    lm = ScriptedLM(calls if native else reasons)
    tape = Tape()
    strategy = TapedStrategy(make(parts(tape, lm, None, offload)), tape, {})
    first = asyncio.run(collect(strategy, QUESTION))
    done = first[-1]
    assert isinstance(done, RunDone)
    assert sum(c.kind == "model" for c in done.trace.calls) == len(lm.asked)
    again = make(parts(Tape(through_json(done.trace.calls)), None, done.trace, offload))
    second = asyncio.run(collect(again, QUESTION))
    if name in ("self-consistency", "research"):  # what ran side by side may have been noted in another order
        assert second[-1].answer == done.answer  # type: ignore[union-attr]
    else:
        assert timeless(second) == timeless(first)


def test_what_a_model_thought_is_a_step_and_is_replayed(offload: Offload) -> None:
    lm = ScriptedLM([Reply(text="<think>The report may say it.</think> Maria Keller.", times=0)])
    makes: tuple[Callable[[Kit], Strategy], ...] = (cot, lambda kit: kit.reader)
    for make in makes:
        tape = Tape()
        strategy = TapedStrategy(make(parts(tape, lm, None, offload)), tape, {})
        first = asyncio.run(collect(strategy, QUESTION))
        done = first[-1]
        assert isinstance(done, RunDone)
        assert "may say it" not in done.answer.text
        assert "The report may say it." in [s.thought for s in done.trace.steps if s.kind == "plan"]
        again = make(parts(Tape(through_json(done.trace.calls)), None, done.trace, offload))
        assert timeless(asyncio.run(collect(again, QUESTION))) == timeless(first)


def test_a_model_that_failed_fails_again_in_the_same_words(offload: Offload) -> None:
    lm = ScriptedLM([Reply(text="half an", error=ModelUnavailable("the server went away"))])
    tape = Tape()
    first = asyncio.run(collect(TapedStrategy(cot(parts(tape, lm, None, offload)), tape, {}), QUESTION))
    done = first[-1]
    assert isinstance(done, RunFailed)
    again = cot(parts(Tape(through_json(done.trace.calls)), None, done.trace, offload))
    assert timeless(asyncio.run(collect(again, QUESTION))) == timeless(first)


def test_a_limit_on_seconds_is_met_again_without_waiting(offload: Offload) -> None:
    lm = ScriptedLM([Reply(text="so very slow an answer", delta_delay_s=0.2)])
    tape = Tape()
    strategy = TapedStrategy(cot(parts(tape, lm, None, offload)), tape, {})
    first = asyncio.run(collect(strategy, QUESTION, limits=Limits(max_seconds=0.3)))
    done = first[-1]
    assert isinstance(done, RunDone)
    assert done.trace.stop_reason == "limit"
    kit = parts(Tape(through_json(done.trace.calls)), None, done.trace, offload)
    kit = replace(kit, lm=ReplayedLM(Tape(through_json(done.trace.calls)), _known(), 0.3, None))
    assert timeless(asyncio.run(collect(cot(kit), QUESTION))) == timeless(first)


def _known() -> dict[str, object]:
    return {"name": "scripted", "context_tokens": 8192, "native_tools": True}


def test_what_was_not_recorded_is_said(offload: Offload) -> None:
    events = asyncio.run(collect(cot(parts(Tape(), None, None, offload)), QUESTION))
    assert isinstance(events[-1], RunFailed)
    assert "no answer to this search request" in events[-1].message


def test_a_hit_survives_json_whole() -> None:
    chunk = Chunk(
        chunk_id="c1",
        doc_id="d1",
        text="One. Two. Three.",
        start=10,
        end=26,
        n_tokens=6,
        page=2,
        heading_path=("A", "B"),
    )
    matched = Chunk(chunk_id="c2", doc_id="d1", text="Two.", start=15, end=19, n_tokens=2, page=2, parent_id="c1")
    hit = Hit(
        chunk=chunk,
        title="T",
        collection="c",
        score=0.1 + 0.2,
        rank=3,
        source="fused",
        parts={"bm25": StagePart(rank=1, score=1 / 3)},
        pages=(PageSpan(number=2, start=0, end=90),),
        matched=matched,
        duplicates=("d9",),
    )
    assert hit_from(json.loads(json.dumps(hit_json(hit)))) == hit


# ------------------------------------------------------------ ended by the clock


class Hanging:
    """A retriever that answers the first ``n`` searches, and then none for as long as the test lasts."""

    def __init__(self, n: int) -> None:
        self.inner = PassageRetriever([ORCHARD, HARBOUR])
        self.left = n
        self.over = threading.Event()

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        self.left -= 1
        if self.left < 0:
            self.over.wait(20)
        return self.inner.search(query, k, where)


class HangingTool:
    """An Outside with one tool, which never answers."""

    problems = ()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[OutsideSession]:
        yield self

    async def specs(self) -> Sequence[ToolSpec]:
        return [ToolSpec(name="notes_hang", description="", parameters={"type": "object", "properties": {}})]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        await asyncio.sleep(60)
        raise AssertionError


def played(make: Callable[[Kit], Strategy], recorded: Trace, offload: Offload, seconds: float) -> list[Event]:
    """The replay of a run that had so many seconds: with time enough, and with nobody to ask."""
    tape = Tape(through_json(recorded.calls))
    again = replace(
        parts(tape, None, recorded, offload),
        lm=ReplayedLM(tape, _known(), seconds, None),
        outside=TapedOutside(None, tape, replaying=True),
    )
    again = replace(again, reader=reading(again))
    limits = replayed(Limits(max_seconds=60), recorded.inputs.get("late", {}), seconds)
    return asyncio.run(collect(make(again), QUESTION, limits=limits))


def reading(kit: Kit) -> RagStrategy:
    return RagStrategy(
        retriever=kit.retriever, lm=kit.lm, verifier=kit.verifier, offload=kit.offload, query_side=kit.query_side
    )


def test_a_tool_that_never_answers_is_a_step_and_so_it_is_in_the_replay(offload: Offload) -> None:
    lm = ScriptedLM([Reply(tool_calls=(ToolCall(call_id="a", name="notes_hang", arguments={}),), times=0)])
    tape = Tape()

    def make(kit: Kit) -> Strategy:
        return react(kit, native=True)

    kit = replace(parts(tape, lm, None, offload), outside=TapedOutside(HangingTool(), tape))
    first = asyncio.run(collect(TapedStrategy(make(kit), tape, {}), QUESTION, limits=Limits(max_seconds=1.0)))
    done = first[-1]
    assert isinstance(done, RunDone) and done.trace.stop_reason == "limit"
    (step,) = done.trace.steps
    assert step.tool_call is not None and step.tool_call.name == "notes_hang"
    assert step.error == "stopped after 1 seconds, the limit of a run" and step.error in done.answer.reason
    assert [c.response.get("end") for c in done.trace.calls if c.kind == "tool"] == ["closed"]
    assert timeless(played(make, done.trace, offload, 1.0)) == timeless(first)


@pytest.mark.parametrize(
    ("name", "n", "seconds"),
    [("rag", 0, 0.7), ("multihop", 0, 0.7), ("multihop", 1, 2.0), ("react", 0, 0.7), ("react by tool calls", 0, 1.0),
     ("auto", 0, 0.7), ("auto", 1, 2.0)],
)  # fmt: skip
def test_a_search_that_never_ends_is_a_step_and_so_it_is_in_the_replay(name: str, n: int, seconds: float) -> None:
    hanging, pool, tape = Hanging(n), Offload(2), Tape()
    lm = ScriptedLM(calls if name == "react by tool calls" else reasons)

    def make(kit: Kit) -> Strategy:
        if name == "rag":
            return kit.reader
        if name == "auto":
            return auto(kit, {"multihop": lambda: multihop(kit)}, {"single": ("multihop",)})
        return LOOPS[name][0](kit)

    try:
        kit = replace(parts(tape, lm, None, pool), retriever=TapedRetriever(hanging, tape))
        kit = replace(kit, reader=reading(kit))
        first = asyncio.run(collect(TapedStrategy(make(kit), tape, {}), QUESTION, limits=Limits(max_seconds=seconds)))
        done = first[-1]
        assert isinstance(done, RunDone)
        (late,) = [s for s in done.trace.steps if s.error == f"stopped after {seconds:g} seconds, the limit of a run"]
        assert late.tool_call is not None and late.tool_call.name == "search"
        hanging.over.set()  # a search that ends too late is on the tape, perhaps, and yet is not heard
        assert timeless(played(make, done.trace, pool, seconds)) == timeless(first)
    finally:
        hanging.over.set()
        pool.close()


def test_one_chain_of_several_that_hangs_hangs_in_the_replay_and_the_others_are_heard(offload: Offload) -> None:
    says = [Reply(text="The orchard", delta_delay_s=60), *[Reply(text="It says so. " * 20, delta_delay_s=0.002)] * 2]
    lm, tape = ScriptedLM([*says, *["Maria Keller."] * 2]), Tape()
    make, _ = LOOPS["self-consistency"]
    strategy = TapedStrategy(make(parts(tape, lm, None, offload)), tape, {})
    done = asyncio.run(collect(strategy, QUESTION, limits=Limits(max_seconds=1.0)))[-1]
    assert isinstance(done, RunDone) and done.answer.text.startswith("Maria Keller.")
    again = played(make, done.trace, offload, 1.0)[-1]
    assert isinstance(again, RunDone) and again.answer == done.answer
    assert [s.thought for s in again.trace.steps] == [s.thought for s in done.trace.steps]


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.02])
def test_a_run_whose_time_is_up_anywhere_ends_there_again(name: str, seconds: float, offload: Offload) -> None:
    make, native = LOOPS[name]
    tape = Tape()
    kit = parts(tape, ScriptedLM(calls if native else reasons), None, offload)
    first = asyncio.run(collect(TapedStrategy(make(kit), tape, {}), QUESTION, limits=Limits(max_seconds=seconds)))
    done = first[-1]
    assert isinstance(done, RunDone)
    assert timeless(played(make, done.trace, offload, seconds)) == timeless(first)
