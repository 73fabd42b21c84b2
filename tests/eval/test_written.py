"""Questions that a language model writes: what of its replies counts."""

from __future__ import annotations

import json
import re

import pytest

from eval.questions import MadeQuestion, Section, SourceDocument
from eval.written import SHAPE, Asked, passages_to_ask_of, read_reply
from lm.schemas import regex_of

TEXT = (
    "The harbour was dredged in spring. Its pilot Ben Orme guided 412 ships past the northern\nshoal before the lighthouse "
    "was built. After that nobody needed any pilots any more, and the guild was dissolved. "
)
DOCUMENT = SourceDocument(
    doc_id="d",
    title="Harbour <b>",
    text=TEXT * 3,
    sections=(
        Section(start=0, end=len(TEXT), heading_path=()),
        Section(start=len(TEXT), end=2 * len(TEXT), heading_path=()),
        Section(start=0, end=20, heading_path=()),
    ),
)
ASKED = Asked(document=DOCUMENT, section=DOCUMENT.sections[1], split="dev")


def reply(question: str, answer: str) -> str:
    return "Here it is:\n" + json.dumps({"question": question, "answer": answer})


def test_an_answer_is_tied_to_the_sentence_that_it_stands_in() -> None:
    found = read_reply(reply("Who guided ships past the shoal?", "ben orme"), ASKED)
    assert isinstance(found, MadeQuestion)
    assert (found.kind, found.answers, found.split) == ("written", ("Ben Orme",), "dev")
    (gold,) = found.gold
    assert gold.start > len(TEXT) and DOCUMENT.text[gold.start : gold.end].startswith("Its pilot Ben Orme")
    broken = read_reply(reply("Where did he guide so many ships?", "past the northern shoal"), ASKED)
    assert isinstance(broken, MadeQuestion) and broken.answers == ("past the northern\nshoal",)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("I cannot do that.", "no JSON"),
        ('{"question": "Who?"}', "no JSON"),
        (reply("Who guided them past it?", "Ben") + reply("Who guided others past it?", "Orme"), "no JSON"),
        (reply("Tell me who guided ships", "Ben Orme"), "no question"),
        (reply("Who guided the ships in this passage?", "Ben Orme"), "speaks of the passage"),
        (reply("Who was the pilot of the harbour?", ""), "no short answer"),
        (reply("Did Ben Orme guide the ships?", "Ben Orme"), "gives the answer away"),
        (reply("Who guided ships past the shoal?", "Ada Vance"), "does not stand in the passage"),
    ],
)
def test_what_is_no_use_says_why(said: str, why: str) -> None:
    found = read_reply(said, ASKED)
    assert isinstance(found, str) and why in found


def test_passages_long_enough_are_asked_about_and_cannot_close_their_marks() -> None:
    asked = passages_to_ask_of([DOCUMENT], {"d": "dev"}, seed=0)
    assert sorted(a.section.start for a in asked) == [0, len(TEXT)]
    assert "Harbour ‹b›" in asked[0].prompt and asked[0].prompt.count("</passage>") == 1


def test_the_form_that_a_runtime_may_hold_to_is_what_is_read() -> None:
    form = regex_of(SHAPE.text)
    right = json.dumps({"question": "Who guided ships past the shoal?", "answer": "Ben Orme"})
    assert re.fullmatch(form, right) and isinstance(read_reply(right, ASKED), MadeQuestion)
    assert not re.fullmatch(form, json.dumps({"question": "Who?", "answer": "Ben Orme"}))
    assert not re.fullmatch(form, right + " Sure!")
