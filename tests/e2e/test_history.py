"""The list of conversations and what leads on from an answer, in a real browser, on a desk and on a phone."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from itertools import count

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import DESK, PHONE, SIZES, Site, assert_fits, sidebar
from tests.support.jobs import settled

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OpenPage = Callable[..., Page]
NUMBER = count(1)
# Each section is long enough to be a passage of its own, so that there is more than the one that is quoted.
QUIET = " Nothing else of note took place in the weeks after that, or the log does not say so." * 8
LOG = f"""# The lighthouse log

## Geese of the keeper

The lighthouse keeper kept eleven geese, which warned him of visitors.{QUIET}

## Oil for the lamp

The lamp of the lighthouse was lit with rapeseed oil until the year 1846.{QUIET}

## Storms of that coast

A storm broke the lantern of the lighthouse in 1851, when the keeper slept.{QUIET}
"""
QUESTION = "How many geese did the lighthouse keeper keep?"


@pytest.fixture
def chat_id(site: Site) -> str:
    """A conversation with one answered question about a collection of its own."""
    name = f"history-{next(NUMBER)}"
    site.api.create_collection(name)
    (job,) = site.api.upload(name, [("log.md", io.BytesIO(LOG.encode()))])
    assert settled(site.api, job["job_id"])["state"] == "ready"
    chat = site.api.create_chat([name])["chat_id"]
    with site.api.chat_stream(chat, QUESTION, strategy="extract") as said:
        assert list(said)[-1][0] == "done"
    return chat


def opened(site: Site, open_page: OpenPage, chat_id: str, width: int) -> Page:
    page = open_page(width=width)
    page.goto(f"{site.ui_url}/?chat={chat_id}")
    expect(page.locator(".ob-answer")).to_contain_text("eleven geese")
    return page


TEXT_LEFT = "p => { const r = document.createRange(); r.selectNodeContents(p); return r.getBoundingClientRect().left; }"


def test_short_titles_begin_where_long_ones_do(site: Site, open_page: OpenPage, chat_id: str) -> None:
    short = site.api.create_chat([], title="Oil")["chat_id"]
    page = opened(site, open_page, chat_id, DESK)
    edges = [page.locator(f".st-key-chat-{which} button p").evaluate(TEXT_LEFT) for which in (short, chat_id)]
    assert edges[0] == pytest.approx(edges[1], abs=1)


def menu_of(page: Page, chat_id: str, choice: str) -> None:
    sidebar(page).locator(f".st-key-menu-{chat_id} button:visible").first.click()
    page.get_by_role("menuitem", name=choice).or_(page.get_by_role("option", name=choice)).first.click()


@SIZES
def test_a_conversation_names_itself_is_renamed_and_deleted(
    site: Site, open_page: OpenPage, chat_id: str, width: int
) -> None:
    page = opened(site, open_page, chat_id, width)
    expect(sidebar(page).get_by_role("button", name=re.compile("How many geese")).first).to_be_visible()
    menu_of(page, chat_id, "Rename")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Title").fill("Geese <b>and</b> lamps")
    dialog.get_by_label("Title").press("Enter")
    expect(dialog).to_be_hidden()
    row = sidebar(page).locator(f".st-key-chat-{chat_id}")
    expect(row).to_contain_text("Geese <b>and</b> lamps")
    assert site.api.chat(chat_id)["title"] == "Geese <b>and</b> lamps"
    menu_of(page, chat_id, "Delete")
    expect(dialog.get_by_text("go for good")).to_be_visible()
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_be_hidden()
    menu_of(page, chat_id, "Delete")
    dialog.get_by_role("button", name="Delete").press("Enter")
    expect(row).to_have_count(0)
    assert chat_id not in [c["chat_id"] for c in site.api.chats()]
    expect(page.locator(".ob-answer")).to_have_count(0)


@SIZES
def test_what_leads_on_is_asked_by_one_press(site: Site, open_page: OpenPage, chat_id: str, width: int) -> None:
    page = opened(site, open_page, chat_id, width)
    more = page.locator("[class*=st-key-follow-ups]").get_by_role("button")
    expect(more.first).to_be_visible()
    said = more.first.inner_text()
    more.first.press("Enter")
    expect(page.locator(".ob-question")).to_have_count(2)
    expect(page.locator(".ob-answer, .ob-abstained")).to_have_count(2)
    asked = page.locator(".ob-question").last.inner_text()
    assert asked in said
    assert_fits(page)


@SIZES
def test_an_answer_is_given_again_by_another_model(site: Site, open_page: OpenPage, chat_id: str, width: int) -> None:
    page = opened(site, open_page, chat_id, width)
    page.get_by_test_id("stMain").get_by_role("button", name=re.compile("Again")).click()
    page.get_by_role("menuitem", name="By other").or_(page.get_by_role("option", name="By other")).first.click()
    expect(page.locator(".ob-answer")).to_contain_text("He sold none")
    expect(page.get_by_text("2 of 2")).to_be_visible()
    expect(page.get_by_text(re.compile("^Written answer · other · "))).to_be_visible()
    answer = site.api.chat(chat_id)["messages"][-1]["answer"]
    assert answer is not None and (answer["strategy"], answer["model"]) == ("rag", "other")
    page.get_by_role("button", name="Older version").click()
    expect(page.locator(".ob-answer")).to_contain_text("eleven geese, which warned him")


def test_on_a_phone_the_list_makes_room_for_what_was_chosen(site: Site, open_page: OpenPage, chat_id: str) -> None:
    page = opened(site, open_page, chat_id, PHONE)
    answer, away = page.locator(".ob-answer"), page.get_by_test_id("stExpandSidebarButton")
    expect(answer).to_be_visible()
    sidebar(page).get_by_role("button", name="New conversation").click()
    expect(page.get_by_text("What would you like to know?")).to_be_visible()
    expect(away).to_be_visible()
    sidebar(page).locator(f".st-key-chat-{chat_id} button").click()
    expect(answer).to_be_visible()
    expect(away).to_be_visible()
    sidebar(page)
    expect(away).to_be_hidden()
    page.reload()  # Streamlit remembers that it was open
    expect(answer).to_be_visible()
    expect(away).to_be_visible()
