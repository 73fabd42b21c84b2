"""Two answers without names, from the start, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Site
from tests.e2e.test_conversations import GEESE, OpenPage, answers
from tests.e2e.test_main_job import ask, only, ready_collection

pytestmark = [pytest.mark.browser, pytest.mark.slow]
HOW = re.compile("Quotes|Two answers, unnamed")


def unnamed(site: Site, open_page: OpenPage, tmp_path: Path, *ways: str, width: int) -> Page:
    """A page where questions are answered twice, in two of these ways."""
    name = ready_collection(site, tmp_path)
    page = open_page(width=width)
    page.goto(site.ui_url)
    expect(page.get_by_test_id("stChatInputTextArea")).to_be_visible()
    only(page, name)
    page.locator(".st-key-composer").get_by_role("button", name=HOW).click()
    page.get_by_text("Two answers, unnamed").last.click()
    choose = page.get_by_role("combobox", name="Draw two of these ways")
    for way in ways:
        choose.fill(way)
        page.get_by_role("option", name=way, exact=True).click()
        expect(page.get_by_role("button", name=f"Remove {way}")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator(".st-key-composer").get_by_role("button", name=HOW)).to_contain_text("Two answers, unnamed")
    return page


@pytest.mark.parametrize("width", [1280, 390])
def test_two_answers_come_together_without_names_and_the_vote_says_them(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    page = unnamed(site, open_page, tmp_path, "Quotes", "Written answer", width=width)
    ask(page, GEESE)
    expect(page.locator(".ob-pair")).to_have_count(2)
    said = page.get_by_test_id("stMain").get_by_test_id("stChatMessage").last
    expect(said).to_contain_text("eleven geese")
    expect(said).not_to_contain_text(re.compile(r"extract|Quotes|Written|\[1\]|\d\.\d s"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.reload()
    expect(page.locator(".ob-pair")).to_have_count(2)  # the pair waits
    page.get_by_role("button", name="Both bad").press("Enter")
    expect(page.locator(".ob-vote")).to_contain_text("Quotes")
    expect(page.locator(".ob-vote")).to_contain_text("Written answer")
    expect(answers(page)).to_have_count(1)  # from now on an answer like any other


@pytest.mark.parametrize("width", [1280, 390])
def test_stopped_before_both_are_there_nothing_runs_on_and_what_was_whole_is_kept(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    page = unnamed(site, open_page, tmp_path, "Written answer", "Whole documents", width=width)
    ask(page, f"Please tell me slowly: {GEESE}")
    expect(page.get_by_text("Two answers are under way")).to_be_visible()
    page.wait_for_timeout(1000)
    expect(page.get_by_text("word0")).to_have_count(0)  # no word of either
    assert site.running() == 1
    page.get_by_role("button", name="Stop").last.click()
    expect(page.get_by_text("Stopped here. What was said so far is kept.")).to_be_visible()
    assert site.running() == 0
    expect(page.locator(".ob-pair")).to_have_count(0)
