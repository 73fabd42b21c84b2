"""Questions that compare what two passages say."""

from __future__ import annotations

import pytest

from eval.comparisons import comparison_questions
from eval.questions import MadeQuestion, Section, SourceDocument, Split

ACME = "At the end of the quarter Acme reported deferred revenue from support contracts of $12.4 billion."
BOLT = "At the end of the quarter Bolt reported deferred revenue from support contracts of $980 million."
APART = " Nothing else was said about it on that day in the whole of the town." * 40


def document(n: int, text: str, **more: tuple[Section, ...]) -> SourceDocument:
    return SourceDocument(doc_id=f"d{n}", title=f"Report {n}", text=text, **more)


def made(*texts: str, seed: int = 0, splits: tuple[Split, ...] = ()) -> list[MadeQuestion]:
    documents = [document(n, text) for n, text in enumerate(texts)]
    halves: dict[str, Split] = {d.doc_id: s for d, s in zip(documents, splits or ("dev",) * len(texts), strict=True)}
    return list(comparison_questions(documents, halves, seed))


def test_two_amounts_of_the_same_are_compared_by_what_they_come_to() -> None:
    (question,) = made(ACME, BOLT)
    assert question.kind == "comparison" and question.answerable
    larger = "the larger amount" in question.question
    assert question.answers == ("$12.4 billion",) if larger else ("$980 million",)
    assert "in Report 0, “" in question.question and "in Report 1, “" in question.question
    assert "12.4" not in question.question and "980" not in question.question
    assert sorted(g.doc_id for g in question.gold) == ["d0", "d1"]
    assert all((ACME, BOLT)[int(g.doc_id[1])][g.start : g.end] for g in question.gold)
    assert all("____" in hop for hop in question.hops) and question.shortcut == ""


def test_the_larger_and_the_smaller_are_asked_for_by_chance_and_the_same_for_the_same_seed() -> None:
    asked = {made(ACME, BOLT, seed=seed)[0].question.split()[3] for seed in range(12)}
    assert asked == {"larger", "smaller"}
    assert made(ACME, BOLT, seed=3) == made(ACME, BOLT, seed=3)


def test_years_are_earlier_and_later() -> None:
    mill = "The stone bridge of the northern valley was rebuilt by the parish masons in 1871."
    (question,) = made(mill, mill.replace("northern", "southern").replace("1871", "1904"))
    assert question.answers == ("1904",) if "the later year" in question.question else ("1871",)


@pytest.mark.parametrize(
    "other",
    [
        BOLT.replace("$980 million", "$12.4 billion"),
        BOLT.replace("$980 million", "€980 million"),
        BOLT.replace("$980 million", "$980 million and $12"),
        "The ferry across the strait brought the two guests $980 million in gold and a small dog.",
    ],
    ids=["as much", "other coins", "two amounts", "of something else"],
)
def test_what_cannot_be_compared_is_not(other: str) -> None:
    assert made(ACME, other) == []


def test_both_are_in_one_half_and_in_two_passages() -> None:
    assert made(ACME, BOLT, splits=("dev", "test")) == []
    assert made(f"{ACME} {BOLT}") == []
    (question,) = made(f"{ACME}{APART} {BOLT}")
    assert "in Report" not in question.question, "one document needs no name"
    text = f"{ACME}{APART} {BOLT}"
    whole = document(0, text, sections=(Section(start=0, end=len(text), heading_path=()),))
    assert list(comparison_questions([whole], {"d0": "dev"}, 0)) == [], "one passage has both"
