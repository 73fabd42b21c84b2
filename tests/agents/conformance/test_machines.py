"""Fifty random models per method: whatever they say, loop and machine make the same requests and come to the same end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Generator, Iterator, Sequence

import pytest

from agents.cot import cot, self_consistency
from agents.desk import AtDesk, Kit
from agents.multihop import first_sentence, multihop
from agents.react import react
from agents.reflexion import reflexion
from agents.self_rag import self_rag
from agents.tree import IMPOSSIBLE, LIKELY, SURE, Tree, votes_value
from core.events import RunDone, StepTaken
from core.offload import Offload
from core.text import sentence_spans
from core.types import Limits, Message, Step
from lm.scripted import Reply, ScriptedLM
from tests.agents.conformance import machines
from tests.agents.conformance.machines import Outcome, Request, World
from tests.contract.strategy_suite import HARBOUR, ORCHARD, QUESTION, collect
from tests.support.kits import kit_of
from tests.support.passages import PassageRetriever, StoredText

MILL = StoredText(
    doc_id="d-mill",
    title="The mill",
    text="The mill of Port Ellis was built in 1871. Maria Keller bought the mill in 1990. The mill has two wheels.",
)
RUNS = 50
_ACTIONS = (
    "search[orchard]", "search[mill of Port Ellis]", "Search[Maria Keller]", "search[penguins]", "lookup[mill]", "lookup[apple]",
    "Lookup[nothing such]", "finish[1987]", "finish[]", "find[orchard]", "search[orchard", "", "lookup[]", "search[]",
)  # fmt: skip
_THOUGHTS = ("I need the orchard.", "Perhaps the mill.", "", "Maria Keller planted it.\nShe did.")


class Beside:
    """A script that runs a machine beside the loop: it checks each request and answers both alike."""

    def __init__(self, machine: Generator[Request, str, Outcome], rng: random.Random) -> None:
        self.machine = machine
        self.rng = rng
        self.outcome: Outcome | None = None
        self.expected: Request | None = self._next(None)
        self.asked = 0
        self.stops: list[tuple[str, ...]] = []

    def __call__(self, messages: Sequence[Message]) -> Reply:
        self.asked += 1
        assert self.expected is not None, f"the machine has ended, and the loop asks {messages[-1].content[-120:]!r}"
        end, stops = self.expected
        assert messages[-1].content.endswith(end)
        text = self.say(end)
        heard = text
        for stop in stops:
            heard = heard.split(stop)[0]
        self.stops.append(stops)
        self.expected = self._next(heard)
        return Reply(text=text)

    def say(self, end: str) -> str:
        raise NotImplementedError

    def _next(self, heard: str | None) -> Request | None:
        try:
            return next(self.machine) if heard is None else self.machine.send(heard)
        except StopIteration as e:
            self.outcome = e.value
            return None


class ReactModel(Beside):
    """Says thoughts and actions, well formed or not."""

    def say(self, end: str) -> str:
        i = end.rsplit("Thought ", 1)[1].split(":")[0]
        action, thought = self.rng.choice(_ACTIONS), self.rng.choice(_THOUGHTS)
        if end.endswith(f"\nAction {i}:"):
            return f" {action}\nObservation {i}: made up"
        form = self.rng.random()
        if form < 0.15:
            return f" {thought}"  # no action at all
        if form < 0.25:
            return f" {thought}\nAction: {action}"  # without its number
        return f" {thought}\nAction {i}: {action}\nObservation {i}: made up [9]\nThought 9: more"


_ENDS = ("finish[Maria Keller]", "finish[I don't know.]", "finish[Tom Varga planted the orchard]", "finish[]")


class ReflectingModel(ReactModel):
    """Ends its attempts soon, well or badly, and says what it learned."""

    def say(self, end: str) -> str:
        if end.endswith("\nReflection:"):
            return self.rng.choice((" I failed because I guessed.\nI should search.\n\nQ: more", "I should look.", ""))
        if self.rng.random() < 0.4 and end.endswith(":"):
            i = end.rsplit("Thought ", 1)[1].split(":")[0]
            action = self.rng.choice(_ENDS)
            return f" {action}" if end.endswith(f"\nAction {i}:") else f" So.\nAction {i}: {action}"
        return super().say(end)


class JudgingModel(Beside):
    """Says one of the words that it is asked for, or something else."""

    def say(self, end: str) -> str:
        said: tuple[str, ...]
        match end:
            case "Reply with yes or no.":
                said = ("yes", "No.", "Yes, I think", "Perhaps", "")
            case "Reply with fully, partially or no.":
                said = ("fully", "Partially.", "no", "Not known")
            case "Reply with the number.":
                said = ("5", "2 of 5", "3", "many")
            case "Write other words to search for, in one line.":
                said = ("mill of Port Ellis", '"orchard Keller"', "penguins", "", QUESTION, "lighthouse\nand more")
            case _:
                said = ("Maria Keller planted the orchard.", "Tom Varga planted it.", "The mill has two wheels.")
        return self.rng.choice(said)


class ChainModel(Beside):
    """Says sentences of a chain of thought, and an answer where it is read."""

    def say(self, end: str) -> str:
        if end.startswith("Question:"):
            return "Maria Keller planted the orchard in 1987."
        return self.rng.choice(
            (
                "Maria Keller planted the orchard. She is old.",
                "The mill of Port Ellis was built in 1871.",
                "Tom Varga kept the lighthouse.\n\nQ: more?",
                "So the answer is Maria Keller.",
                "",
                "Penguins.",
            )
        )


class ThinkingModel(Beside):
    def say(self, end: str) -> str:
        if end.endswith("the answer is"):
            return self.rng.choice((" 1987.", " Maria Keller\nQ: next", "", " I don't know."))
        return self.rng.choice((" First this. Then that.", "", " One.\nQ: a question of its own", " 1 + 1 = 2"))


@pytest.fixture(scope="module")
def offload() -> Iterator[Offload]:
    pool = Offload(1)
    yield pool
    pool.close()


def sentences(text: str) -> list[str]:
    return [text[a:b] for a, b in sentence_spans(text)]


def run(strategy: AtDesk) -> tuple[RunDone, list[Step]]:
    limits = Limits(max_steps=100, max_tokens=100_000, max_tool_calls=100)
    events = asyncio.run(collect(strategy, QUESTION, limits=limits))
    last = events[-1]
    assert isinstance(last, RunDone), last
    return last, [e.step for e in events if isinstance(e, StepTaken)]


def make(library: PassageRetriever, model: Beside, offload: Offload) -> tuple[Kit, ScriptedLM]:
    lm = ScriptedLM(model, context_tokens=100_000)
    return kit_of(library, lm, offload), lm


def check(model: Beside, lm: ScriptedLM) -> Outcome:
    assert model.outcome is not None, f"the loop ended, and the machine expects {model.expected}"
    assert [a.params.stop for a in lm.asked] == model.stops
    return model.outcome


@pytest.mark.parametrize("seed", range(RUNS))
def test_react(seed: int, offload: Offload) -> None:
    library = PassageRetriever([ORCHARD, HARBOUR, MILL])
    model = ReactModel(machines.react(QUESTION, World(library, sentences)), random.Random(seed))
    kit, lm = make(library, model, offload)
    done, steps = run(react(kit))
    outcome = check(model, lm)
    acts = [s for s in steps if s.kind == "act"]
    assert len(acts) == outcome.turns
    assert [s.observation for s in acts] == outcome.observations
    assert all(a.params.temperature == 0 for a in lm.asked)
    if outcome.answer:
        assert done.answer.text.startswith(outcome.answer)
    else:
        assert done.answer.abstained


@pytest.mark.parametrize("seed", range(RUNS))
def test_ircot(seed: int, offload: Offload) -> None:
    library = PassageRetriever([ORCHARD, HARBOUR, MILL])
    model = ChainModel(machines.ircot(QUESTION, World(library, sentences), first_sentence), random.Random(seed))
    kit, lm = make(library, model, offload)
    run(multihop(kit))
    assert library.queries == check(model, lm).observations


@pytest.mark.parametrize("seed", range(RUNS))
def test_zero_shot_chain_of_thought(seed: int, offload: Offload) -> None:
    model = ThinkingModel(machines.cot(QUESTION), random.Random(seed))
    kit, lm = make(PassageRetriever([]), model, offload)
    done, _ = run(cot(kit))
    outcome = check(model, lm)
    if outcome.answer and outcome.answer != "I don't know.":
        assert done.answer.text == outcome.answer
    else:
        assert done.answer.abstained


@pytest.mark.parametrize("seed", range(RUNS))
def test_reflexion(seed: int, offload: Offload) -> None:
    library = PassageRetriever([ORCHARD, HARBOUR, MILL])
    world = World(library, sentences)

    def holds(answer: str) -> bool:  # of the answers that this model gives
        shown = [library.documents[doc_id].text for doc_id in world.numbers]
        return answer in ("Maria Keller", "1987") and any(answer in text for text in shown)

    model = ReflectingModel(machines.reflexion(QUESTION, world, holds), random.Random(seed))
    kit, lm = make(library, model, offload)
    done, steps = run(reflexion(kit))
    outcome = check(model, lm)
    verdicts = [s.thought for s in steps if s.kind == "reflect" and s.thought.startswith("Attempt ")]
    assert len(verdicts) == outcome.turns
    assert all(v.startswith(expected) for v, expected in zip(verdicts, outcome.observations, strict=True))
    if outcome.answer and outcome.answer != "I don't know.":
        assert done.answer.text.startswith(outcome.answer)
    else:
        assert done.answer.abstained


@pytest.mark.parametrize("seed", range(RUNS))
def test_self_rag(seed: int, offload: Offload) -> None:
    library = PassageRetriever([ORCHARD, HARBOUR, MILL])
    model = JudgingModel(machines.self_rag(QUESTION, World(library, sentences)), random.Random(seed))
    kit, lm = make(library, model, offload)
    done, _ = run(self_rag(kit))
    outcome = check(model, lm)
    assert library.queries == outcome.observations
    if outcome.answer is None:
        assert done.answer.abstained
    else:
        assert done.answer.text.startswith(outcome.answer.rstrip("."))


# What a sample answers, and what counts as the same answer: "" says nothing.
_VOTES = {
    "Maria Keller.": "keller",
    "the Maria Keller": "keller",
    "maria keller": "keller",
    "Tom Varga": "varga",
    "12,500": "12500",
    "12500.": "12500",
    "I don't know.": "",
    "": "",
}


@pytest.mark.parametrize("seed", range(RUNS))
def test_self_consistency(seed: int, offload: Offload) -> None:
    n = 5
    thoughts = [f"Thought {i}." for i in range(n)]
    answers = random.Random(seed).choices(list(_VOTES), k=n)

    def reply(messages: Sequence[Message]) -> Reply:
        sample = lm.asked[-1].params.seed
        assert sample is not None
        return Reply(text=answers[sample] if messages[-1].content.endswith("the answer is") else thoughts[sample])

    lm = ScriptedLM(reply, context_tokens=100_000)
    done, _ = run(self_consistency(kit_of(PassageRetriever([]), lm, offload), n=n))
    head = f"Q: {QUESTION}\nA: Let's think step by step."
    tails = [f"{head} {thought}\nTherefore, the answer is" for thought in thoughts]
    asked = [(a.messages[-1].content, a.params.stop, a.params.seed, a.params.temperature) for a in lm.asked]
    firsts = sorted((seed, stop, heat) for text, stop, seed, heat in asked if text.endswith(head) and seed is not None)
    seconds = sorted((seed, stop, heat) for text, stop, seed, heat in asked if text.endswith("is") and seed is not None)
    assert firsts == [(i, ("\nQ:",), 0.7) for i in range(n)]
    assert seconds == [(i, ("\n",), 0.7) for i in range(n)]
    assert all(text.endswith(tails[sample or 0]) for text, _, sample, _ in asked if text.endswith("is"))
    winner = machines.majority(answers, _VOTES.__getitem__)
    if _VOTES[winner]:
        assert done.answer.text.startswith(winner.rstrip("."))
    else:
        assert done.answer.abstained


class RandomTask:
    """A tree whose proposals and votes follow from a seed and the state."""

    depth = 3

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def propose_prompt(self, state: str) -> str:
        return f"propose {state}"

    def children(self, state: str) -> list[str]:
        rng = random.Random(f"{self.seed} {state}")
        # Few letters, so that a state is proposed twice now and then.
        return [state + rng.choice("abc") for _ in range(rng.randint(0, 4))]

    def proposals(self, state: str, said: str) -> list[str]:
        return said.split()

    def value_prompt(self, state: str) -> str | None:
        # States that are the same but for the order of their letters are judged by one prompt.
        return None if state.endswith("ccc") else f"value {''.join(sorted(state))}"

    def votes(self, prompt: str) -> list[str]:
        rng = random.Random(f"{self.seed} {prompt}")
        return [f"because\n{rng.choice(('sure', 'likely', 'impossible'))}" for _ in range(3)]

    def value(self, state: str, votes: Sequence[str]) -> float:
        return votes_value(votes)


@pytest.mark.parametrize("seed", range(RUNS))
def test_tree_of_thoughts_asks_exactly_as_often_as_its_definition_says(seed: int) -> None:
    task = RandomTask(seed)
    asked = 0

    async def ask(prompt: str, n: int) -> list[str]:
        nonlocal asked
        asked += n
        if prompt.startswith("propose "):
            return [" ".join(task.children(prompt.removeprefix("propose ")))]
        return task.votes(prompt)

    worth = {"sure": SURE, "likely": LIKELY, "impossible": IMPOSSIBLE}

    def value(state: str) -> float:
        return sum(worth[v.split("\n")[1]] for v in task.votes(str(task.value_prompt(state))))

    states, calls = machines.tot_calls(3, 2, task.children, value, task.value_prompt)
    tree = Tree(task, ask)
    assert asyncio.run(tree.breadth_first(keep=2)) == states
    assert asked == calls == tree.proposed + tree.valued
