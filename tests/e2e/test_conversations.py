"""What people do with a conversation, in a real browser: edit, answer again, look back, rate, copy, find, export."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import PHONE_IS_SLOW, SIZES, Site, assert_fits, sidebar
from tests.e2e.test_main_job import ask, only, ready_collection

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
GEESE = "How many geese did the lighthouse keeper of Skerryvore keep?"
LAMP = "What was the lamp of the lighthouse lit with until 1846?"


def answered(site: Site, open_page: OpenPage, tmp_path: Path, question: str = GEESE, **how: int) -> Page:
    """A page with one answered question about a collection of its own."""
    name = ready_collection(site, tmp_path)
    page = open_page(**how)
    page.goto(site.ui_url)
    expect(page.get_by_test_id("stChatInputTextArea")).to_be_visible()
    only(page, name)
    ask(page, question)
    expect(answers(page)).to_have_count(1)
    expect(actions(page, "Again")).to_have_count(1)
    return page


def answers(page: Page) -> Locator:
    return page.locator(".ob-answer")


def actions(page: Page, label: str) -> Locator:
    return page.get_by_test_id("stMain").get_by_role("button", name=re.compile(f"^(\\w+ )?{label}"))


@PHONE_IS_SLOW
def test_a_question_is_edited_and_the_older_one_is_found_again(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    page = answered(site, open_page, tmp_path, width=width)
    expect(answers(page)).to_contain_text("eleven geese")
    actions(page, "Edit").click()
    page.get_by_label("Your question").fill(LAMP)
    page.get_by_role("button", name="Ask this instead").click()
    expect(answers(page).last).to_contain_text("rapeseed")  # for a moment the one before may still stand there
    expect(page.locator(".ob-question")).to_have_text(LAMP)
    expect(page.get_by_text("2 of 2")).to_be_visible()
    actions(page, "Older version").first.click()
    expect(page.locator(".ob-question")).to_have_text(GEESE)
    expect(answers(page).last).to_contain_text("eleven geese")
    page.reload()
    expect(page.locator(".ob-question")).to_have_text(GEESE)  # the server remembers which one was shown


@PHONE_IS_SLOW
def test_an_answer_is_given_again_in_another_way_and_rated(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    page = answered(site, open_page, tmp_path, width=width)
    actions(page, "Again").click()
    page.get_by_role("menuitem", name="Written answer").or_(
        page.get_by_role("option", name="Written answer")
    ).first.click()
    expect(answers(page).last).to_contain_text("He sold none")
    expect(page.get_by_text("2 of 2")).to_be_visible()
    page.get_by_label("Thumbs down").click()
    page.get_by_label("What was wrong with it?").fill("He did sell one.")
    page.get_by_label("What was wrong with it?").press("Enter")
    chat_id = re.search(r"chat=(\w+)", page.url).group(1)
    deadline = time.monotonic() + 30
    while (rated := site.api.chat(chat_id)["messages"][-1]["feedback"]) is None or not rated["reason"]:
        assert time.monotonic() < deadline, rated
        time.sleep(0.1)
    assert rated == {"good": False, "reason": "He did sell one."}
    page.reload()
    expect(page.get_by_label("What was wrong with it?")).to_have_value("He did sell one.")


@pytest.mark.slow
@SIZES
def test_an_answer_is_copied_with_its_markers_and_without_marks(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    page = answered(site, open_page, tmp_path, width=width)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied", exact=True)).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "eleven geese" in copied and "[1]" in copied and "✓" not in copied


@pytest.mark.slow
@SIZES
def test_a_conversation_is_found_and_exported(site: Site, open_page: OpenPage, tmp_path: Path, width: int) -> None:
    page = answered(site, open_page, tmp_path, width=width)
    find = sidebar(page).get_by_label("Find a conversation")
    find.fill("nobody said this")
    find.press("Enter")
    expect(page.get_by_text("No conversation has all of these words.")).to_be_visible()
    find.fill("GEESE skerryvore")
    find.press("Enter")
    row = page.get_by_test_id("stSidebar").get_by_role("button", name=re.compile("How many geese"))
    expect(row.first).to_be_visible()
    page.get_by_test_id("stSidebar").locator("[class*=st-key-menu-]").first.get_by_role("button").click()
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as download:
        page.get_by_test_id("stDialog").get_by_role("button", name=re.compile("Markdown")).click()
    text = Path(download.value.path()).read_text("utf-8")
    assert "eleven geese" in text and "Skerryvore report" in text


@pytest.mark.slow
def test_the_actions_fit_a_phone(site: Site, open_page: OpenPage, tmp_path: Path) -> None:
    page = answered(site, open_page, tmp_path, width=390, height=844)
    assert_fits(page)
    expect(actions(page, "Again")).to_be_in_viewport()


@pytest.mark.slow
@SIZES
def test_two_answers_are_compared_blind_by_keyboard_and_the_vote_says_which_was_which(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    page = answered(site, open_page, tmp_path, width=width)
    actions(page, "Compare").press("Enter")
    expect(page.get_by_text("Answer 1", exact=True)).to_be_visible(timeout=120_000)
    expect(page.get_by_text("Answer 2", exact=True)).to_be_visible()
    expect(page.locator(".ob-pair")).to_have_count(2)
    pair = page.get_by_test_id("stMain").get_by_test_id("stChatMessage").last
    expect(pair).to_contain_text("eleven geese")
    expect(pair).not_to_contain_text(re.compile(r"extract|Quotes|\d\.\d s"))  # nothing of how they were made
    page.reload()
    expect(page.locator(".ob-pair")).to_have_count(2)  # it waits
    vote = page.get_by_role("button", name="Both bad")
    vote.focus()
    vote.press("Enter")
    expect(page.locator(".ob-vote")).to_contain_text("both bad")
    expect(page.locator(".ob-vote")).to_contain_text("Quotes")
    expect(actions(page, "Compare")).to_have_count(0)
    page.goto(f"{site.ui_url}/evaluate")
    page.get_by_text(re.compile("^Your votes in the chat")).click()
    expect(page.locator(".ob-table").last).to_contain_text("extract")


@pytest.mark.slow
@SIZES
def test_a_second_answer_can_be_stopped_and_the_page_goes_on_meanwhile(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    page = answered(site, open_page, tmp_path, f"Please tell me slowly: {GEESE}", width=width)
    actions(page, "Compare").click()
    waiting = page.get_by_text("Another answer is under way")
    expect(waiting).to_be_visible(timeout=2000)
    page.locator(".ob-chip").first.click()  # a source can be read meanwhile
    expect(page.get_by_role("dialog").locator("mark")).to_contain_text("eleven geese")
    page.keyboard.press("Escape")
    assert site.running() == 1
    assert_fits(page)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(waiting).to_have_count(0)
    assert site.running() == 0
    expect(answers(page)).to_have_count(1)
    expect(answers(page)).to_contain_text("eleven geese")
    expect(actions(page, "Compare")).to_be_visible()
    expect(page.get_by_text("2 of 2")).to_have_count(0)
