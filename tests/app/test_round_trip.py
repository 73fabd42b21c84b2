"""Made questions are kept only if their passages can be found, and one over two passages rather if it needs both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.question_making import FOUND_WITHIN, ONE_LOOK, RoundTrip
from core.types import Principal
from eval.questions import Gold, MadeQuestion
from tests.support.passages import PassageRetriever, StoredText

MILL = StoredText("mill", "", "The oak mill was built by Ada Vance.")
PAY = StoredText("pay", "", "Ada Vance was paid 340 crowns.")


@dataclass
class Searching:
    """As much of the services as a round trip asks: an engine with two retrievers, here the same."""

    documents: list[StoredText]

    @property
    def engine(self) -> Searching:
        return self

    def retriever(self, name: str) -> PassageRetriever:
        del name
        return PassageRetriever(self.documents)


def tried(documents: list[StoredText], **changes: Any) -> tuple[str, RoundTrip]:
    golds = [Gold(doc_id=d.doc_id, title="", start=0, end=len(d.text)) for d in (MILL, PAY)]
    question = MadeQuestion(
        question="X is the name in: the oak mill built by X. Which number completes: X was paid ____ crowns?",
        answers=("340",),
        answerable=True,
        kind="multi-hop",
        gold=tuple(golds),
        split="test",
        hops=("the oak mill was built by ____", changes.pop("second_hop", "Ada Vance was paid ____ crowns")),
        shortcut="was paid ____ crowns",
    )
    services: Any = Searching(documents)
    trip = RoundTrip(services, Principal(user_id="local"), "c")
    return trip(question), trip


def test_a_question_whose_second_passage_is_found_without_the_name_is_put_off() -> None:
    worth, trip = tried([MILL, PAY])
    assert (worth, trip.one_passage) == ("later", 1)


def test_where_others_say_the_same_of_other_names_both_are_needed() -> None:
    others = [StoredText(f"o{i}", "", f"Clerk {i} was paid {i} crowns.") for i in range(ONE_LOOK)]
    worth, trip = tried([*others, MILL, PAY])
    assert (worth, trip.one_passage) == ("yes", 0)


def test_a_step_that_finds_nothing_drops_the_question() -> None:
    worth, trip = tried([MILL, PAY], second_hop="ferries and harbours")
    assert (worth, trip.not_found, trip.one_passage) == ("no", 1, 0)


def one_passage(question: str, documents: list[StoredText]) -> tuple[str, RoundTrip]:
    gold = Gold(doc_id=PAY.doc_id, title="", start=0, end=len(PAY.text))
    made = MadeQuestion(question=question, answers=("340",), answerable=True, kind="cloze", gold=(gold,), split="test")
    services: Any = Searching(documents)
    trip = RoundTrip(services, Principal(user_id="local"), "c")
    return trip(made), trip


def test_a_question_whose_passage_neither_retriever_finds_is_dropped_and_counted() -> None:
    worth, trip = one_passage("Which ferries cross the harbour?", [MILL, PAY])
    assert (worth, trip.not_found) == ("no", 1)


def test_a_passage_that_stands_past_the_last_one_looked_at_counts_as_not_found() -> None:
    # All say "paid crowns"; of equals the earlier stand first, so that ours is the last of all.
    others = [StoredText(f"o{i:02}", "", "Ada Vance was paid 340 crowns.") for i in range(FOUND_WITHIN)]
    worth, trip = one_passage("Ada Vance was paid ____ crowns", [*others, PAY])
    assert (worth, trip.not_found) == ("no", 1)
    worth, trip = one_passage("Ada Vance was paid ____ crowns", [*others[1:], PAY])
    assert (worth, trip.not_found) == ("yes", 0)


def test_one_that_cannot_be_answered_is_not_searched_for() -> None:
    made = MadeQuestion(question="Who rules?", answers=(), answerable=False, kind="unanswerable", gold=(), split="test")
    services: Any = Searching([])
    assert RoundTrip(services, Principal(user_id="local"), "c")(made) == "yes"
