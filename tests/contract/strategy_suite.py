"""What every strategy must keep, whatever it is and whatever model it uses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from core.events import (
    CitationMade,
    Event,
    RunDone,
    RunFailed,
    RunStarted,
    SentenceChecked,
    StepTaken,
    TokenSaid,
    UsageCounted,
)
from core.protocols import Strategy
from core.types import Answer, Limits, Message
from tests.support.passages import EVERYTHING, PassageRetriever, StoredText

ORCHARD = StoredText(
    doc_id="d-orchard",
    title="The orchard report",
    text=(
        "The orchard was planted in 1987 by Maria Keller. It has 412 apple trees on nine hectares.\n"
        "In 2021 the harvest was 38 tonnes. The cider press was sold to Brandt Foods for 12,500 euros in March 2022."
    ),
)
HARBOUR = StoredText(
    doc_id="d-harbour",
    title="Harbour notes",
    text=(
        "The lighthouse of Port Ellis stands 31 metres high. Its keeper, Tom Varga, retired in 2003. "
        "Ferries to Port Ellis leave every forty minutes in summer."
    ),
)
QUESTION = "Who planted the orchard?"
UNANSWERABLE = "Which orchestra premiered the ninth symphony of Bruckner in Vienna?"


async def collect(
    strategy: Strategy, question: str, *, history: Sequence[Message] = (), limits: Limits | None = None
) -> list[Event]:
    return [
        event
        async for event in strategy.run(
            question, history=history, limits=limits or Limits(), where=EVERYTHING, run_id="r-test"
        )
    ]


def answer_of(events: Sequence[Event]) -> Answer:
    last = events[-1]
    assert isinstance(last, RunDone), last
    return last.answer


class StrategySuite:
    """Subclass it with fixtures ``strategy`` (which can answer QUESTION) and ``library`` (what it reads)."""

    @pytest.fixture
    def library(self) -> PassageRetriever:
        return PassageRetriever([ORCHARD, HARBOUR])

    @pytest.fixture
    def strategy(self, library: PassageRetriever) -> Strategy:
        raise NotImplementedError

    def test_a_run_starts_once_and_ends_once(self, strategy: Strategy) -> None:
        events = asyncio.run(collect(strategy, QUESTION))
        assert isinstance(events[0], RunStarted)
        assert (events[0].run_id, events[0].strategy, events[0].question) == ("r-test", strategy.name, QUESTION)
        ends = [e for e in events if isinstance(e, RunDone | RunFailed)]
        assert ends == [events[-1]]
        assert sum(isinstance(e, RunStarted) for e in events) == 1

    def test_the_tokens_joined_are_the_answer(self, strategy: Strategy) -> None:
        events = asyncio.run(collect(strategy, QUESTION))
        assert "".join(e.text for e in events if isinstance(e, TokenSaid)) == answer_of(events).text

    def test_sentences_are_slices_of_the_answer_in_order(self, strategy: Strategy) -> None:
        answer = answer_of(asyncio.run(collect(strategy, QUESTION)))
        end = 0
        for sentence in answer.sentences:
            assert end <= sentence.start < sentence.end
            assert answer.text[sentence.start : sentence.end] == sentence.text
            assert 0 <= sentence.score <= 1
            end = sentence.end

    def test_every_quote_is_stored_text_and_every_marker_a_citation(
        self, strategy: Strategy, library: PassageRetriever
    ) -> None:
        answer = answer_of(asyncio.run(collect(strategy, QUESTION)))
        for citation in answer.citations:
            assert citation.quote == library.stored(citation.doc_id, citation.start, citation.end)
            assert any(citation.chunk_id == hit.chunk.chunk_id for hit in answer.hits)
            assert answer.text[citation.answer_start : citation.answer_end]
        markers = {c.marker for c in answer.citations}
        assert {m for s in answer.sentences for m in s.citations} == markers
        assert markers == set(range(1, len(markers) + 1))

    def test_events_and_answer_say_the_same(self, strategy: Strategy) -> None:
        events = asyncio.run(collect(strategy, QUESTION))
        answer = answer_of(events)
        assert tuple(e.sentence for e in events if isinstance(e, SentenceChecked)) == answer.sentences
        assert [e.index for e in events if isinstance(e, SentenceChecked)] == list(range(len(answer.sentences)))
        assert tuple(e.citation for e in events if isinstance(e, CitationMade)) == answer.citations

    def test_the_trace_has_every_step_and_all_usage(self, strategy: Strategy) -> None:
        events = asyncio.run(collect(strategy, QUESTION))
        last = events[-1]
        assert isinstance(last, RunDone)
        assert last.trace.steps == tuple(e.step for e in events if isinstance(e, StepTaken))
        assert [s.index for s in last.trace.steps] == list(range(len(last.trace.steps)))
        assert last.trace.answer == last.answer
        assert (last.answer.run_id, last.trace.run_id, last.trace.strategy) == ("r-test", "r-test", strategy.name)
        totals = [e.usage for e in events if isinstance(e, UsageCounted)]
        if totals:
            assert last.trace.usage == totals[-1]

    def test_an_empty_question_fails_and_says_so(self, strategy: Strategy) -> None:
        events = asyncio.run(collect(strategy, " \n "))
        assert [type(e) for e in events] == [RunStarted, RunFailed]
        assert isinstance(events[-1], RunFailed)
        assert events[-1].code == "empty-question"

    def test_time_that_is_up_gives_an_honest_end(self, strategy: Strategy) -> None:
        events = asyncio.run(collect(strategy, QUESTION, limits=Limits(max_seconds=0.0)))
        last = events[-1]
        assert isinstance(last, RunDone)
        assert last.trace.stop_reason == "limit"
        assert "0 seconds" in last.answer.reason

    def test_a_run_can_be_closed_at_every_event(self, strategy: Strategy) -> None:
        async def close_after(n: int) -> int:
            before = asyncio.all_tasks()
            run = strategy.run(QUESTION, history=(), limits=Limits(), where=EVERYTHING, run_id="r-test")
            seen = 0
            async for _ in run:
                seen += 1
                if seen == n:
                    break
            await run.aclose()  # type: ignore[attr-defined]
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == before
            return seen

        total = len(asyncio.run(collect(strategy, QUESTION)))
        for n in range(1, total + 1):
            assert asyncio.run(close_after(n)) == n

    def test_the_search_is_done_as_the_person_who_asks(self, strategy: Strategy, library: PassageRetriever) -> None:
        asyncio.run(collect(strategy, QUESTION))
        assert all(where == EVERYTHING for where in library.asked_as)
