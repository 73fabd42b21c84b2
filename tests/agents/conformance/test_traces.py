"""Traces written by hand, each line with its reason where it is not plain: what is asked, where it stops, what comes of it.

A file of ``traces`` holds the traces of one method. "ask" is the end of the prompt, or a part of it that ends with DATA's
mark; "stop" its stop strings; "say" what the model says. Then: "searched", "acts" (steps of that kind), "answer" (its
beginning), "abstained", "unsupported" (its one sentence), "unsaid", "reason" (a part), "reflected" and "planned" (thoughts of that kind),
"expands", "observed" (a part). "call" is a tool call of the model, its arguments as JSON; "question" another question than
the usual. Behind "##" stands the reason.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agents.auto import Kind, auto
from agents.closed_book import ClosedBookStrategy
from agents.cot import cot, self_consistency
from agents.desk import Kit
from agents.multihop import multihop
from agents.react import react
from agents.reflexion import reflexion
from agents.research import research
from agents.self_rag import self_rag
from agents.tot import tot
from core.events import RunDone, StepTaken, TokenSaid
from core.offload import Offload
from core.protocols import Strategy
from core.types import Limits, Message, ToolCall
from lm.scripted import Reply, ScriptedLM
from tests.contract.strategy_suite import HARBOUR, ORCHARD, QUESTION, collect
from tests.support.kits import kit_of
from tests.support.passages import PassageRetriever

TRACES = Path(__file__).parent / "traces"
METHODS: Mapping[str, Callable[[Kit], Strategy]] = {
    "react": react,
    "reflexion": reflexion,
    "cot": cot,
    "multihop": multihop,
    "self_rag": self_rag,
    "tot": tot,
    "self_consistency": lambda kit: self_consistency(kit, n=3),
    "research": research,
    "auto": lambda kit: auto(kit, routes(kit), PLANS),
}
# What these ask side by side comes in no order that matters: a prompt is answered by the first turn left that it fits.
SIDE_BY_SIDE = ("self_consistency", "research")
PLANS: Mapping[Kind, Sequence[str]] = {
    "courtesy": ("closed-book",),
    "single": ("rag", "multihop", "react"),
    "several": ("multihop", "react"),
}


def routes(kit: Kit) -> Mapping[str, Callable[[], Strategy]]:
    return {
        "closed-book": lambda: ClosedBookStrategy(lm=kit.lm),
        "rag": lambda: kit.reader,
        "multihop": lambda: multihop(kit),
        "react": lambda: react(kit),
    }


@dataclass
class Turn:
    ask: str
    stop: tuple[str, ...] | None = None
    say: str = ""
    calls: tuple[ToolCall, ...] = ()

    def fits(self, prompt: str) -> bool:
        return prompt.endswith(self.ask) or (self.ask.endswith("DATA") and self.ask in prompt)


@dataclass
class Written:
    """One trace as it was written."""

    method: str
    title: str
    question: str = QUESTION
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
            case "call":
                name, _, arguments = rest.partition(" ")
                turn = found[-1].turns[-1]
                call = ToolCall(call_id=f"{len(turn.calls)}", name=name, arguments=json.loads(arguments))
                turn.calls = (*turn.calls, call)
            case "question":
                found[-1].question = rest
            case _:
                found[-1].expected.append((word, rest))
    return found


ALL = [written for path in sorted(TRACES.glob("*.txt")) for written in read(path)]


def test_there_are_twelve_of_each_method() -> None:
    counts = {method: sum(w.method == method for w in ALL) for method in METHODS}
    assert all(n >= 12 for n in counts.values()), counts


@pytest.fixture(scope="module")
def offload() -> Iterator[Offload]:
    pool = Offload(1)
    yield pool
    pool.close()


@pytest.mark.parametrize("written", ALL, ids=lambda w: f"{w.method}: {w.title}")
def test_the_loop_does_what_is_written(written: Written, offload: Offload) -> None:
    library = PassageRetriever([ORCHARD, HARBOUR])
    left = list(written.turns)
    said: list[Turn] = []

    def reply(messages: Sequence[Message]) -> Reply:
        prompt = messages[-1].content
        assert left, f"asked once more: {prompt[-200:]!r}"
        turn = left[0]
        if written.method in SIDE_BY_SIDE:
            turn = next((t for t in left if t.fits(prompt)), turn)
        assert turn.fits(prompt), prompt[-400:]
        left.remove(turn)
        said.append(turn)
        return Reply(text=turn.say, tool_calls=turn.calls)

    lm = ScriptedLM(reply, context_tokens=50_000)
    strategy = METHODS[written.method](kit_of(library, lm, offload))
    limits = Limits(max_steps=60, max_tokens=50_000)
    events = asyncio.run(collect(strategy, written.question, limits=limits))
    done = events[-1]
    assert isinstance(done, RunDone), done
    assert len(said) == len(written.turns), f"asked {len(said)} times: {done.answer.reason}"
    for asked, turn in zip(lm.asked, said, strict=True):
        assert turn.stop is None or asked.params.stop == turn.stop
    steps = [e.step for e in events if isinstance(e, StepTaken)]
    for word, rest in written.expected:
        match word:
            case "searched":
                assert library.queries == (rest.split(" | ") if rest else [])
            case "acts":
                assert sum(s.kind == "act" for s in steps) == int(rest)
            case "expands":
                assert sum(s.kind == "expand" for s in steps) == int(rest)
            case "planned":
                assert rest in [s.thought for s in steps if s.kind == "plan"], [s.thought for s in steps]
            case "observed":
                assert any(rest in s.observation for s in steps), [s.observation for s in steps]
            case "unsupported":
                assert [s.verdict for s in done.answer.sentences] == ["unsupported"]
            case "unsaid":
                assert rest not in done.answer.text
                assert rest not in "".join(e.text for e in events if isinstance(e, TokenSaid))
            case "answer":
                assert done.answer.text.startswith(rest)
            case "abstained":
                assert done.answer.abstained
            case "reason":
                assert rest in done.answer.reason
            case "reflected":
                assert rest in [s.thought for s in steps if s.kind == "reflect"], [s.thought for s in steps]
            case _:
                raise AssertionError(f"unknown word {word!r}")
