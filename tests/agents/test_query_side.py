"""What becomes of a question before it is searched, with a language model whose answers are known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest

from agents.decompose import fuse, read_parts, sub_questions
from agents.extract import ExtractStrategy
from agents.hyde import PASSAGE_TOKENS, imagine
from agents.limits import Budget
from agents.prompts import Prompts
from agents.query_side import PlannedRetriever, QueryPlan, QuerySide
from agents.run import Provenance, Recorder
from agents.verify import RuleVerifier
from core.errors import InvalidRequest, ModelUnavailable
from core.events import Event, RunDone, RunFailed, StepTaken, UsageCounted
from core.offload import Offload
from core.types import Hit, Limits, Message, Where
from lm.scripted import Reply, ScriptedLM
from tests.support.hash_encoder import HashEncoder
from tests.support.passages import EVERYTHING, PassageRetriever, StoredText

CATS = StoredText("d-cats", "Cats", "Cats purr when they are content. Their purr has a frequency of 25 hertz.")
DOGS = StoredText("d-dogs", "Dogs", "Dogs bark when they are alarmed.")
FISH = StoredText("d-fish", "Fish", "Fish swim in water.")
HISTORY = [Message(role="user", content="Why do cats purr?"), Message(role="assistant", content="Contentment.")]


@dataclass
class Expanding:
    """A retriever by shared words that can be expanded: it finds what the passages' words find, too."""

    inner: PassageRetriever
    passages: list[tuple[str, ...]] = field(default_factory=list)

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        return self.inner.search(query, k, where)

    def search_expanded(self, query: str, passages: Sequence[str], k: int, where: Where) -> list[Hit]:
        self.passages.append(tuple(passages))
        return self.inner.search(" ".join((query, *passages)), k, where)


@pytest.fixture
def retriever() -> Expanding:
    return Expanding(PassageRetriever([CATS, DOGS, FISH]))


def budget(tokens: int = 4096) -> Budget:
    return Budget(Limits(max_tokens=tokens))


def plan_of(
    question: str,
    side: QuerySide,
    lm: ScriptedLM | None,
    history: Sequence[Message] = (),
) -> tuple[QueryPlan, list[str]]:
    plan = QueryPlan(question, side, lm, Prompts())
    recorder = Recorder(run_id="r", strategy="test", question=question, provenance=Provenance())

    async def walk() -> list[Event]:
        return [event async for event in plan.steps(recorder, history, budget())]

    steps = [e.step for e in asyncio.run(walk()) if isinstance(e, StepTaken)]
    assert {s.kind for s in steps} <= {"plan"}
    return plan, [s.thought for s in steps]


def test_with_every_switch_off_the_question_is_searched_as_it_is(retriever: Expanding) -> None:
    lm = ScriptedLM([])
    plan, thoughts = plan_of("And how often?", QuerySide(rewrite="off"), lm, HISTORY)
    assert (plan.standalone, plan.beside.around(retriever), thoughts, lm.asked) == (
        "And how often?",
        retriever,
        [],
        [],
    )


def test_a_follow_up_is_rewritten_by_rule_or_by_the_model_as_the_switch_says(retriever: Expanding) -> None:
    plan, thoughts = plan_of("And how loud is it?", QuerySide(rewrite="rule"), None, HISTORY)
    assert plan.standalone == "And how loud is it? (cats purr)"
    assert thoughts == ["Read as a follow-up, asked as: And how loud is it? (cats purr)"]
    lm = ScriptedLM(["How loud is it when cats purr?"])
    plan, thoughts = plan_of("And how loud is it?", QuerySide(rewrite="lm"), lm, HISTORY)
    assert (
        thoughts
        == [f"Read as a follow-up, asked as: {plan.standalone}"]
        == ["Read as a follow-up, asked as: How loud is it when cats purr?"]
    )
    # Without a conversation there is nothing to rewrite, and nobody is asked.
    assert plan_of("How loud is it?", QuerySide(rewrite="lm"), None)[1] == []


def test_hyde_draws_passages_at_different_seeds_and_searches_near_all_of_them(retriever: Expanding) -> None:
    lm = ScriptedLM([Reply(text="Dogs are alarmed.", times=0)])
    plan, thoughts = plan_of("who purrs", QuerySide(hyde=3), lm)
    assert [(a.params.seed, a.params.temperature, a.params.max_tokens) for a in lm.asked] == [
        (seed, 0.7, PASSAGE_TOKENS) for seed in range(3)
    ]
    assert all("who purrs" in a.messages[-1].content for a in lm.asked)
    hits = plan.beside.around(retriever).search("who purrs", 5, EVERYTHING)
    assert retriever.passages == [("Dogs are alarmed.",) * 3]
    assert {h.chunk.doc_id for h in hits} == {"d-cats", "d-dogs"}
    assert "Imagined 3 passages" in thoughts[0] and "Dogs are alarmed." in thoughts[0]


def test_hyde_imagines_as_many_passages_as_the_tokens_of_the_run_allow() -> None:
    lm = ScriptedLM([Reply(text="Cats.", times=0)])
    passages, usage = asyncio.run(imagine("who?", lm, Prompts(), budget(2 * PASSAGE_TOKENS + 5), n=8))
    assert (len(passages), len(lm.asked), usage.completion_tokens) == (2, 2, 2)  # a word is a token
    assert asyncio.run(imagine("who?", ScriptedLM([]), Prompts(), budget(PASSAGE_TOKENS - 1), n=8))[0] == ()


def test_an_imagined_passage_that_fails_leaves_no_other_running() -> None:
    broken = Reply(text="", error=ModelUnavailable("gone"))
    lm = ScriptedLM([broken, Reply(text="slow and slower", delta_delay_s=5.0, times=0)])
    with pytest.raises(ModelUnavailable, match="gone"):
        asyncio.run(imagine("who?", lm, Prompts(), budget(), n=4))
    assert lm.cancelled == 3


def test_a_question_is_split_searched_in_parts_and_the_lists_become_one(retriever: Expanding) -> None:
    lm = ScriptedLM(["1. When do cats purr?\n2. When do dogs bark?\n- What is the meaning of life?"])
    question = "When do cats purr and dogs bark?"
    plan, thoughts = plan_of(question, QuerySide(decompose=True), lm)
    assert thoughts == ["Searched in parts: When do cats purr? | When do dogs bark?"]
    hits = plan.beside.around(retriever).search(question, 2, EVERYTHING)
    assert retriever.inner.queries == [question, "When do cats purr?", "When do dogs bark?"]
    assert [h.rank for h in hits] == [1, 2]
    assert {h.chunk.doc_id for h in hits} == {"d-cats", "d-dogs"}
    assert all(h.source == "parts" and "words" in h.parts for h in hits)


def test_lists_are_fused_by_reciprocal_ranks() -> None:
    found = PassageRetriever([CATS, DOGS, FISH])
    cats_first = found.search("cats purr dogs", 5, EVERYTHING)
    dogs_first = found.search("dogs bark", 5, EVERYTHING)
    fused = fuse([cats_first, dogs_first], 5)
    assert [h.chunk.doc_id for h in fused] == ["d-dogs", "d-cats"]
    assert fused[0].score == pytest.approx(1 / (60 + 2) + 1 / (60 + 1))
    assert fused[1].score == pytest.approx(1 / (60 + 1))
    assert fuse([], 5) == []


def test_parts_that_are_no_parts_are_left_out() -> None:
    question = "Who painted it and when was the painting sold?"
    said = 'Who painted it?\n* who painted it?\n"When was the painting sold?"\n\nSure, here is a poem\n' + question
    assert read_parts(said, question) == ("Who painted it?", "When was the painting sold?")
    assert read_parts("painted " * 60, question) == ()  # longer than a question is
    assert len(read_parts("\n".join(f"What painting {n}?" for n in range(9)), question)) == 3
    assert asyncio.run(sub_questions(question, ScriptedLM([question]), Prompts(), budget()))[0] == ()


def test_a_switch_that_needs_a_model_says_so_where_there_is_none(retriever: Expanding) -> None:
    for side, name in ((QuerySide(hyde=1), "hyde"), (QuerySide(decompose=True), "decompose")):
        with pytest.raises(ModelUnavailable, match=f"{name} needs a language model"):
            plan_of("who purrs?", side, None)
    assert not QuerySide(rewrite="lm").needs_lm(history=False)
    assert QuerySide(rewrite="lm").needs_lm(history=True)


def test_a_retriever_without_vectors_cannot_look_near_imagined_passages() -> None:
    with pytest.raises(InvalidRequest, match="choose dense or hybrid"):
        PlannedRetriever(PassageRetriever([CATS]), passages=["Cats."])
    with pytest.raises(InvalidRequest, match="choose off, rule, lm"):
        QuerySide(rewrite="maybe")  # type: ignore[arg-type]


def test_extraction_searches_as_planned_and_its_trace_says_so(retriever: Expanding) -> None:
    lm = ScriptedLM([Reply(when="Simpler questions", text="What do cats do?"), Reply(text="Dogs bark.", times=0)])
    offload = Offload()
    strategy = ExtractStrategy(
        retriever=retriever,
        encoder=HashEncoder(),
        verifier=RuleVerifier(),
        offload=offload,
        query_side=QuerySide(hyde=2, decompose=True),
        lm=lm,
    )

    async def walk(events: AsyncIterator[Event]) -> list[Event]:
        return [event async for event in events]

    try:
        events = asyncio.run(
            walk(strategy.run("what do cats do", history=(), limits=Limits(), where=EVERYTHING, run_id="r"))
        )
        done = events[-1]
        assert isinstance(done, RunDone)
        assert [s.kind for s in done.trace.steps][:3] == ["plan", "plan", "act"]
        assert done.trace.prompt_hash
        assert any(isinstance(e, UsageCounted) for e in events)
        without = ExtractStrategy(
            retriever=retriever,
            encoder=HashEncoder(),
            verifier=RuleVerifier(),
            offload=offload,
            query_side=QuerySide(hyde=2),
        )
        failed = asyncio.run(
            walk(without.run("what do cats do", history=(), limits=Limits(), where=EVERYTHING, run_id="r"))
        )[-1]
        assert isinstance(failed, RunFailed) and failed.code == "model-unavailable"
    finally:
        offload.close()
