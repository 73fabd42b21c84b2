"""What becomes of an unsupported sentence: marked, mended or left out; the original is always in the trace."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import pytest

from agents.gate import AnswerPolicy
from agents.rag import RagStrategy
from agents.verify import RuleVerifier
from core.events import CitationMade, Event, RunDone, SentenceChecked, TokenSaid
from core.offload import Offload
from core.protocols import Strategy
from core.types import Limits
from lm.scripted import Reply, Script, ScriptedLM
from tests.contract.strategy_suite import HARBOUR, ORCHARD, QUESTION, StrategySuite, answer_of, collect
from tests.support.passages import PassageRetriever

TRUE = "The orchard was planted in 1987 by Maria Keller [1]."
FALSE = "Penguins breed among the apple trees of the orchard [1]."
WRONG_YEAR = "The orchard was planted in 1992 by Maria Keller [1]."


def rag(offload: Offload, script: Script, policy: AnswerPolicy) -> RagStrategy:
    return RagStrategy(
        retriever=PassageRetriever([ORCHARD, HARBOUR]),
        lm=ScriptedLM(script),
        verifier=RuleVerifier(),
        offload=offload,
        policy=policy,
    )


def run(offload: Offload, script: Script, policy: AnswerPolicy, limits: Limits | None = None) -> list[Event]:
    events = asyncio.run(collect(rag(offload, script, policy), QUESTION, limits=limits))
    answer = answer_of(events)
    assert "".join(e.text for e in events if isinstance(e, TokenSaid)) == answer.text
    for sentence in answer.sentences:
        assert answer.text[sentence.start : sentence.end] == sentence.text
    if not answer.abstained:
        assert [e.sentence for e in events if isinstance(e, SentenceChecked)] == list(answer.sentences)
        assert [e.citation for e in events if isinstance(e, CitationMade)] == list(answer.citations)
    stored = {ORCHARD.doc_id: ORCHARD.text, HARBOUR.doc_id: HARBOUR.text}
    for citation in answer.citations:
        assert stored[citation.doc_id][citation.start : citation.end] == citation.quote
    written = {int(n) for n in re.findall(r"\[(\d+)\]", answer.text)}
    assert written == {c.marker for c in answer.citations}
    return events


def observations(events: Sequence[Event]) -> str:
    last = events[-1]
    assert isinstance(last, RunDone)
    return "\n".join(f"{s.thought}\n{s.observation}" for s in last.trace.steps)


def said(events: Sequence[Event]) -> str:
    return answer_of(events).text


@pytest.mark.parametrize("policy", ["repair", "strict"])
class TestEveryPolicyIsAStrategy(StrategySuite):
    @pytest.fixture
    def strategy(self, policy: AnswerPolicy, offload: Offload) -> Strategy:
        return rag(offload, [Reply(text=f"{TRUE} It has 412 apple trees. [1]", times=0)], policy)


def test_marked_the_sentence_stays_and_is_shown_as_unsupported(offload: Offload) -> None:
    events = run(offload, [f"{TRUE} {FALSE}"], "mark")
    assert [s.verdict == "supported" for s in answer_of(events).sentences] == [True, False]
    assert "Penguins" in said(events)


def test_strict_leaves_it_out_and_says_so(offload: Offload) -> None:
    events = run(offload, [f"{TRUE} {FALSE} It has 412 apple trees [1]."], "strict")
    assert said(events) == "The orchard was planted in 1987 by Maria Keller [1]. It has 412 apple trees [3]."
    assert answer_of(events).reason == "Not supported by the passages: 1 sentence left out."
    assert "Penguins" in observations(events)


def test_strict_withholds_an_answer_of_which_nothing_is_supported(offload: Offload) -> None:
    answer = answer_of(run(offload, [f"Here is what I found: {FALSE} {WRONG_YEAR}"], "strict"))
    assert answer.abstained
    assert answer.text == "I don't know."
    assert "left out" in answer.reason


def test_a_repaired_sentence_is_the_models_second_try_if_that_is_supported(offload: Offload) -> None:
    events = run(offload, [f"{WRONG_YEAR} It has 412 apple trees [1].", TRUE], "repair")
    assert said(events).startswith("The orchard was planted in 1987 by Maria Keller")
    assert [s.verdict for s in answer_of(events).sentences] == ["supported", "supported"]
    assert "planted in 1992" in observations(events)
    assert "Rewritten as" in observations(events)


def test_a_second_try_that_is_wrong_too_gives_way_to_a_quotation(offload: Offload) -> None:
    events = run(offload, [WRONG_YEAR, "It was planted in 1993 [1]."], "repair")
    assert said(events) == "The orchard was planted in 1987 by Maria Keller. [1]"
    assert answer_of(events).citations[0].quote == "The orchard was planted in 1987 by Maria Keller."


def test_what_nothing_speaks_of_is_left_out(offload: Offload) -> None:
    events = run(offload, [f"{TRUE} Penguins are flightless seabirds of Antarctica.", "I don't know."], "repair")
    assert said(events) == "The orchard was planted in 1987 by Maria Keller [1]."
    assert "flightless" in observations(events)


def test_a_repair_cannot_fabricate_a_citation(offload: Offload) -> None:
    events = run(offload, [WRONG_YEAR, "The orchard was planted in 1987 by Maria Keller [77]."], "repair")
    assert "77" not in said(events)
    assert {c.doc_id for c in answer_of(events).citations} == {ORCHARD.doc_id}


def test_each_sentence_is_rewritten_at_most_once(offload: Offload) -> None:
    lm = ScriptedLM([Reply(text=WRONG_YEAR), Reply(text=WRONG_YEAR, times=0)])
    strategy = RagStrategy(
        retriever=PassageRetriever([ORCHARD]), lm=lm, verifier=RuleVerifier(), offload=offload, policy="repair"
    )
    asyncio.run(collect(strategy, QUESTION))
    assert len(lm.asked) == 2
    assert all(asked.tools == () for asked in lm.asked)


def test_dont_know_stays_an_abstention(offload: Offload) -> None:
    policies: tuple[AnswerPolicy, ...] = ("mark", "repair", "strict")
    for policy in policies:
        answer = answer_of(run(offload, ["I don't know."], policy))
        assert (answer.abstained, answer.text) == (True, "I don't know.")


def test_no_tokens_left_means_a_quotation_rather_than_a_rewrite(offload: Offload) -> None:
    events = run(offload, [f"{WRONG_YEAR} {FALSE}"], "repair", Limits(max_tokens=18))
    assert all(s.verdict == "supported" for s in answer_of(events).sentences)
