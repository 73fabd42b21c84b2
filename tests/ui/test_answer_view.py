"""What is drawn below an answer: which file each source is, what came nearest where there is none, and how it was given."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from tests.support.stand_in_chats import answered
from tests.support.stand_in_state import State
from tests.ui.test_pages import TIMEOUT_S, shown

QUESTION = "How did net sales develop?"


@pytest.fixture
def answer(filled: httpx.Client, state: State) -> dict[str, Any]:
    return answered(state, QUESTION, "r1")


SCRIPT = """
import streamlit as st
from app.ui.answer_view import draw_answer
draw_answer(st.session_state["answer"], lambda passage: None)
"""


def drawn(answer: dict[str, Any]) -> AppTest:
    at = AppTest.from_string(SCRIPT, default_timeout=TIMEOUT_S)
    at.session_state["answer"] = answer
    return at.run()


def sources(at: AppTest) -> list[str]:
    """The words on their buttons, as Markdown shows them."""
    return [b.label.replace("\\", "") for b in at.button if str(b.key).startswith(("source-", "near-"))]


def test_sources_of_one_title_say_which_file_they_are(answer: dict[str, Any]) -> None:
    first, second = answer["citations"]
    first |= {"title": "The keeper", "uri": "logs/keeper.md", "collection": "reports"}
    second |= {"title": "The keeper", "uri": "logs/keeper copy.md", "collection": "reports", "doc_id": "d-copy"}
    at = drawn(answer)
    assert sources(at) == ["**1** · The keeper, page 4 · keeper.md", "**2** · The keeper, page 4 · keeper copy.md"]
    assert "The keeper, page 4 · keeper copy.md" in shown(at)
    second["title"] = "Tides"
    assert sources(drawn(answer)) == ["**1** · The keeper, page 4", "**2** · Tides, page 4"]


def test_copies_of_one_passage_come_nearest_once(answer: dict[str, Any]) -> None:
    hit = answer["hits"][0]
    texts = ("The keeper kept geese.", "The Keeper kept\ngeese. ", "He sold none.", "It rained.", "It snowed.")
    hits = [
        hit | {"text": text, "rank": n, "doc_id": f"d{n}", "title": f"File {n}"}
        for n, text in enumerate(texts, start=1)
    ]
    at = drawn(answer | {"abstained": True, "answer": "I don't know.", "reason": "", "hits": hits})
    assert [label.split(",")[0] for label in sources(at)] == ["File 1", "File 3", "File 4"]


def test_how_it_was_given_is_said_as_where_it_is_picked(answer: dict[str, Any]) -> None:
    assert "Quote · 0.4 s" in shown(drawn(answer))
    assert "of-an-older-server · 0.4 s" in shown(drawn(answer | {"strategy": "of-an-older-server"}))
