"""Counting tokens waits for a model that is busy, or is loaded again: no strategy does it in the event loop, where all would wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from agents.best_of import best_of_cot, best_of_rag
from agents.closed_book import ClosedBookStrategy
from agents.cot import cot, self_consistency
from agents.desk import Kit
from agents.full_context import full_context
from agents.hyde import imagine
from agents.limits import Budget
from agents.multihop import multihop
from agents.prompts import Prompts
from agents.query_side import QuerySide
from agents.rag import RagStrategy
from agents.react import react
from agents.reflexion import reflexion
from agents.research import research
from agents.self_rag import self_rag
from agents.tot import tot
from agents.verify import RuleVerifier
from core.around import AroundLM
from core.events import LMEvent
from core.offload import Offload
from core.protocols import Strategy
from core.types import Limits, Message, SamplingParams, ToolSpec
from lm.scripted import ScriptedLM
from tests.contract.strategy_suite import QUESTION, answer_of, collect
from tests.support.kits import kit_of
from tests.support.passages import PassageRetriever
from tests.support.thinking import calls, reasons

STRATEGIES: dict[str, Callable[[Kit], Strategy]] = {
    "rag": lambda kit: RagStrategy(
        retriever=kit.retriever,
        lm=kit.lm,
        verifier=RuleVerifier(),
        offload=kit.offload,
        query_side=kit.query_side,
        policy="repair",
    ),
    "full-context": full_context,
    "closed-book": lambda kit: ClosedBookStrategy(lm=kit.lm),
    "cot": cot,
    "self-consistency": lambda kit: self_consistency(kit, n=2),
    "self-rag": self_rag,
    "multihop": multihop,
    "react": react,
    "react-native": lambda kit: react(kit, native=True),
    "reflexion": reflexion,
    "tot": tot,
    "research": research,
    "best-of-rag": lambda kit: best_of_rag(kit, 2),
    "best-of-cot": lambda kit: best_of_cot(kit, 2),
}
NATIVE = ("react-native", "research")
TALK = (
    Message(role="user", content="What of the orchard?"),
    Message(role="assistant", content="It has 412 apple trees."),
)


class Counted(AroundLM):
    """Notes how often it is made to count, and how often where an event loop runs."""

    counts = in_a_loop = 0

    def count_tokens(self, messages: Sequence[Message]) -> int:
        self.counts += 1
        try:
            asyncio.get_running_loop()
            self.in_a_loop += 1
        except RuntimeError:
            pass
        return super().count_tokens(messages)

    def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], params: SamplingParams
    ) -> AsyncIterator[LMEvent]:
        return self._lm.stream(messages, tools, params)


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_strategy_counts_in_the_event_loop(name: str, library: PassageRetriever, offload: Offload) -> None:
    lm = Counted(ScriptedLM(calls if name in NATIVE else reasons, context_tokens=16_000))
    side = QuerySide(rewrite="lm", decompose=True)
    limits = Limits(max_steps=60, max_tokens=6_000, max_cost=1_000.0, prompt_price=1.0, completion_price=1.0)
    strategy = STRATEGIES[name](kit_of(library, lm, offload, query_side=side))
    answer_of(asyncio.run(collect(strategy, QUESTION, history=TALK, limits=limits)))
    assert lm.counts > 0
    assert lm.in_a_loop == 0


def test_neither_does_what_imagines_passages() -> None:
    lm = Counted(ScriptedLM(reasons))
    asyncio.run(imagine(QUESTION, lm, Prompts(), Budget(Limits()), n=2))
    assert (lm.counts, lm.in_a_loop) == (1, 0)


def test_what_speaks_at_once_speaks_in_its_order(library: PassageRetriever, offload: Offload) -> None:
    lm = ScriptedLM(reasons)
    asyncio.run(collect(best_of_rag(kit_of(library, lm, offload), 6), QUESTION))
    assert [asked.params.seed for asked in lm.asked] == [None, 1, 2, 3, 4, 5]
