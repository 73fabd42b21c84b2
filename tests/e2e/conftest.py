"""A real browser before a real server: one of each for all tests of this folder, a fresh page for each test."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from app.client import Client
from tests.e2e.hostile import HOSTILE_ANSWER
from tests.support.servers import REPO, openbook_server

CHROMIUM_ARGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = 30_000
# A desk and a phone. Where the test is one of the fast ones, the phone is left to the slow ones.
DESK, PHONE = 1280, 390
SIZES = pytest.mark.parametrize("width", [DESK, PHONE])
PHONE_IS_SLOW = pytest.mark.parametrize("width", [DESK, pytest.param(PHONE, marks=pytest.mark.slow)])
SLOW_ANSWER = " ".join(f"word{i}" for i in range(400))  # 40 s at a tenth of a second a word
SCRIPT = {
    "replies": [
        {"when": "tell me slowly", "text": SLOW_ANSWER, "delta_delay_s": 0.1, "times": 0},
        {
            "when": "tell me at length",
            "text": " ".join(f"word{i}" for i in range(80)),
            "delta_delay_s": 0.1,
            "times": 0,
        },
        {
            "when": "break off",
            "text": "Half an answer",
            "error": {"code": "model-unavailable", "message": "the model went away"},
            "times": 0,
        },
        # Thinks and acts: it adds a note, which somebody must say yes to, and then ends.
        {"when": "What would happen if", "text": "Everybody <b>reads</b> it.", "times": 0},
        {"when": "from 0 (not at all", "text": "7", "times": 0},
        {"when": "Call the tool with other arguments", "text": "none", "times": 0},
        {
            "when": "notes_add_note was not done",
            "tool_calls": [{"name": "finish", "arguments": {"answer": "Not noted."}}],
            "times": 0,
        },
        {
            "when": "note was added",
            "tool_calls": [{"name": "finish", "arguments": {"answer": "It is noted."}}],
            "times": 0,
        },
        {
            "when": "add a note",
            "tool_calls": [{"name": "notes_add_note", "arguments": {"text": "<img src=x> eleven geese"}}],
            "times": 0,
        },
        # As a judge of two answers it prefers its own.
        {"when": '<answer id="1">The lighthouse keeper', "text": '{"better": "1"}', "delay_s": 0.1, "times": 0},
        {"when": '<answer id="2">The lighthouse keeper', "text": '{"better": "2"}', "delay_s": 0.1, "times": 0},
        {"when": "You compare two answers", "text": "Hard to say.", "times": 0},
        {"when": "show the payloads", "text": HOSTILE_ANSWER, "times": 0},
        {"text": "The lighthouse keeper kept eleven geese [1]. **He sold none.**", "delta_delay_s": 0.02, "times": 0},
    ]
}


@dataclass(frozen=True, slots=True)
class Site:
    ui_url: str
    api: Client
    folder: Path

    def running(self) -> int:
        """How many answers the server is giving."""
        runs = self.api.system()["runs"]
        assert isinstance(runs, int)
        return runs


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if os.environ.get("OPENBOOK_TEST_REQUIRE_BROWSER") == "1":
        pytest.fail("no Chromium on the path, and OPENBOOK_TEST_REQUIRE_BROWSER=1 asks for one")
    pytest.skip("no Chromium on the path")


# Not for the session: until it is closed, no test of this process could call asyncio.run.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = _chromium()
    with sync_playwright() as playwright:
        expect.set_options(timeout=TIMEOUT_MS)
        found = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield found
        found.close()


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser, model_cache: Path) -> Iterator[Site]:
    """One server for all tests; each makes a collection of its own."""
    folder = tmp_path_factory.mktemp("site")
    script = folder / "script.json"
    script.write_text(json.dumps(SCRIPT), "utf-8")
    # The fitted threshold is strict about so small a collection; these tests are about the page.
    notes = {"command": [sys.executable, "-m", "tests.support.notes_server", str(folder / "notes.txt")]}
    env = {
        "OPENBOOK_MCP_SERVERS": json.dumps({"notes": {**notes, "env": {"PYTHONPATH": str(REPO)}}}),
        "OPENBOOK_LM_RUNTIME": "scripted",
        "OPENBOOK_LM_SCRIPT": str(script),
        "OPENBOOK_LM_CHOICES": json.dumps({"other": {"runtime": "scripted", "script": str(script)}}),
        "OPENBOOK_EXTRACT_THRESHOLD": "0.5",
        "OPENBOOK_MAX_ANSWER_TOKENS": "2048",
    }
    with openbook_server(folder / "data", ui=True, env=env) as server, server.client() as api:
        yield Site(server.ui_url, api, folder)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages that fail the test if they reach for anything but this machine. One as narrow as a phone is touched, unless told."""
    contexts = []
    strangers: list[str] = []

    def open_one(
        width: int = DESK, height: int = 900, scheme: Literal["light", "dark"] = "light", touch: bool | None = None
    ) -> Page:
        touch = width < 500 if touch is None else touch
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=touch, is_mobile=touch
        )
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.on("request", lambda request: _note(request.url, strangers))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert strangers == [], "the page asked other hosts for something"


def sidebar(page: Page) -> Locator:
    """The list beside the page, which a phone hides until it is asked for."""
    page.wait_for_function("document.documentElement.style.colorScheme !== ''")  # by then page.js has put it away
    found = page.get_by_test_id("stSidebar")
    if found.get_attribute("data-collapsed") == "true":
        page.get_by_test_id("stExpandSidebarButton").click()
    return found


def go(page: Page, title: str) -> None:
    """To another page, by its name in the list."""
    sidebar(page).get_by_role("link", name=title).click()


def assert_fits(page: Page) -> None:
    """Nothing makes it wider than the screen; what is in the middle scrolls by itself."""
    size = page.viewport_size
    assert size is not None and page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    wider = page.get_by_test_id("stMain").evaluate("main => main.scrollWidth - main.clientWidth")
    assert wider <= 0, f"by {wider} pixels"


def _note(url: str, strangers: list[str]) -> None:
    if not url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")):
        strangers.append(url)
