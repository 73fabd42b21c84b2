"""Sources opened one after the other, in a real browser, while an answer is being given."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import SIZES, Site
from tests.e2e.test_main_job import REPORT, ask
from tests.support.jobs import settled

pytestmark = [pytest.mark.browser, pytest.mark.slow]
HARBOUR = b"# The harbour\n\nThe harbour of Marrow Sound was dredged in 1911.\n"


@SIZES
def test_a_source_shows_nothing_of_the_one_before_though_an_answer_is_being_given(
    site: Site, open_page: Callable[..., Page], width: int
) -> None:
    name = f"sources-{width}"
    site.api.create_collection(name)
    files = [("skerryvore.pdf", io.BytesIO(REPORT)), ("harbour.md", io.BytesIO(HARBOUR))]
    for job in site.api.upload(name, files):
        assert settled(site.api, job["job_id"])["state"] == "ready"
    chat = site.api.create_chat([name])["chat_id"]
    for question in ("How many geese did the lighthouse keeper keep?", "When was the harbour dredged?"):
        with site.api.chat_stream(chat, question, strategy="extract") as said:
            assert list(said)[-1][0] == "done"
    site.api.update_chat(chat, strategy="rag")
    page = open_page(width=width)
    page.goto(f"{site.ui_url}/?chat={chat}")
    expect(page.locator(".ob-answer")).to_have_count(2)
    ask(page, "Please tell me slowly about the geese")
    expect(page.locator(".ob-answer").last).to_contain_text("word3")

    source, picture = page.get_by_role("dialog"), page.get_by_role("dialog").get_by_role("img", name=re.compile("Page"))
    page.locator(".ob-answer").nth(0).locator(".ob-chip").first.press("Enter")
    expect(source.locator("mark").first).to_contain_text("eleven geese")
    expect(picture).to_be_visible()
    page.keyboard.press("Escape")
    expect(source).to_be_hidden()
    page.locator(".ob-answer").nth(1).locator(".ob-chip").first.press("Enter")
    expect(source.locator("mark").first).to_contain_text("dredged in 1911")
    expect(picture).to_have_count(0, timeout=2000)
    expect(source.get_by_role("button", name="Download the original")).to_have_count(1, timeout=2000)
    assert site.running() == 1, "the answer was over before the second source was looked at"
    page.keyboard.press("Escape")
    page.get_by_test_id("stChatInputStopButton").or_(page.get_by_role("button", name="Stop", exact=True)).click()
    expect(page.get_by_text("Stopped here.")).to_be_visible()
