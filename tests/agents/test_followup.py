"""A follow-up is searched with what the conversation is about, however many questions ago that was said."""

from __future__ import annotations

import pytest

from agents.followup import leans_on_history, standalone_by_rule
from core.types import Message


def conversation(*questions: str) -> list[Message]:
    said: list[Message] = []
    for question in questions:
        said += [Message(role="user", content=question), Message(role="assistant", content="It is said so [1].")]
    return said


APPLE = ("What was Apple's revenue in 2022?", "And in 2021?")
SIEMENS = ("Wie hoch war der Umsatz von Siemens im Jahr 2022?", "Und 2021?")


@pytest.mark.parametrize(
    ("question", "before", "expected"),
    [
        # The last question leans itself: what both are about was said before it. Of years the question's own counts.
        ("And in 2020?", APPLE, "And in 2020? (Apple's revenue)"),
        ("And in 2020?", (*APPLE, "Is it audited?"), "And in 2020? (audited Apple's revenue)"),
        # … or the latest.
        ("And Microsoft's?", APPLE, "And Microsoft's? (2021 Apple's revenue)"),
        # A question that stands by itself ends it.
        (
            "And when?",
            ("What was Apple's revenue?", "Who founded the firm Siemens?"),
            "And when? (founded firm Siemens)",
        ),
        ("Und 2020?", SIEMENS[:1], "Und 2020? (hoch war Umsatz Siemens Jahr)"),
        ("Wie hoch war er 2020?", SIEMENS, "Wie hoch war er 2020? (Umsatz Siemens Jahr)"),
        ("And in 2020?", (), "And in 2020?"),
    ],
)
def test_a_follow_up_takes_the_words_of_what_it_leans_on(question: str, before: tuple[str, ...], expected: str) -> None:
    assert standalone_by_rule(question, conversation(*before)) == expected


@pytest.mark.parametrize(
    ("question", "leans"),
    [
        ("How many employees are there at Siemens?", False),
        ("How many employees work there today?", True),
        ("Was kostet es?", True),
        ("Was ist mit Bosch?", True),
        ("Können Sie mir den Umsatz von Bosch nennen?", False),
        ("Wann wurde Bosch in Stuttgart gegründet?", False),
        # What follows a comma points at what stands before it.
        ("Welche Teile muss ich ausbauen, damit ich den Filter wechseln kann?", False),
        ("Was gilt für Kunden, deren Vertrag gekündigt wurde?", False),
        ("Welche Pumpen haben Dichtungen, deren Lebensdauer begrenzt ist?", False),
        ("Wie entkalkt man die Maschine, ohne dass dabei Wasser austritt?", False),
        ("Welche Kunden sind davon betroffen, und seit wann?", True),
        ("Sind die 3,5 Tonnen Nutzlast darüber gerechnet?", True),
        ("Welche Firmen liefern dafür Dichtungen?", True),
        # "Er" is a word of German alone, and only as it is written there.
        ("What is the Er YAG laser?", False),
        ("How long do patients wait in an er today?", False),
        ("Was the er visit covered by insurance?", False),
        ("Was kostet er?", True),
        ("Was hält er davon?", True),
        ("Kann er fliegen?", True),
        ("Er wurde 1990 in Stuttgart gebaut.", True),
    ],
)
def test_what_leans_on_the_conversation(question: str, leans: bool) -> None:
    assert leans_on_history(question) is leans
