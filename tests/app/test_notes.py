"""Which steps of a kept run are what its model learned from a failed attempt."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from agents.auto import auto
from agents.desk import Kit
from agents.nested import with_fallback
from agents.react import react
from agents.reflexion import reflexion
from app.notes import taught_by
from core.events import RunDone
from core.offload import Offload
from core.protocols import Strategy
from core.types import Message
from lm.scripted import Reply, ScriptedLM
from tests.contract.strategy_suite import ORCHARD, QUESTION, collect
from tests.support.kits import kit_of
from tests.support.passages import PassageRetriever


def guesses(messages: Sequence[Message]) -> Reply:
    """Every attempt fails; what is learned begins as the verdicts on attempts do."""
    prompt = messages[-1].content
    if prompt.endswith("Reflection:"):
        return Reply(text=f"Attempt {prompt.count('I guessed') + 1} failed because I guessed.")
    return Reply(text="I guess.\nAction 1: finish[Tom Varga planted it in 1950.]")


def routed(kit: Kit) -> Strategy:
    inner = with_fallback(kit, reflexion(kit), lambda: kit.reader)
    return auto(kit, {"rag": lambda: kit.reader, "reflexion": lambda: inner}, {"single": ("rag", "reflexion")})


@pytest.fixture(scope="module")
def offload() -> Iterator[Offload]:
    pool = Offload(1)
    yield pool
    pool.close()


def kept(strategy: Strategy) -> dict[str, Any]:
    """A run's trace as it is stored."""
    last = asyncio.run(collect(strategy, QUESTION))[-1]
    assert isinstance(last, RunDone), last
    return json.loads(json.dumps(dataclasses.asdict(last.trace), default=str))


@pytest.mark.parametrize(
    "strategy", [reflexion, lambda kit: with_fallback(kit, reflexion(kit), lambda: kit.reader), routed]
)
def test_what_the_model_learned_is_told_from_all_else_that_is_judged(
    strategy: Callable[[Kit], Strategy], offload: Offload
) -> None:
    lm = ScriptedLM(guesses, context_tokens=32_000)
    trace = kept(strategy(kit_of(PassageRetriever([ORCHARD]), lm, offload)))
    assert taught_by(trace) == ["Attempt 1 failed because I guessed.", "Attempt 2 failed because I guessed."]
    assert sum(step["kind"] == "reflect" for step in trace["steps"]) > 2


def test_a_run_that_learned_nothing_teaches_nothing(offload: Offload) -> None:
    lm = ScriptedLM(guesses, context_tokens=32_000)
    kit = kit_of(PassageRetriever([ORCHARD]), lm, offload)
    assert taught_by(kept(with_fallback(kit, react(kit), lambda: kit.reader))) == []


def test_of_runs_kept_before_steps_were_marked_what_a_model_wrote_is_taken(offload: Offload) -> None:
    lm = ScriptedLM(guesses, context_tokens=32_000)
    kit = kit_of(PassageRetriever([ORCHARD]), lm, offload)
    trace = kept(with_fallback(kit, reflexion(kit), lambda: kit.reader))
    trace["steps"] = [{k: v for k, v in step.items() if k != "note"} for step in trace["steps"]]
    assert taught_by(trace) == ["Attempt 1 failed because I guessed.", "Attempt 2 failed because I guessed."]
