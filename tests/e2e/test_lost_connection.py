"""A browser that loses its connection, or loads the page anew, loses no answer: in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import SIZES, Site
from tests.e2e.test_main_job import ask, ready_collection

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OpenPage = Callable[..., Page]
# Being offline does not close what is open.
KEEP_SOCKETS = """
const sockets = [];
const Plain = WebSocket;
window.WebSocket = class extends Plain {
  constructor(...how) { super(...how); sockets.push(this); }
};
window.loseConnection = () => sockets.forEach((socket) => socket.close());
"""


def asked_at_length(site: Site, page: Page, tmp_path: Path) -> Locator:
    """The answer of 8 s that has just begun to come."""
    chat = site.api.create_chat([ready_collection(site, tmp_path)], strategy="rag")
    page.goto(f"{site.ui_url}/?chat={chat['chat_id']}")
    ask(page, "Please tell me at length about the geese")
    words = page.locator(".ob-answer").last
    expect(words).to_contain_text("word3")
    return words


@SIZES
def test_a_page_that_is_loaded_anew_has_the_whole_answer(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    page = open_page(width=width)
    words = asked_at_length(site, page, tmp_path)
    page.reload()
    expect(page.get_by_text("The answer is under way …")).to_be_visible()
    assert site.running() == 1
    expect(words).to_contain_text("word79")
    assert words.inner_text().startswith("word0 word1 word2")
    expect(page.get_by_text("Stopped here.")).to_have_count(0)
    assert site.running() == 0


def test_an_answer_is_stopped_after_the_page_was_loaded_anew(site: Site, open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    asked_at_length(site, page, tmp_path)
    page.reload()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Stopped here.")).to_be_visible()
    assert site.running() == 0


@SIZES
def test_a_connection_that_is_lost_for_a_moment_costs_no_word(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    page = open_page(width=width)
    page.add_init_script(KEEP_SOCKETS)
    words = asked_at_length(site, page, tmp_path)
    page.context.set_offline(True)
    page.evaluate("loseConnection()")
    page.wait_for_timeout(1500)
    assert site.running() == 1
    page.context.set_offline(False)
    expect(words).to_contain_text("word79")
    assert words.inner_text().startswith("word0 word1 word2")
    expect(page.get_by_text("Stopped here.")).to_have_count(0)
