"""From memory: nothing is searched, nothing is cited, and every sentence says that it is unverified."""

from __future__ import annotations

import asyncio

import pytest

from agents.closed_book import ClosedBookStrategy
from core.protocols import Strategy
from core.types import Message
from lm.scripted import Reply, ScriptedLM
from tests.contract.strategy_suite import QUESTION, StrategySuite, answer_of, collect
from tests.support.passages import PassageRetriever


class TestClosedBookStrategy(StrategySuite):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return ClosedBookStrategy(lm=ScriptedLM([Reply(text="Maria Keller did. In 1987, I think.", times=0)]))


def test_nothing_is_searched_or_cited_and_all_is_unverified() -> None:
    library = PassageRetriever([])
    lm = ScriptedLM(["Maria Keller did [1]. In 1987."])
    answer = answer_of(asyncio.run(collect(ClosedBookStrategy(lm=lm), QUESTION)))
    assert answer.text == "Maria Keller did. In 1987."
    assert answer.citations == ()
    assert {s.verdict for s in answer.sentences} == {"unverified"}
    assert "memory" in answer.reason
    assert library.queries == []


def test_not_knowing_is_an_abstention() -> None:
    answer = answer_of(asyncio.run(collect(ClosedBookStrategy(lm=ScriptedLM(["I don't know."])), QUESTION)))
    assert answer.abstained


def test_old_turns_are_left_out_before_the_answer_has_no_room() -> None:
    lm = ScriptedLM(["Yes."], context_tokens=200)
    history = [Message(role="user", content="word " * 60), Message(role="assistant", content="Good.")]
    asyncio.run(collect(ClosedBookStrategy(lm=lm), QUESTION, history=history))
    assert [m.content for m in lm.asked[0].messages][1:] == ["Good.", QUESTION]
