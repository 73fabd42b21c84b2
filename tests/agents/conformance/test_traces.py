"""Traces written by hand, each line with its reason where it is not plain: what is asked, where it stops, what comes of it.

A file of ``traces`` holds the traces of one method. "ask" is the end of the prompt, or a part of it that ends with DATA's
mark; "stop" its stop strings; "say" what the model says. Then: "searched", "acts" (steps of that kind), "answer" (its
beginning), "abstained", "reason" (a part), "reflected" (a thought of kind reflect). Behind "##" stands the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agents.cot import cot
from agents.desk import AtDesk, Kit
from agents.multihop import multihop
from agents.react import react
from agents.reflexion import reflexion
from agents.self_rag import self_rag
from agents.tot import tot
from core.events import RunDone, StepTaken
from core.offload import Offload
from core.types import Limits, Message
from lm.scripted import Reply, ScriptedLM
from tests.contract.strategy_suite import HARBOUR, ORCHARD, QUESTION, collect
from tests.support.kits import kit_of
from tests.support.passages import PassageRetriever

TRACES = Path(__file__).parent / "traces"
METHODS: Mapping[str, Callable[[Kit], AtDesk]] = {
    "react": react,
    "reflexion": reflexion,
    "cot": cot,
    "multihop": multihop,
    "self_rag": self_rag,
    "tot": tot,
}


@dataclass
class Turn:
    ask: str
    stop: tuple[str, ...] | None = None
    say: str = ""


@dataclass
class Written:
    """One trace as it was written."""

    method: str
    title: str
    turns: list[Turn] = field(default_factory=list)
    expected: list[tuple[str, str]] = field(default_factory=list)


def read(path: Path) -> list[Written]:
    found: list[Written] = []
    for raw in path.read_text("utf-8").splitlines():
        if raw.startswith("== "):
            found.append(Written(path.stem, raw[3:]))
            continue
        line = raw.split(" ##")[0].rstrip()
        if not line:
            continue
        word, _, rest = line.partition(" ")
        rest = rest.replace("\\n", "\n")
        match word:
            case "ask":
                found[-1].turns.append(Turn(rest))
            case "stop":
                found[-1].turns[-1].stop = tuple(rest.split(" | "))
            case "say":
                found[-1].turns[-1].say = rest
            case _:
                found[-1].expected.append((word, rest))
    return found


ALL = [written for path in sorted(TRACES.glob("*.txt")) for written in read(path)]


def test_there_are_several_of_each_method() -> None:
    assert all(sum(w.method == method for w in ALL) >= 4 for method in METHODS)


@pytest.fixture(scope="module")
def offload() -> Iterator[Offload]:
    pool = Offload(1)
    yield pool
    pool.close()


@pytest.mark.parametrize("written", ALL, ids=lambda w: f"{w.method}: {w.title}")
def test_the_loop_does_what_is_written(written: Written, offload: Offload) -> None:
    library = PassageRetriever([ORCHARD, HARBOUR])
    said: list[str] = []

    def reply(messages: Sequence[Message]) -> Reply:
        assert len(said) < len(written.turns), f"asked once more: {messages[-1].content[-200:]!r}"
        turn = written.turns[len(said)]
        prompt = messages[-1].content
        assert prompt.endswith(turn.ask) or (turn.ask.endswith("DATA") and turn.ask in prompt), prompt[-400:]
        said.append(turn.say)
        return Reply(text=turn.say)

    lm = ScriptedLM(reply, context_tokens=50_000)
    strategy = METHODS[written.method](kit_of(library, lm, offload))
    limits = Limits(max_steps=60, max_tokens=50_000)
    events = asyncio.run(collect(strategy, QUESTION, limits=limits))
    done = events[-1]
    assert isinstance(done, RunDone), done
    assert len(said) == len(written.turns), f"asked {len(said)} times: {done.answer.reason}"
    for asked, turn in zip(lm.asked, written.turns, strict=True):
        assert turn.stop is None or asked.params.stop == turn.stop
    steps = [e.step for e in events if isinstance(e, StepTaken)]
    for word, rest in written.expected:
        match word:
            case "searched":
                assert library.queries == rest.split(" | ")
            case "acts":
                assert sum(s.kind == "act" for s in steps) == int(rest)
            case "answer":
                assert done.answer.text.startswith(rest)
            case "abstained":
                assert done.answer.abstained
            case "reason":
                assert rest in done.answer.reason
            case "reflected":
                assert any(s.kind == "reflect" and s.thought == rest for s in steps)
            case _:
                raise AssertionError(f"unknown word {word!r}")
