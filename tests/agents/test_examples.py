"""Worked examples are chosen by their likeness to the question."""

from __future__ import annotations

from agents.cot import load_examples
from agents.examples import nearest
from agents.prompts import Prompts

QUESTIONS = (
    "How many rolls did the bakery sell?",
    "In which year did the mill burn down?",
    "Who taught the painter of the altar?",
    "Where was the ferry built?",
)


def chosen(question: str, most: int = 2) -> list[str]:
    return nearest(question, QUESTIONS, most, str)


def test_the_most_alike_stands_last() -> None:
    assert chosen("Who taught the sculptor?")[-1] == "Who taught the painter of the altar?"
    assert chosen("How many loaves did the bakery sell on Monday?")[-1] == QUESTIONS[0]


def test_without_a_word_in_common_the_kind_of_question_decides() -> None:
    assert chosen("When was the abbey dissolved?")[-1] == "In which year did the mill burn down?"
    assert chosen("Where is Calder?")[-1] == "Where was the ferry built?"


def test_where_nothing_is_alike_they_come_in_their_own_order() -> None:
    assert chosen("Explain tides.", 4) == list(reversed(QUESTIONS))  # the first counts as the nearest
    assert nearest("Anything?", [], 4, str) == []


def test_never_more_than_wanted_and_none_twice() -> None:
    for most in range(6):
        found = chosen("Who sold the mill?", most)
        assert len(found) == len(set(found)) == min(most, 4)


def test_the_shipped_examples_serve_their_own_kinds() -> None:
    examples = load_examples(Prompts())
    assert len(examples) == len({e.question for e in examples}) == 12

    def first(question: str) -> str:
        return nearest(question, examples, 4, lambda e: e.question)[-1].answer

    assert first("By what percentage did the price of bread rise?") == "25 percent"
    assert first("In which country was the violinist born?") == "Sweden"
    assert all(nearest(e.question, examples, 1, lambda x: x.question) == [e] for e in examples)
