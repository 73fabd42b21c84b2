"""What was written and not asked yet, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import DESK, Site, go

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_draft_is_there_after_another_page_and_a_reload_and_gone_once_it_is_asked(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page(width=DESK)
    page.goto(site.ui_url)
    box = page.get_by_test_id("stChatInputTextArea")
    box.press_sequentially("How many geese")
    go(page, "System")
    expect(page.get_by_role("heading", name="System")).to_be_visible()
    go(page, "Chat")
    expect(box).to_have_value("How many geese")
    page.reload()
    expect(box).to_have_value("How many geese")
    box.press_sequentially(" were kept?")
    box.press("Enter")
    expect(page.locator(".ob-question")).to_have_text("How many geese were kept?")
    page.reload()
    expect(page.locator(".ob-question")).to_have_text("How many geese were kept?")
    expect(box).to_have_value("")


def test_the_enter_that_ends_the_composing_of_a_word_asks_nothing(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(width=DESK)
    page.goto(site.ui_url)
    box = page.get_by_test_id("stChatInputTextArea")
    box.press_sequentially("雁は何羽")
    page.wait_for_function("sessionStorage.getItem('openbook-draft')?.endsWith('雁は何羽')")
    box.evaluate(
        "field => field.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, keyCode: 229, bubbles: true}))"
    )
    assert page.evaluate("sessionStorage.getItem('openbook-draft')?.endsWith('雁は何羽')")
