"""The verifier chooses among several answers; the first, greedy one wins where nothing is better."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from agents.best_of import best_of_cot, best_of_rag
from agents.support import support_of
from agents.verify import RuleVerifier
from core.errors import ModelUnavailable
from core.events import Event, RunFailed, StepTaken
from core.offload import Offload
from core.protocols import Strategy
from core.types import Message
from lm.scripted import Reply, ScriptedLM
from tests.contract.strategy_suite import ORCHARD, QUESTION, StrategySuite, answer_of, collect
from tests.support.kits import kit_of
from tests.support.passages import PassageRetriever

RIGHT = "The orchard was planted in 1987 by Maria Keller."
WRONG = "The orchard was planted in 1902 by Tom Varga."


def drafts(*texts: str) -> ScriptedLM:
    return ScriptedLM([Reply(text=text) for text in texts])


def taken(events: Sequence[Event]) -> str:
    return next(e.step.thought for e in events if isinstance(e, StepTaken) and "is taken" in e.step.thought)


class TestBestOfRag(StrategySuite):
    @pytest.fixture
    def strategy(self, library: PassageRetriever, offload: Offload) -> Strategy:
        def reply(messages: Sequence[Message]) -> str:
            return f"{RIGHT} [1]" if "1987" in messages[-1].content else "I don't know."

        return best_of_rag(kit_of(library, ScriptedLM(reply), offload), 3)


def test_the_answer_that_its_passages_support_is_taken(offload: Offload) -> None:
    kit = kit_of(PassageRetriever([ORCHARD]), drafts(WRONG, RIGHT, WRONG), offload)
    events = asyncio.run(collect(best_of_rag(kit, 3), QUESTION))
    assert answer_of(events).text.startswith(RIGHT[:-1])
    assert taken(events).startswith("Answer 2 of 3")


def test_of_equals_the_greedy_answer_is_taken_and_only_it_was_greedy(offload: Offload) -> None:
    lm = drafts(RIGHT, RIGHT, RIGHT)
    events = asyncio.run(collect(best_of_rag(kit_of(PassageRetriever([ORCHARD]), lm, offload), 3), QUESTION))
    assert taken(events).startswith("Answer 1 of 3")
    assert [(a.params.temperature, a.params.seed) for a in lm.asked] == [(0.0, None), (0.7, 1), (0.7, 2)]


def test_not_to_know_beats_what_nothing_supports_and_loses_to_what_is_supported(offload: Offload) -> None:
    for texts, first in (((WRONG, "I don't know."), "Answer 2"), (("I don't know.", RIGHT), "Answer 2")):
        kit = kit_of(PassageRetriever([ORCHARD]), drafts(*texts), offload)
        assert taken(asyncio.run(collect(best_of_rag(kit, 2), QUESTION))).startswith(first)


def test_chains_of_thought_are_chosen_by_their_answers(offload: Offload) -> None:
    def reply(messages: Sequence[Message]) -> str:
        asked = messages[-1].content
        if not asked.endswith("answer is"):
            made.append(1)
            return f"Reasoning {len(made)}."
        return "Tom Varga." if "Reasoning 1." in asked else "Maria Keller."

    made: list[int] = []
    kit = kit_of(PassageRetriever([ORCHARD]), ScriptedLM(reply), offload)
    assert answer_of(asyncio.run(collect(best_of_cot(kit, 3), QUESTION))).text == "Maria Keller. [1]"


def test_a_model_that_fails_one_draft_fails_the_run_by_its_own_name(offload: Offload) -> None:
    lm = ScriptedLM([Reply(text=RIGHT), Reply(error=ModelUnavailable("gone"))])
    events = asyncio.run(collect(best_of_rag(kit_of(PassageRetriever([ORCHARD]), lm, offload), 2), QUESTION))
    assert isinstance(events[-1], RunFailed)
    assert events[-1].code == "model-unavailable"


def test_what_states_nothing_is_no_claim_and_the_best_passage_decides() -> None:
    library = PassageRetriever([ORCHARD])
    hits = library.search(QUESTION, 4, library.asked_as[0] if library.asked_as else None)  # type: ignore[arg-type]
    claims = support_of(f"Thanks for asking! {RIGHT} [1] {WRONG}", hits, RuleVerifier())
    assert [c.verdict.label == "supported" for c in claims][-2:] == [True, False]
    assert all("[1]" not in c.text for c in claims)
