"""Where a conversation taller than the screen stands: at its end, and wherever its reader has gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import PHONE, SIZES, Site, assert_fits
from tests.e2e.test_main_job import ask, ready_collection

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OpenPage = Callable[..., Page]
HEIGHT = 600
AT_END = "main => main.scrollHeight - main.clientHeight - main.scrollTop < 5"


def top(page: Page) -> float:
    found = page.get_by_test_id("stMain").evaluate("main => main.scrollTop")
    assert isinstance(found, int | float)
    return found


def wait_for_end(page: Page) -> None:
    page.wait_for_function(f"({AT_END})(document.querySelector('#stMain'))")


def scroll_up(page: Page, width: int, pixels: int) -> None:
    """By wheel on a desk, by finger on a phone."""
    if width != PHONE:
        page.mouse.move(width * 2 / 3, HEIGHT / 3)
        page.mouse.wheel(0, -pixels)
        return
    touch = page.context.new_cdp_session(page)
    y = HEIGHT / 4
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": width / 2, "y": y}]})
    for moved in range(0, pixels, 15):
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": width / 2, "y": y + moved}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


@SIZES
def test_a_conversation_is_shown_at_its_end_and_follows_it_until_one_goes_up_to_read(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    chat_id = site.api.create_chat([ready_collection(site, tmp_path)], strategy="rag")["chat_id"]
    for n in range(3):
        with site.api.chat_stream(chat_id, f"How many geese were kept, by count {n}?") as events:
            list(events)
    page = open_page(width=width, height=HEIGHT)
    page.goto(f"{site.ui_url}/?chat={chat_id}")
    expect(page.locator(".ob-question").last).to_contain_text("by count 2")
    expect(page.locator(".ob-answer").last).to_be_in_viewport()
    wait_for_end(page)
    end = top(page)
    assert end > HEIGHT / 2, "the conversation is taller than the screen"

    scroll_up(page, width, 300)
    page.wait_for_function(f"document.querySelector('#stMain').scrollTop < {end - 100}")
    ask(page, "Please tell me at length about the geese")
    expect(page.locator(".ob-question").last).to_be_in_viewport(ratio=1)
    words = page.locator(".ob-answer").last
    expect(words).to_contain_text("word12 ")
    wait_for_end(page)

    scroll_up(page, width, 150)
    page.wait_for_timeout(500)
    read = top(page)
    expect(words).to_contain_text("word50 ")
    assert top(page) == pytest.approx(read, abs=2), "who reads further up is not pulled down"
    page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, main.scrollHeight)")
    expect(words).to_contain_text("word79")
    wait_for_end(page)
    assert top(page) > read + 100, "from the end on it is followed again"
    assert_fits(page)


def test_the_page_where_one_begins_is_read_from_its_top(site: Site, open_page: OpenPage, tmp_path: Path) -> None:
    ready_collection(site, tmp_path)
    page = open_page(width=PHONE, height=360)
    page.goto(site.ui_url)
    expect(page.get_by_test_id("stChatInputTextArea")).to_be_visible()
    page.wait_for_function(
        "document.querySelector('#stMain').scrollHeight > document.querySelector('#stMain').clientHeight"
    )
    page.wait_for_timeout(1000)  # nothing may happen
    assert top(page) == 0
