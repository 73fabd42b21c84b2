"""Two answers without names, from the start: as the page asks for them, shows them, and says afterwards which was which."""

from __future__ import annotations

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from tests.support.stand_in_state import State
from tests.ui.test_pages import page, shown

QUESTION = "How did net sales develop?"


@pytest.fixture
def at(filled: httpx.Client) -> AppTest:
    from app.ui.chat_page import chat_page

    found = page(chat_page).run()
    found.toggle(key="two-answers").set_value(True).run()
    return found


def test_both_stand_side_by_side_without_names_until_the_vote_says_them(at: AppTest, state: State) -> None:
    at.chat_input[0].set_value(QUESTION).run()
    said = shown(at)
    assert "Answer 1" in said and "Answer 2" in said and "It fell by &lt;i&gt;4&lt;/i&gt; percent." in said
    assert not {"Quote", "Write", "Sources", "0.4 s"} & set(said.split()), "nothing of how they were made"
    assert "both drawn at random" in said
    assert not [b for b in at.button if str(b.key).startswith(("again-", "source-", "compare-"))]
    assert [(b["question"], b.get("ways")) for b in state.asked_twice] == [(QUESTION, None)]
    next(b for b in at.button if b.label == "Answer 1 is better").click().run()
    assert "You preferred <b>Write by large</b> to Quote." in shown(at)
    assert [b for b in at.button if str(b.key).startswith("source-")], "from now on an answer like any other"


def test_the_ways_that_are_named_are_those_two_are_drawn_of(at: AppTest, state: State) -> None:
    at.multiselect(key="two-answers-of").select(("extract", "")).run()
    assert any("One more is needed" in c.value for c in at.caption)
    at.multiselect(key="two-answers-of").select(("rag", "")).run()
    at.chat_input[0].set_value(QUESTION).run()
    assert state.asked_twice[-1]["ways"] == [{"strategy": "extract"}, {"strategy": "rag"}]


def test_where_one_breaks_off_the_other_is_shown_and_the_question_can_be_asked_again(
    at: AppTest,
    state: State,
) -> None:
    at.chat_input[0].set_value("please break").run()
    said = shown(at)
    assert "the second one broke" in said and "1 sentence supported" in said
    at.button(key="ask-again").click().run()
    assert state.asked_twice[-1]["instead_of"] == next(iter(state.chats.values()))["messages"][0]["message_id"]


def test_without_the_switch_a_question_has_one_answer(filled: httpx.Client, state: State) -> None:
    from app.ui.chat_page import chat_page

    found = page(chat_page).run()
    found.chat_input[0].set_value(QUESTION).run()
    assert state.asked_twice == [] and "1 sentence supported" in shown(found)
