"""What a conversation is asked of, and how: only a person changes it, by a choice; looking at it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from tests.support.stand_in_state import State
from tests.ui.test_pages import page

Open = Callable[..., tuple[str, AppTest]]


@pytest.fixture
def opened(api: httpx.Client) -> Open:
    """A conversation that is asked of these collections in this way, drawn once; there are "papers" and "reports"."""
    from app.ui.chat_page import chat_page

    for name in ("papers", "reports"):
        api.post("/v1/collections", json={"name": name})

    def create(collections: list[str], strategy: str = "extract") -> tuple[str, AppTest]:
        body = {"collections": collections, "strategy": strategy, "title": "Asked before"}
        chat_id = str(api.post("/v1/chats", json=body).json()["chat_id"])
        at = page(chat_page)
        at.query_params["chat"] = chat_id
        return chat_id, at

    return create


def kept(api: httpx.Client, chat_id: str) -> Any:
    return api.get(f"/v1/chats/{chat_id}").json()


def said(at: AppTest) -> str:
    """The words on the two buttons of the composer, and the remarks behind them."""
    assert not at.exception
    return " | ".join([*(str(b.proto.popover.label) for b in at.get("popover")), *(str(c.value) for c in at.caption)])


@pytest.mark.parametrize(
    ("collections", "strategy"),
    [
        ([], "extract"),
        (["papers"], "rag"),
        (["papers", "reports"], "closed-book"),
        (["gone"], "of-an-older-server"),
        (["papers", "gone"], "extract"),
    ],
)
def test_looking_at_a_conversation_changes_nothing(
    api: httpx.Client, opened: Open, collections: list[str], strategy: str
) -> None:
    chat_id, at = opened(collections, strategy)
    before = kept(api, chat_id)
    at.run()
    assert not at.exception and kept(api, chat_id) == before
    api.post("/v1/collections", json={"name": "new"})
    at.run()
    assert not at.exception and kept(api, chat_id) == before


def test_nothing_picked_stays_all_for_the_collections_that_are_added_later_too(
    api: httpx.Client, opened: Open, state: State
) -> None:
    _, at = opened([])
    assert "All collections" in said(at.run())
    api.post("/v1/collections", json={"name": "new"})
    at.run().chat_input[0].set_value("How did net sales develop?").run()
    assert "All collections" in said(at) and state.asked[-1]["collections"] == []


def test_a_new_conversation_that_nothing_was_picked_for_is_asked_of_all(
    api: httpx.Client, opened: Open, state: State
) -> None:
    from app.ui.chat_page import chat_page

    at = page(chat_page).run()
    at.chat_input[0].set_value("How did net sales develop?").run()
    assert state.asked[-1]["collections"] == []
    assert [c["collections"] for c in state.chats.values()] == [[]]


def test_a_collection_that_is_gone_for_a_day_widens_nothing(api: httpx.Client, opened: Open, state: State) -> None:
    chat_id, at = opened(["reports"])
    at.run()
    was = state.collections.pop("reports")
    assert "reports (not there now)" in said(at.run())
    at.chat_input[0].set_value("How did net sales develop?").run()
    assert state.asked[-1]["collections"] == ["reports"], "the server says that it is not there"
    state.collections["reports"] = was
    assert "not there" not in said(at.run())
    assert kept(api, chat_id)["collections"] == ["reports"]


def test_of_several_those_that_are_there_are_asked(api: httpx.Client, opened: Open, state: State) -> None:
    chat_id, at = opened(["papers", "gone"])
    assert "papers, 1 not there now" in said(at.run())
    at.chat_input[0].set_value("How did net sales develop?").run()
    assert state.asked[-1]["collections"] == ["papers"]
    at.multiselect(key=f"collections-{chat_id}").unselect("gone").run()
    assert kept(api, chat_id)["collections"] == ["papers"] and "not there" not in said(at)


def test_a_way_to_answer_whose_model_loads_stays_picked(api: httpx.Client, opened: Open, state: State) -> None:
    chat_id, at = opened([], "rag")
    state.lm_there = False
    assert "Write (not available now)" in said(at.run())
    assert at.radio(key=f"strategy-{chat_id}").value == "rag"
    state.lm_there = True
    assert "not available now" not in said(at.run())
    assert at.radio(key=f"strategy-{chat_id}").value == kept(api, chat_id)["strategy"] == "rag"


def test_what_a_person_picks_is_kept_and_nothing_beside_it(api: httpx.Client, opened: Open) -> None:
    chat_id, at = opened(["gone"], "rag")
    at.run().multiselect(key=f"collections-{chat_id}").select("papers").run()
    assert kept(api, chat_id)["collections"] == ["gone", "papers"] and kept(api, chat_id)["strategy"] == "rag"
    at.radio(key=f"strategy-{chat_id}").set_value("extract").run()
    assert kept(api, chat_id)["strategy"] == "extract" and kept(api, chat_id)["collections"] == ["gone", "papers"]
    at.multiselect(key=f"collections-{chat_id}").set_value([]).run()
    assert kept(api, chat_id)["collections"] == []
