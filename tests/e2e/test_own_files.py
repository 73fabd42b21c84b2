"""Files of one conversation, in a real browser: they come with a question, are read, asked, taken away and deleted."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import SIZES, Site, assert_fits

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OpenPage = Callable[..., Page]
TEXT = "# Harbour dues\n\nThe harbour dues of Port Quillon were set at 318 crowns by the warden Ada Finch.\n"
QUESTION = "Who set the harbour dues of Port Quillon?"


@pytest.fixture
def dues(tmp_path: Path) -> Path:
    path = tmp_path / "dues.md"
    path.write_text(TEXT, "utf-8")
    return path


def bring(page: Page, path: Path) -> None:
    page.get_by_test_id("stChatInput").locator("input[type=file]").first.set_input_files(path)
    expect(page.get_by_test_id("stChatInput").get_by_text(path.name)).to_be_visible()


def send(page: Page, question: str) -> None:
    page.get_by_test_id("stChatInputTextArea").fill(question)
    page.get_by_test_id("stChatInputTextArea").press("Enter")


@SIZES
def test_a_file_comes_with_a_question_and_goes_with_the_conversation(
    site: Site, open_page: OpenPage, dues: Path, width: int
) -> None:
    page = open_page(width=width)
    page.goto(site.ui_url)
    expect(page.get_by_test_id("stChatInputTextArea")).to_be_visible()
    bring(page, dues)
    send(page, QUESTION)
    expect(page.locator(".ob-answer")).to_contain_text("Ada Finch", timeout=90_000)
    expect(page.get_by_test_id("stMain").get_by_role("button", name="· Harbour dues")).to_be_visible()
    chat_id = re.search(r"chat=(\w+)", page.url).group(1)  # type: ignore[union-attr]
    (file,) = site.api.chat(chat_id)["files"]
    assert QUESTION in [m["content"] for m in site.api.chat(chat_id)["messages"]]
    assert not any("attached" in c["name"] for c in site.api.collections())

    page.get_by_role("button", name=re.compile("1 file")).click()
    expect(page.locator(".ob-file").filter(has_text="dues.md")).to_be_visible()
    assert_fits(page)
    page.get_by_role("button", name="Take away").click()
    expect(page.get_by_role("button", name=re.compile("1 file"))).to_have_count(0)
    assert site.api.chat(chat_id)["files"] == []
    assert site.api.chat(chat_id)["messages"], "what was answered stays"
    site.api.delete_chat(chat_id)
    assert file["doc_id"]


@SIZES
def test_a_file_alone_is_read_and_one_that_cannot_be_says_why(
    site: Site, open_page: OpenPage, dues: Path, tmp_path: Path, width: int
) -> None:
    page = open_page(width=width)
    page.goto(site.ui_url)
    expect(page.get_by_test_id("stChatInputTextArea")).to_be_visible()
    bring(page, dues)
    page.get_by_test_id("stChatInputSubmitButton").click()
    expect(page.get_by_role("button", name=re.compile("1 file"))).to_be_visible()
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.4 nothing more")
    bring(page, broken)
    send(page, QUESTION)
    expect(page.get_by_text("broken.pdf could not be read")).to_be_visible(timeout=90_000)
    expect(page.locator(".ob-question")).to_have_text(QUESTION)
    expect(page.get_by_role("button", name=re.compile("2 files, 1 failed"))).to_be_visible()
    page.reload()
    expect(page.locator(".ob-question")).to_have_text(QUESTION)
    expect(page.get_by_text("broken.pdf is not read")).to_be_visible()
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".ob-answer")).to_contain_text("Ada Finch", timeout=90_000)
    expect(page.locator(".ob-question")).to_have_count(1)
