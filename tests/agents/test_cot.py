"""Chain of thought and self-consistency: the papers' prompts, and votes reckoned by hand."""

from __future__ import annotations

import asyncio

import pytest

from agents.cot import Chain, cot, load_examples, normalised, self_consistency, vote
from agents.full_context import full_context
from agents.prompts import Prompts
from core.events import StepTaken
from core.offload import Offload
from core.protocols import Strategy
from core.types import Limits, Usage
from lm.scripted import Reply, ScriptedLM
from tests.contract.strategy_suite import ORCHARD, QUESTION, StrategySuite, answer_of, collect
from tests.support.kits import kit_of
from tests.support.passages import PassageRetriever

THOUGHT = "The report says that Maria Keller planted the orchard in 1987."


def thinks_then_answers() -> list[Reply]:
    return [Reply(when="Therefore, the answer is", text="Maria Keller.", times=0), Reply(text=THOUGHT, times=0)]


class TestCot(StrategySuite):
    @pytest.fixture
    def strategy(self, library: PassageRetriever, offload: Offload) -> Strategy:
        return cot(kit_of(library, ScriptedLM(thinks_then_answers()), offload))


class TestSelfConsistency(StrategySuite):
    @pytest.fixture
    def strategy(self, library: PassageRetriever, offload: Offload) -> Strategy:
        return self_consistency(kit_of(library, ScriptedLM(thinks_then_answers()), offload), n=3)


class TestFullContext(StrategySuite):
    @pytest.fixture
    def strategy(self, library: PassageRetriever, offload: Offload) -> Strategy:
        said = "The orchard was planted in 1987 by Maria Keller [1]."
        return full_context(kit_of(library, ScriptedLM([Reply(text=said, times=0)]), offload))


def test_zero_shot_asks_twice_with_the_papers_words(offload: Offload) -> None:
    lm = ScriptedLM(thinks_then_answers())
    nothing = PassageRetriever([])
    asyncio.run(collect(cot(kit_of(nothing, lm, offload)), QUESTION))
    first, second = (a.messages[0].content for a in lm.asked)
    assert first == f"Q: {QUESTION}\nA: Let's think step by step."
    assert second == f"Q: {QUESTION}\nA: Let's think step by step. {THOUGHT}\nTherefore, the answer is"


def test_few_shot_asks_once_after_examples(offload: Offload) -> None:
    lm = ScriptedLM([f"{THOUGHT} Therefore, the answer is Maria Keller."])
    strategy = cot(kit_of(PassageRetriever([ORCHARD]), lm, offload), examples=load_examples(Prompts()))
    answer = answer_of(asyncio.run(collect(strategy, QUESTION)))
    assert len(lm.asked) == 1
    prompt = lm.asked[0].messages[0].content
    assert prompt.count("\nQ: ") + prompt.startswith("Q: ") == 1 + 4  # the question, and the four examples most like it
    assert prompt.endswith(f"Q: {QUESTION}\nA:")
    assert answer.text == "Maria Keller. [1]"
    assert answer.sentences[0].verdict == "supported"


def chain(answer: str, logprob: float | None = None) -> Chain:
    return Chain(reasoning="", answer=answer, usage=Usage(), logprob=logprob)


def test_the_majority_wins_and_spelling_does_not_split_it() -> None:
    winner, votes = vote([chain("1,200."), chain("Paris"), chain("1200"), chain("the 1200")])
    assert winner.answer == "1,200."
    assert votes == [("1,200.", 3), ("Paris", 1)]


def test_a_tie_goes_to_the_higher_mean_logprob_then_to_the_earlier() -> None:
    assert vote([chain("a b", -1.0), chain("c", -0.5)])[0].answer == "c"
    assert vote([chain("x"), chain("y")])[0].answer == "x"
    assert vote([chain("x"), chain("y", -3.0)])[0].answer == "y"  # nothing is known in favour of x


def test_a_chain_is_as_likely_as_its_reasoning_and_its_answer(offload: Offload) -> None:
    """One vote each: −(4·1 + 2·0)/6 = −0.67 is more than −(4·0.5 + 2·2)/6 = −1, although its reasoning is the less likely."""
    lm = ScriptedLM(
        [
            Reply(when="step by step. Red", text="Maria Keller.", logprobs=(0.0, 0.0)),
            Reply(when="step by step. Blue", text="Nobody else.", logprobs=(-2.0, -2.0)),
            Reply(text="Blue b b b", logprobs=(-0.5,) * 4),
            Reply(text="Red r r r", logprobs=(-1.0,) * 4),
        ]
    )
    strategy = self_consistency(kit_of(PassageRetriever([ORCHARD]), lm, offload), n=2)
    answer = answer_of(asyncio.run(collect(strategy, QUESTION)))
    assert answer.text.startswith("Maria Keller")
    assert answer.logprob == 0.0  # of the tokens of the answer alone


def test_an_abstention_wins_only_where_nothing_else_was_said() -> None:
    unknown = chain("I don't know.")
    assert vote([unknown, unknown, chain("7")])[0].answer == "7"
    assert vote([unknown, unknown])[0].answer == "I don't know."


def test_normalised_keeps_decimals_and_signs() -> None:
    assert normalised("The answer: -3.5 %.") == "answer -3.5 %"


def test_self_consistency_samples_n_chains_and_says_how_they_voted(offload: Offload) -> None:
    lm = ScriptedLM(thinks_then_answers())
    events = asyncio.run(collect(self_consistency(kit_of(PassageRetriever([ORCHARD]), lm, offload), n=5), QUESTION))
    assert len(lm.asked) == 2 * 5
    assert sorted({a.params.seed or 0 for a in lm.asked}) == [0, 1, 2, 3, 4]
    thoughts = [e.step.thought for e in events if isinstance(e, StepTaken)]
    assert any("5 of 5 samples voted: 5 × Maria Keller." in t for t in thoughts)


def test_samples_that_a_limit_cut_off_do_not_silence_the_others(offload: Offload) -> None:
    # What may be said is set aside while it is said: the first chain takes all of it, the others find none.
    lm = ScriptedLM(thinks_then_answers())
    strategy = self_consistency(kit_of(PassageRetriever([ORCHARD]), lm, offload), n=5)
    answer = answer_of(asyncio.run(collect(strategy, QUESTION, limits=Limits(max_tokens=58))))
    assert answer.text.startswith("Maria Keller")
    assert "58 tokens" in answer.reason


def test_what_does_not_fit_whole_is_said_and_its_passages_are_read(offload: Offload) -> None:
    lm = ScriptedLM([Reply(text="The orchard was planted in 1987.", times=0)], context_tokens=300)
    long = type(ORCHARD)(
        doc_id="d-long",
        title="Orchard",
        text=ORCHARD.text + " More of it." * 300,
        cuts=((0, len(ORCHARD.text)), (len(ORCHARD.text), len(ORCHARD.text) + 12 * 300)),
    )
    events = asyncio.run(collect(full_context(kit_of(PassageRetriever([long]), lm, offload)), QUESTION))
    assert any("does not fit whole" in e.step.thought for e in events if isinstance(e, StepTaken))
    assert answer_of(events).citations
