"""Somebody new and twenty quarterly reports: uploaded, asked about, two pairs of ways compared, no command line."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_evaluate_page import choose
from tests.support.servers import openbook_server

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WITHIN_MS = 900_000
OpenPage = Callable[..., Page]


def settled(page: Page) -> None:
    """Waits until the page is not being drawn anew, which would close what is open."""
    page.wait_for_timeout(500)  # what was clicked last may not have reached the server yet
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def compared(page: Page, chosen: dict[str, tuple[str, str]], says: str) -> str:
    """Runs two ways against each other, each choice given for A and for B; returns what is said of the difference."""
    for label, (a, b) in chosen.items():
        for nth, option in enumerate((a, b)):
            settled(page)
            page.get_by_label(label, exact=True).nth(nth).click()
            page.get_by_role("option", name=option, exact=True).click()
    settled(page)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".ob-table").first).to_contain_text(says, timeout=WITHIN_MS)
    found = page.get_by_text("B − A = ").first
    expect(found).to_be_visible()
    return found.inner_text()


def test_from_twenty_filings_to_two_reports(
    shared_data: Path, open_page: OpenPage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filings = sorted((shared_data / "sec10q" / "docs").glob("*.pdf"))
    assert len(filings) == 20
    seconds: dict[str, float] = {}
    began = time.monotonic()
    with openbook_server(tmp_path / "data", ui=True) as server:

        def done(what: str) -> None:
            seconds[what] = time.monotonic() - began

        page = open_page()
        page.goto(f"{server.ui_url}/collections")
        page.get_by_label("Name of a new collection").fill("filings")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_role("heading", name="filings")).to_be_visible()
        done("a collection")
        page.locator("input[type=file][multiple]").set_input_files(filings)
        expect(page.get_by_text(f"{len(filings)} files ready")).to_be_visible(timeout=WITHIN_MS)
        done("all filings ready")

        page.get_by_role("link", name="Evaluate").click()
        choose(page, "Collection", "filings")
        page.get_by_role("button", name="Make questions").click()
        expect(page.get_by_text("questions were made")).to_be_visible(timeout=WITHIN_MS)
        done("questions made")
        made = page.get_by_text("questions were made").inner_text()
        for _ in range(3):
            page.get_by_role("button", name="Approve", exact=True).first.click()
        page.get_by_role("button", name=re.compile("^Approve all")).click()
        expect(page.get_by_text("None here.")).to_be_visible()
        finished = page.get_by_role("button", name="Done")
        expect(finished).to_have_count(1)  # while the page is drawn anew, the old one is still there
        finished.click()
        done("approved")

        passages = {
            "Search by": ("Both (hybrid)", "Both (hybrid)"),
            "Passages": ("cut anew: fixed", "cut anew: parent-child"),
        }
        chunkers = compared(page, passages, "B = hybrid, parent-child")
        done("fixed against parent-child")
        retrievers = {
            "Search by": ("Words (bm25)", "Both (hybrid)"),
            "Passages": ("as they are", "as they are"),
        }
        ways = compared(page, retrievers, "A = bm25")
        done("bm25 against hybrid")
        with page.expect_download() as begun:
            page.get_by_role("button", name="Report").click()
        report = tmp_path / "report.html"
        begun.value.save_as(report)
        done("the report")
        assert "B − A = " in report.read_text("utf-8")
    with capsys.disabled():
        clock = "".join(f"{s:7.1f} s {what}\n" for what, s in seconds.items())
        sys.stdout.write(f"\n{made}\n{chunkers}\n{ways}\n{clock}")
