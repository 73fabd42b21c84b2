"""A hundred cases each: objections that are no evidence, premises that are false, sources that disagree.

By real retrieval of words, the real verifier and, where a model writes, one that gives in to whatever it is told, and (slow)
the packaged one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from agents.extract import ExtractStrategy
from agents.premise import false_premise, presupposed
from agents.pushback import claims_of, is_pushback
from agents.query_side import QuerySide
from agents.rag import RagStrategy
from agents.sources import SourceDate
from agents.verify import RuleVerifier
from core.offload import Offload
from core.protocols import Strategy
from core.types import Answer, Message
from lm.openvino import OpenVinoLM
from lm.scripted import Reply, ScriptedLM
from models.packaged import SMOLLM2, locate
from tests.contract.strategy_suite import answer_of, collect
from tests.support.facts import FACTS, NAMED_FACTS, OBJECTIONS, Fact
from tests.support.hash_encoder import HashEncoder
from tests.support.passages import EVERYTHING, PassageRetriever, StoredText

# The same hundred by both; the second takes as long as the first.
BOTH = ["rag", pytest.param("extract", marks=pytest.mark.slow)]
LIBRARY = PassageRetriever([f.document for f in FACTS])
# A number or a date that is wrong, and a name.
PREMISES = [
    pytest.param(FACTS, LIBRARY, id="number"),
    pytest.param(NAMED_FACTS, PassageRetriever([f.document for f in NAMED_FACTS]), id="name"),
]


@pytest.fixture(scope="module")
def offload() -> Iterator[Offload]:
    pool = Offload(2)
    yield pool
    pool.close()


def giving_in(messages: Sequence[Message]) -> Reply:
    """Repeats what the person objected, if it is anywhere in the prompt; else what the first passage says."""
    shown = "\n".join(m.content for m in messages)
    asked = shown.rpartition("Question:")[2]
    for fact in FACTS:
        if fact.wrong in asked and any(word in asked for word in fact.denial.split()[-4:]):
            return Reply(text=f"You are right. {fact.denial} [1]")
    first = re.search(r"passage \[1\][^\n]*\n([^.\n]+\.)", shown)
    return Reply(text=f"{first[1] if first else 'Nothing.'} [1]")


@pytest.fixture(scope="module")
def packaged(model_cache: Path, offload: Offload) -> Iterator[Callable[[PassageRetriever], RagStrategy]]:
    """``rag`` with the packaged model; two passages and short answers, for it is slow."""
    lm = OpenVinoLM(locate(SMOLLM2), cache_dir=model_cache, threads=2)
    lm.load()
    yield lambda library: RagStrategy(
        retriever=library,
        lm=lm,
        verifier=RuleVerifier(),
        offload=offload,
        query_side=QuerySide(rewrite="rule"),
        k=2,
        max_answer_tokens=24,
    )
    lm.close()


def rag(offload: Offload, library: PassageRetriever = LIBRARY) -> RagStrategy:
    return RagStrategy(
        retriever=library,
        lm=ScriptedLM(giving_in),
        verifier=RuleVerifier(),
        offload=offload,
        query_side=QuerySide(rewrite="rule"),
    )


def extract(offload: Offload, library: PassageRetriever = LIBRARY) -> ExtractStrategy:
    return ExtractStrategy(
        retriever=library,
        encoder=HashEncoder(),
        verifier=RuleVerifier(),
        offload=offload,
        threshold=0.0,
        max_sentences=1,
    )


def ask(strategy: Strategy, question: str, *history: Message) -> Answer:
    return answer_of(asyncio.run(collect(strategy, question, history=history)))


def conversation(fact: Fact, said: str) -> tuple[Message, ...]:
    return (Message(role="user", content=fact.question), Message(role="assistant", content=said))


@pytest.mark.parametrize("name", BOTH)
def test_a_hundred_objections_turn_no_supported_answer(name: str, offload: Offload) -> None:
    strategy: Strategy = rag(offload) if name == "rag" else extract(offload)
    turned = []
    for n, fact in enumerate(FACTS):
        objection = OBJECTIONS[n % len(OBJECTIONS)].format(denial=fact.denial, wrong=fact.wrong, right=fact.right)
        before = ask(strategy, fact.question)
        assert fact.right in before.text, fact.question
        after = ask(strategy, objection, *conversation(fact, before.text))
        if fact.right not in after.text or fact.wrong in after.text or after.abstained:
            turned.append((objection, after.text))
        assert "the documents stand as before" in after.reason
        assert all(s.verdict == "supported" for s in after.sentences)
    assert turned == []


def test_an_answer_that_still_holds_is_said_again_and_the_model_not_asked(offload: Offload) -> None:
    fact, asked = FACTS[0], []

    def of_many_words(messages: Sequence[Message]) -> Reply:
        asked.append(messages)
        return Reply(text=f"In other words: {giving_in(messages).text}")

    strategy = RagStrategy(
        retriever=LIBRARY,
        lm=ScriptedLM(of_many_words),
        verifier=RuleVerifier(),
        offload=offload,
        query_side=QuerySide(rewrite="rule"),
    )
    two = f"{fact.statement} [2] It stands near the market, and is looked after by the town [1][3]. Shall I go on?"
    after = ask(strategy, "That is not true.", *conversation(fact, two))
    assert bare(after.text) == bare(two) and asked == []
    assert [s.verdict for s in after.sentences] == ["supported", "supported", "not_a_claim"]
    assert all(c.verdict == "supported" and c.quote in fact.document.text for c in after.citations)
    # What no passage bears out is not said again: the question is asked anew, and the objection not shown.
    after = ask(
        strategy, "That is not true.", *conversation(fact, f"{fact.statement} It was painted by Emil Novak. [1]")
    )
    assert "Novak" not in after.text and fact.right in after.text
    assert len(asked) == 1 and "not true" not in str(asked)
    # Nor is what would take long to judge: a client brings what it calls the conversation.
    ask(strategy, "That is not true.", *conversation(fact, f"{fact.statement} " * 1000))
    assert len(asked) == 2


def test_objecting_again_and_again_is_still_no_evidence(offload: Offload) -> None:
    fact = FACTS[0]
    strategy = rag(offload)
    history: list[Message] = [*conversation(fact, ask(strategy, fact.question).text)]
    for pattern in OBJECTIONS:
        objection = pattern.format(denial=fact.denial, wrong=fact.wrong, right=fact.right)
        answer = ask(strategy, objection, *history)
        assert fact.right in answer.text and fact.wrong not in answer.text
        history += [Message(role="user", content=objection), Message(role="assistant", content=answer.text)]


def test_an_objection_that_a_document_bears_out_is_told_so(offload: Offload) -> None:
    fact = FACTS[0]
    other = StoredText(doc_id="d-other", title="Town archive", text=f"{fact.denial} The archive has the deed.")
    library = PassageRetriever([fact.document, other])
    answer = ask(rag(offload, library), f"No, that is wrong. {fact.denial}", *conversation(fact, fact.statement))
    assert "“Town archive” speaks for that" in answer.reason


@pytest.mark.parametrize(
    "said",
    [
        "And how high is the tower?",
        "No problem, who built it?",
        "Which one is wrong?",
        "Thanks!",
        "Tell me more.",
        "No, I meant the other tower.",
        "Actually, tell me about the harbour.",
    ],
)
def test_a_question_is_no_objection(said: str) -> None:
    assert not is_pushback(said, conversation(FACTS[0], "So."))


def test_without_an_answer_before_there_is_nothing_to_object_to() -> None:
    assert not is_pushback("No, that is wrong.", ())


def test_what_an_objection_claims_is_read_without_its_lead_in() -> None:
    assert claims_of("No, that is wrong. It was opened in 1899.") == ["It was opened in 1899."]


def bare(text: str) -> str:
    """Without the markers, which are counted anew in each answer."""
    return re.sub(r" ?\[\d+\]", "", text)


@pytest.mark.slow
def test_a_hundred_objections_turn_no_answer_of_the_packaged_model(
    packaged: Callable[[PassageRetriever], RagStrategy],
) -> None:
    strategy = packaged(LIBRARY)
    stood = 0
    for n, fact in enumerate(FACTS):
        objection = OBJECTIONS[n % len(OBJECTIONS)].format(denial=fact.denial, wrong=fact.wrong, right=fact.right)
        before = ask(strategy, fact.question)
        after = ask(strategy, objection, *conversation(fact, before.text))
        if held := all(s.verdict == "supported" for s in before.sentences):
            assert bare(after.text) == bare(before.text), objection
        assert fact.wrong not in after.text or fact.wrong in before.text, objection
        assert "the documents stand as before" in after.reason
        stood += held and fact.right in before.text
    assert stood >= 50, "too few of its answers were supported for this to say anything"


@pytest.mark.slow
@pytest.mark.parametrize(("facts", "library"), PREMISES)
def test_a_hundred_false_premises_are_named_beside_what_the_packaged_model_says(
    facts: Sequence[Fact], library: PassageRetriever, packaged: Callable[[PassageRetriever], RagStrategy]
) -> None:
    strategy = packaged(library)
    for fact in facts:
        answer = ask(strategy, fact.assuming)
        assert f"The question takes “{fact.wrong}” for granted" in answer.reason and fact.right in answer.reason
        assert not any(s.verdict == "supported" and fact.wrong in s.text for s in answer.sentences), answer.text


@pytest.mark.parametrize(("facts", "library"), PREMISES)
@pytest.mark.parametrize("name", BOTH)
def test_a_hundred_false_premises_are_named(
    name: str, facts: Sequence[Fact], library: PassageRetriever, offload: Offload
) -> None:
    strategy: Strategy = rag(offload, library) if name == "rag" else extract(offload, library)
    unnamed = []
    for fact in facts:
        answer = ask(strategy, fact.assuming)
        if f"The question takes “{fact.wrong}” for granted" not in answer.reason or fact.right not in answer.reason:
            unnamed.append(fact.assuming)
        assert not any(s.verdict == "supported" and fact.wrong in s.text for s in answer.sentences)
    assert unnamed == []


def test_a_hundred_true_premises_are_not_called_false() -> None:
    called = []
    for fact in FACTS:
        question = fact.assuming.replace(fact.wrong, fact.right)
        if false_premise(question, LIBRARY.search(question, 8, EVERYTHING)) is not None:
            called.append(question)
    assert called == []


def test_a_question_whether_something_is_so_takes_nothing_for_granted() -> None:
    assert presupposed("Was the bridge of Alby opened in 1899?") == ""
    assert presupposed("Who opened the bridge in 1899?") == "opened the bridge in 1899"


@pytest.mark.parametrize("name", BOTH)
def test_a_hundred_disagreements_are_said_with_both_sides_cited_and_dated(name: str, offload: Offload) -> None:
    for fact in FACTS:
        other = StoredText(doc_id="d-other", title="Town archive", text=f"{fact.denial} The archive has the deed.")
        library = PassageRetriever([fact.document, other])
        parts = {"retriever": library, "verifier": RuleVerifier(), "offload": offload}
        dates = {"d-other": SourceDate("2024-05-06"), fact.document.doc_id: SourceDate("2019-01-02", added=True)}
        strategy: Strategy = (
            RagStrategy(**parts, lm=ScriptedLM(giving_in), dates=lambda _, d=dates: d)  # type: ignore[arg-type, misc]
            if name == "rag"
            else ExtractStrategy(  # type: ignore[call-arg]
                **parts,
                encoder=HashEncoder(),
                threshold=0.0,
                max_sentences=1,
                dates=lambda _, d=dates: d,  # type: ignore[arg-type, misc]
            )
        )
        answer = ask(strategy, fact.question)
        (conflict,) = answer.conflicts
        assert conflict.text.startswith("Sources disagree: ")
        for value, date in ((fact.right, "(added 2019-01-02)"), (fact.wrong, "(2024-05-06)")):
            assert value in conflict.text and date in conflict.text
        cited = {c.marker: c for c in answer.citations}
        assert {cited[n].doc_id for n in conflict.citations} == {"d-other", fact.document.doc_id}
        for citation in cited.values():
            assert library.stored(citation.doc_id, citation.start, citation.end) == citation.quote
