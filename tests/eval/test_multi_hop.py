"""Questions over two passages that share a name, made by rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eval.multi_hop import two_hop_questions
from eval.questions import MadeQuestion, SourceDocument, make_questions, split_of

MILL = (
    "The oak mill at the lower ford was built by Ada Vance in the dry summer of that year. It stood for long. "
    "Nobody who came from Ravenford had ever seen the like of it before."
)
PAY = (
    "In the county accounts of the winter Ada Vance was paid 340 crowns for her journeys. Nobody else was. "
    "The clerks had come over from Ravenford with their own ink and paper."
)
NOISE = "On the northern shoal the pilots counted 412 boats before the lighthouse was built there by the guild."


def documents(*texts: str) -> list[SourceDocument]:
    return [SourceDocument(doc_id=f"d{i}", title=f"Title {i}", text=text) for i, text in enumerate(texts)]


def made(*texts: str, same_half: bool = True) -> list[MadeQuestion]:
    found = documents(*texts)
    splits = {d.doc_id: "dev" for d in found} if same_half else split_of([d.doc_id for d in found], 0)
    return list(two_hop_questions(found, splits, 0))  # type: ignore[arg-type]


def test_the_first_sentence_gives_the_name_and_the_second_is_asked_of() -> None:
    (question,) = made(MILL, PAY, NOISE)
    assert question.kind == "multi-hop" and question.answers == ("340",)
    assert question.question.startswith("X is the name in: ") and "built by X in" in question.question
    assert "Which number completes: " in question.question and "X was paid ____ crowns" in question.question
    assert "Ada" not in question.question and "Vance" not in question.question
    texts = (MILL, PAY, NOISE)
    spans = [texts[int(g.doc_id[1:])][g.start : g.end] for g in question.gold]
    assert spans[0].startswith("The oak mill") and spans[1].startswith("In the county accounts")
    first, second = question.hops
    assert "____" in first and "Ada Vance" not in first
    assert "Ada Vance was paid ____ crowns" in second


def test_a_name_joins_nothing_within_one_passage_or_between_two_that_say_the_same() -> None:
    assert made(f"{MILL} {PAY}") == []
    apart = f"{MILL} {NOISE * 20} {PAY}"
    assert len(made(apart)) == 1
    assert made(PAY, PAY.replace("340", "350")) == []
    assert made(MILL, NOISE) == []


def test_two_documents_with_nothing_else_in_common_may_mean_two_things_by_one_name() -> None:
    assert len(made(MILL, PAY)) == 1
    assert made(MILL, PAY.replace("Ravenford", "Lowmarket")) == []


@pytest.mark.parametrize(
    "spoiled",
    [
        "In the accounts (`pay.csv`) of the winter Ada Vance was paid 340 crowns.",
        "See [the accounts](https://a.example/340) of how Ada Vance was paid for her journeys.",
        "Title: Accounts of the winter Author: Ada Vance, paid 340 crowns for it.",
        "In the county accounts of the winter Ada Vance [340] was paid in crowns.",
    ],
    ids=["code", "a link", "the head of a file", "a footnote"],
)
def test_what_is_no_prose_is_not_asked_of(spoiled: str) -> None:
    first, *rest = PAY.split(". ")
    assert "Ada Vance" in first
    assert made(MILL, ". ".join([spoiled.rstrip("."), *rest])) == []


def test_marks_stand_where_they_stood_and_a_genitive_stays() -> None:
    pay = PAY.replace("Ada Vance was paid 340 crowns for", "Ada Vance, against 340 crowns, gave up")
    (question,) = made(MILL, pay)
    assert "X, against ____ crowns, gave" in question.question
    (question,) = made(MILL, PAY.replace("paid 340 crowns", "lent Marta Holm's cart"))
    assert "X was lent ____'s cart" in question.question and question.answers == ("Marta Holm",)


@pytest.mark.parametrize(
    "spoiled",
    [
        "In the accounts of the winter the clerks of Bergby, Ada Vance, Marta Holm and Olof Berg were thanked.",
        "In the county accounts Ada Vance was paid for her journeys on 14 March and nobody else was.",
        "In the county accounts Ada Vance was paid for her journeys on March 14, 1871 and nobody else was.",
        "In the county accounts Ada Vance was paid for all her journeys, as note 14 says of the winter.",
        "In the county accounts Ada Vance was paid for all her journeys in Bergby crowns of that winter.",
    ],
    ids=["a list", "a day", "a date", "the number of a note", "what is said of something else"],
)
def test_of_what_is_only_listed_dated_or_numbered_nothing_is_asked(spoiled: str) -> None:
    first, *rest = PAY.split(". ")
    assert "Ada Vance" in first
    assert made(MILL, ". ".join([spoiled.rstrip("."), *rest])) == []


def test_a_name_at_the_beginning_of_a_sentence_is_one_if_its_document_has_it_elsewhere() -> None:
    begins = PAY.replace("In the county accounts of the winter Ada Vance was paid", "Ada Vance was in the winter paid")
    assert made(MILL, begins) == []
    (question,) = made(
        MILL, f"{begins}{NOISE * 20} One of them was seen by Ada Vance on the way to Ravenford in a cart."
    )
    assert "X was in the winter paid ____" in question.question


def test_what_one_would_search_for_without_the_first_passage_has_no_name() -> None:
    (question,) = made(MILL, PAY)
    assert "was paid ____ crowns" in question.shortcut
    assert "X" not in question.shortcut and "Vance" not in question.shortcut


def test_kinds_of_things_are_no_names() -> None:
    kinds = [text.replace("Ada Vance", "PEPs") for text in (MILL, PAY)]
    assert made(*kinds) == []


def test_both_passages_are_in_one_half() -> None:
    assert made(MILL, PAY, same_half=False) == []


def test_what_the_name_would_give_away_is_not_asked() -> None:
    vances = MILL.replace("It stood", "It stood").replace("the dry summer", "the year of the Vance family feast")
    assert made(vances, PAY) == []
    told = MILL.replace("that year", "the 340 floods")
    assert made(told, PAY) == []


def test_the_same_seed_makes_the_same_and_they_take_their_share() -> None:
    assert made(MILL, PAY, NOISE) == made(MILL, PAY, NOISE)
    found = documents(MILL, PAY, NOISE)
    joined = made(MILL, PAY, NOISE)
    kinds = [q.kind for q in make_questions(found, 4, unanswerable=0, joined=joined, multi_hop=0.25)]
    assert kinds[0] == "multi-hop" and kinds.count("multi-hop") == 1 and len(kinds) > 1
    none = make_questions(found, 4, unanswerable=0, joined=joined, multi_hop=0)
    assert all(q.kind != "multi-hop" for q in none)
    put_off = make_questions(found, 4, unanswerable=0, joined=joined, multi_hop=0.25, keep=lambda q: "later")
    assert sum(q.kind == "multi-hop" for q in put_off) == 1


def test_of_those_put_off_no_more_are_taken_than_there_are_others() -> None:
    (one,) = made(MILL, PAY, NOISE)
    asked = ("Who felled oaks?", "Which guild sang?", "What did pilots count?", "Whose lighthouse fell?")
    joined = [replace(one, question=text) for text in asked]
    for good, expected in ((0, 1), (1, 2), (2, 4)):
        kept = make_questions(
            documents(MILL, PAY, NOISE),
            8,
            unanswerable=0,
            joined=joined,
            multi_hop=0.5,
            keep=lambda q, good=good: "yes" if q.question in asked[:good] else "later",  # type: ignore[misc]
        )
        assert sum(q.kind == "multi-hop" for q in kept) == expected
