"""A run that would do something outside asks on the page, where its answer is being written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import SIZES, Site, assert_fits
from tests.e2e.test_main_job import ask, ready_collection

pytestmark = pytest.mark.browser


def noted(site: Site) -> list[str]:
    file = site.folder / "notes.txt"
    return file.read_text("utf-8").splitlines() if file.exists() else []


@pytest.mark.slow
@SIZES
@pytest.mark.parametrize(("button", "answer", "more"), [("Don't", "Not noted.", 0), ("Do it", "It is noted.", 1)])
def test_a_person_sees_what_would_be_done_and_says_yes_or_no(
    site: Site, open_page: Callable[..., Page], tmp_path: Path, button: str, answer: str, more: int, width: int
) -> None:
    before = noted(site)
    chat = site.api.create_chat([ready_collection(site, tmp_path)], strategy="react")
    page = open_page(width=width)
    page.goto(f"{site.ui_url}/?chat={chat['chat_id']}")
    ask(page, "Please add a note about the geese")
    card = page.locator("[class*=st-key-card-approval-]")
    expect(card).to_contain_text("May notes_add_note be called?")
    expect(card).to_contain_text("<img src=x> eleven geese")  # as text
    expect(card).to_contain_text("Everybody <b>reads</b> it. (worth 0.7 of 1)")
    assert card.locator("img").count() == 0
    assert noted(site) == before
    assert_fits(page)
    card.get_by_role("button", name=button).click()
    expect(page.locator(".ob-answer").last).to_contain_text(answer)
    expect(card).to_have_count(0)
    assert len(noted(site)) == len(before) + more
