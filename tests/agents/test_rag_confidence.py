"""A written answer says how sure it is, and from a threshold on it is withheld before anything of it is said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from agents.best_of import best_of_rag
from agents.desk import Kit
from agents.multihop import multihop
from agents.rag import RagStrategy
from agents.verify import RuleVerifier
from core.events import CitationMade, Event, SentenceChecked, TokenSaid
from core.offload import Offload
from core.protocols import Strategy
from lm.scripted import Reply, ScriptedLM
from tests.contract.strategy_suite import QUESTION, answer_of, collect
from tests.support.kits import kit_of
from tests.support.passages import PassageRetriever


def events_of(
    library: PassageRetriever, offload: Offload, reply: str, threshold: float, question: str = QUESTION
) -> list[Event]:
    lm = ScriptedLM([reply])
    strategy = RagStrategy(retriever=library, lm=lm, verifier=RuleVerifier(), offload=offload, threshold=threshold)
    return asyncio.run(collect(strategy, question))


def said(events: list[Event]) -> str:
    return "".join(e.text for e in events if isinstance(e, TokenSaid))


TRUE = "The orchard was planted in 1987 by Maria Keller [1]."
HALF = f"{TRUE} Penguins breed on the ice shelves of Antarctica [1]."


def test_confidence_is_the_mean_support_of_its_claims(library: PassageRetriever, offload: Offload) -> None:
    assert answer_of(events_of(library, offload, TRUE, 0.0)).confidence == 1.0
    answer = answer_of(events_of(library, offload, HALF, 0.0))
    assert answer.confidence == pytest.approx(sum(s.score for s in answer.sentences) / 2)


def test_an_abstention_of_the_model_has_none(library: PassageRetriever, offload: Offload) -> None:
    assert answer_of(events_of(library, offload, "I don't know.", 0.0)).confidence == 0.0


def alone(reader: RagStrategy, kit: Kit) -> Strategy:
    return reader


def chosen(reader: RagStrategy, kit: Kit) -> Strategy:
    return best_of_rag(replace(kit, reader=reader), 2)


def hopping(reader: RagStrategy, kit: Kit) -> Strategy:
    return multihop(replace(kit, reader=reader))


@pytest.mark.parametrize("through", [alone, chosen, hopping])
def test_below_the_threshold_nothing_of_the_answer_is_said(
    through: Callable[[RagStrategy, Kit], Strategy], library: PassageRetriever, offload: Offload
) -> None:
    lm = ScriptedLM([Reply(text=HALF, times=0)])
    reader = RagStrategy(retriever=library, lm=lm, verifier=RuleVerifier(), offload=offload, threshold=0.9)
    events = asyncio.run(collect(through(reader, kit_of(library, lm, offload)), QUESTION))
    answer = answer_of(events)
    assert answer.abstained and answer.citations == ()
    assert said(events) == answer.text == "I don't know."
    assert not [e for e in events if isinstance(e, SentenceChecked | CitationMade)]
    assert "below the threshold of 0.90" in answer.reason


def test_a_false_premise_is_named_although_the_answer_is_withheld(library: PassageRetriever, offload: Offload) -> None:
    events = events_of(library, offload, HALF, 0.9, question="Who planted the orchard in 1992?")
    answer = answer_of(events)
    assert answer.abstained
    assert "The question takes “1992” for granted, but the passage says 1987" in answer.reason


def test_above_it_the_answer_is_said_whole(library: PassageRetriever, offload: Offload) -> None:
    events = events_of(library, offload, TRUE, 0.9)
    answer = answer_of(events)
    assert not answer.abstained
    assert said(events) == answer.text
    assert len([e for e in events if isinstance(e, SentenceChecked)]) == 1


def test_an_abstention_of_the_models_own_is_said_as_it_is_without_a_threshold(
    library: PassageRetriever, offload: Offload
) -> None:
    unknown = "The passages do not say who paid for the orchard [1]."
    without, within = (events_of(library, offload, unknown, threshold) for threshold in (0.0, 0.9))
    assert answer_of(within).text == answer_of(without).text == said(within)
    for kind, held in ((SentenceChecked, answer_of(within).sentences), (CitationMade, answer_of(within).citations)):
        assert len([e for e in within if isinstance(e, kind)]) == len(held) == 1
