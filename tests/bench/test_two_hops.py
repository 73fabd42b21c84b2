"""Two questions over two paragraphs that share a name become one."""

from __future__ import annotations

from bench.two_hops import joined
from core.types import Sample


def sample(number: int, question: str, answer: str, context: int, title: str = "Town") -> Sample:
    return Sample(id=f"q{number}", question=question, answers=(answer,), contexts=((title, f"Paragraph {context}."),))


RIVER = sample(1, "What river runs through the town?", "Weir", 1)
MAPPED = sample(2, "Who mapped the Weir in 1562?", "Ribault", 2)


def test_the_name_that_one_asks_for_stands_in_the_other() -> None:
    ((name, second, made),) = joined([RIVER, MAPPED])
    assert (name, second) == ("Weir", "q2")
    assert made.question == "X answers: What river runs through the town? Who mapped the X in 1562?"
    assert made.answers == ("Ribault",)
    assert made.contexts == (("Town", "Paragraph 1."), ("Town", "Paragraph 2."))


def test_questions_that_need_one_passage_or_mean_two_things_are_not_joined() -> None:
    assert not joined([RIVER, sample(2, "Who mapped the Weir?", "Ribault", 1)])  # one paragraph
    assert not joined([RIVER, sample(2, "Who mapped the Weir?", "Ribault", 2, "Another")])  # another article's Weir
    assert not joined([RIVER, sample(2, "Who mapped the Lower Weir?", "Ribault", 2)])  # "Lower X" gives the name away
    assert not joined([RIVER, sample(2, "Is the Weir a river?", "Weir", 2)])  # it asks for the name itself
    assert not joined([sample(1, "Through what town does the Weir run?", "Weir", 1), MAPPED])  # the name is said
    assert not joined([sample(1, "How many rivers are there?", "two", 1), MAPPED])
