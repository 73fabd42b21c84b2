"""A run played back from its tape says the same, event for event, and asks nobody anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace

import pytest

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
from agents.tot import tot
from agents.verify import RuleVerifier
from core.errors import ModelUnavailable
from core.events import Event, RunDone, RunFailed, StepTaken
from core.offload import Offload
from core.protocols import Strategy
from core.types import Chunk, Hit, Limits, PageSpan, Recorded, StagePart, Trace, Usage
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
