"""A question without an answer here: while the server answers it elsewhere it is under way, and then no more."""

from __future__ import annotations

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from tests.support.stand_in_state import NOW, State
from tests.ui.test_pages import page, shown

QUESTION = "How did net sales develop?"
UNDER_WAY, UNANSWERED = "The answer is under way", "This question was not answered"


@pytest.fixture
def at(filled: httpx.Client, state: State) -> AppTest:
    """A conversation whose last question, asked hours ago, has no answer; it is given elsewhere."""
    from app.ui.chat_page import chat_page

    chat = filled.post("/v1/chats", json={"collections": ["reports"]}).json()
    question = {"message_id": "m1", "role": "user", "content": QUESTION, "created_at": NOW, "answer": None}
    state.chats[chat["chat_id"]]["messages"].append(question | {"partial": False})
    state.running["r1"] = QUESTION
    at = page(chat_page)
    at.query_params["chat"] = chat["chat_id"]
    return at


def test_it_is_under_way_for_as_long_as_its_run_goes_on(at: AppTest, state: State) -> None:
    for _ in range(3):
        assert UNDER_WAY in shown(at.run()) and UNANSWERED not in shown(at)
    state.running = {"r2": "another question of the same person"}
    at.run()  # the first look that finds none: of two answers the other may just begin
    assert UNANSWERED in shown(at.run()) and UNDER_WAY not in shown(at)


def test_it_can_be_stopped_from_here(at: AppTest, state: State) -> None:
    at.run().button(key="stop-elsewhere").click().run()
    assert state.cancelled == ["r1"]


def test_one_that_nobody_answers_can_be_asked_again_where_it_stands(at: AppTest, state: State) -> None:
    state.running.clear()
    at.run().run().button(key="ask-again").click().run()
    (chat,) = state.chats.values()
    assert [m["role"] for m in chat["messages"]] == ["user", "assistant"]
    assert state.asked[-1]["question"] == QUESTION and UNANSWERED not in shown(at.run())


def test_its_answer_is_shown_once_it_is_kept(at: AppTest, state: State) -> None:
    at.run()
    (chat,) = state.chats.values()
    kept = {"message_id": "m2", "role": "assistant", "content": "They fell.", "created_at": NOW, "answer": None}
    chat["messages"].append(kept | {"partial": True, "run_id": "r1"})
    state.running.clear()
    assert "They fell." in shown(at.run()) and UNDER_WAY not in shown(at)
