"""The keyboard alone, in a real browser: from a question to its source, a stop, another conversation, and back."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Site
from tests.e2e.test_main_job import ready_collection

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OpenPage = Callable[..., Page]


def composer(page: Page) -> Locator:
    return page.get_by_test_id("stChatInputTextArea")


def listens(page: Page) -> None:
    """Waits until the keys are heard."""
    expect(page.get_by_role("button", name="Keyboard shortcuts")).to_have_attribute("aria-keyshortcuts", "Control+/")


@pytest.fixture
def page(site: Site, open_page: OpenPage, tmp_path: Path) -> Page:
    """A conversation of nothing yet, about a collection of its own, answered by the model."""
    chat = site.api.create_chat([ready_collection(site, tmp_path)], strategy="rag", title="By the keyboard")
    page = open_page()
    page.goto(f"{site.ui_url}/?chat={chat['chat_id']}")
    expect(composer(page)).to_be_visible()
    listens(page)
    return page


def test_a_question_is_asked_its_source_looked_at_and_another_begun_without_a_mouse(page: Page) -> None:
    page.keyboard.press("Shift+Escape")
    expect(composer(page)).to_be_focused()
    page.keyboard.type("How many geese? Of what kind/size?")
    expect(composer(page)).to_have_value("How many geese? Of what kind/size?")  # no sign was taken
    page.keyboard.press("Escape")
    expect(composer(page)).to_have_value("How many geese? Of what kind/size?")
    page.keyboard.press("Enter")
    expect(page.locator(".ob-answer")).to_contain_text("He sold none")
    expect(composer(page)).to_be_focused()  # it had lost it while the answer was given
    expect(page.locator("[class*=st-key-sources-] button").first).to_have_attribute("aria-keyshortcuts", "Control+.")

    source = page.get_by_role("dialog")
    page.keyboard.press("Control+.")
    expect(source.locator("mark").first).to_contain_text("eleven geese")
    page.keyboard.press("Control+k")  # not behind what is open
    expect(page.get_by_label("Find a conversation")).not_to_be_focused()
    page.keyboard.press("Control+.")
    expect(source).to_be_hidden()

    page.keyboard.press("Control+k")
    expect(page.get_by_label("Find a conversation")).to_be_focused()
    page.keyboard.press("Control+Shift+O")
    expect(page.get_by_text("What would you like to know?")).to_be_visible()
    expect(page.locator(".ob-answer")).to_have_count(0)
    expect(composer(page)).to_be_focused()


def test_escape_stops_the_answer_but_not_while_something_is_written_or_open(site: Site, page: Page) -> None:
    page.keyboard.press("Shift+Escape")
    page.keyboard.type("Please tell me slowly about the geese")
    page.keyboard.press("Enter")
    expect(page.locator(".ob-answer")).to_contain_text("word3")
    page.keyboard.press("Control+/")
    keys = page.get_by_role("dialog")
    expect(keys).to_contain_text("Begin a new conversation")
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type("keyb")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Find a conversation")).to_have_value("keyb")
    page.wait_for_timeout(500)
    assert site.running() == 1
    page.get_by_label("Find a conversation").fill("")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Stopped here.")).to_be_visible()
    assert site.running() == 0


def test_from_another_page_the_keys_lead_to_the_conversations(site: Site, page: Page) -> None:
    page.goto(f"{site.ui_url}/system")
    expect(page.get_by_role("heading", name="System")).to_be_visible()
    listens(page)
    page.keyboard.press("Control+/")
    expect(page.get_by_role("dialog")).to_contain_text("Find a conversation")
    page.keyboard.press("Control+/")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("Control+k")
    expect(page.get_by_label("Find a conversation")).to_be_focused()
    expect(page).to_have_url(re.compile(r"/(\?chat=\w+)?$"))
    page.goto(f"{site.ui_url}/search")
    expect(page.get_by_label("Search for")).to_be_visible()
    listens(page)
    page.keyboard.press("Control+Shift+O")
    expect(composer(page)).to_be_focused()
    expect(page.get_by_text("What would you like to know?")).to_be_visible()
