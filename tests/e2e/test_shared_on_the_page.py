"""A conversation shared in a real browser: by its menu, found by a colleague and by the link, and gone again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import PHONE, assert_fits, sidebar
from tests.support.team import PASSWORD, Team, team

pytestmark = [pytest.mark.browser, pytest.mark.slow]
TITLE = "Who kept the lighthouse?"
TEXT = "# The lighthouse\n\nThe lighthouse of Cape Orrin was kept by Tessa Vane. She wrote to nobody.\n"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, browser: Browser, model_cache: Path) -> Iterator[Team]:
    """Una has a collection that Rolf may read and Zoe may not."""
    env = {"OPENBOOK_RERANKER": "none", "OPENBOOK_VERIFIER": "rules"}
    with team(tmp_path_factory.mktemp("office"), ui=True, env=env) as made:
        for name in ("Una", "Rolf", "Zoe"):
            made.add(name)
        with made.client("Una") as una:
            una.create_collection("lights")
            una.set_member("lights", "rolf", "reader")
        made.upload("Una", "lights", "light.md", TEXT)
        yield made


def sign_in(page: Page, url: str, name: str) -> None:
    page.goto(url)
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.click("button")


def test_a_colleague_finds_what_is_shared_and_only_reads_it(office: Team, open_page: Callable[..., Page]) -> None:
    url = office.server.ui_url
    with office.client("Una") as una:
        chat_id = una.create_chat(["lights"], title=TITLE)["chat_id"]
        with una.chat_stream(chat_id, "Who kept the lighthouse of Cape Orrin?") as said:
            list(said)
    owner, reader = open_page(), open_page(width=PHONE, height=844)
    stranger = open_page()

    # By the keyboard alone: the menu, Share, and the button in the dialog.
    sign_in(owner, f"{url}/?chat={chat_id}", "una")
    menu = owner.get_by_test_id("stSidebar").locator("[class*=st-key-menu-]").first.get_by_role("button")
    share = owner.get_by_role("menuitem", name="Share").or_(owner.get_by_role("option", name="Share")).first
    menu.press("Enter")
    share.press("Enter")
    dialog = owner.get_by_role("dialog")
    expect(dialog.get_by_text("Only you can read this conversation.")).to_be_visible()
    dialog.get_by_role("button", name="Share it").press("Enter")
    expect(dialog.get_by_text("This conversation is shared, read-only")).to_be_visible()
    link = dialog.locator("code").inner_text().strip()
    assert link == f"{url}/?chat={chat_id}"
    owner.keyboard.press("Escape")
    expect(owner.get_by_text("What you ask here is shared too.")).to_be_visible()

    sign_in(reader, url, "rolf")
    sidebar(reader)
    expect(reader.get_by_role("heading", name="Shared with me")).to_be_visible()
    reader.get_by_test_id("stSidebar").get_by_role("button", name=re.compile(f"{re.escape(TITLE)} · Una")).click()
    expect(reader.locator(".ob-answer")).to_contain_text("Tessa Vane")
    expect(reader.get_by_text("Una shares this conversation")).to_be_visible()
    expect(reader.get_by_test_id("stChatInputTextArea")).to_have_count(0)
    for words in ("Edit", "Again"):
        expect(reader.get_by_test_id("stMain").get_by_role("button", name=words)).to_have_count(0)
    assert_fits(reader)
    reader.goto(link)
    reader.get_by_test_id("stMain").get_by_role("button", name="· The lighthouse").click()
    expect(reader.get_by_role("dialog").get_by_text("kept by Tessa Vane").first).to_be_visible()

    sign_in(stranger, link, "zoe")
    expect(stranger.get_by_text("There is no such conversation for you")).to_be_visible()
    expect(stranger.get_by_text("Shared with me")).to_have_count(0)

    menu.click()
    share.click()
    dialog.get_by_role("button", name="Stop sharing").click()
    expect(dialog.get_by_text("Only you can read this conversation.")).to_be_visible()
    reader.goto(link)
    expect(reader.get_by_text("There is no such conversation for you")).to_be_visible()
