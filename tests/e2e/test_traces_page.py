"""The page of recorded runs, in a real browser: found, opened, replayed, compared, taken along and forgotten."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from app.client import ApiError
from tests.e2e.conftest import SIZES, Site, assert_fits
from tests.support.jobs import settled

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OpenPage = Callable[..., Page]
QUESTION = "How many buoys <img src=x> did the pilots of Marrow Sound lay?"


@pytest.fixture(scope="module")
def runs(site: Site) -> dict[str, str]:
    """Strategy → a run of the same question in one conversation."""
    site.api.create_collection("buoys")
    text = b"# Marrow Sound\n\nThe pilots of Marrow Sound laid 27 buoys in the spring.\n"
    for job in site.api.upload("buoys", [("sound.md", io.BytesIO(text))]):
        settled(site.api, job["job_id"])
    chat = site.api.create_chat(["buoys"], title="Buoys")["chat_id"]
    found = {}
    for strategy in ("rag", "extract"):
        with site.api.chat_stream(chat, QUESTION, strategy=strategy) as said:
            found[strategy] = list(said)[-1][1]["run_id"]
    return found


def open_list(page: Page, label: str) -> None:
    """What a list offers, with its first entry chosen next."""
    box, first = page.get_by_label(label), page.get_by_role("option").first
    for _ in range(5):  # a list closes when the page is drawn anew, as it is just after a click
        box.press("ArrowDown")
        page.wait_for_timeout(1000)
        if first.is_visible():
            return
    expect(first).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_run_is_found_opened_replayed_and_compared(
    site: Site, open_page: OpenPage, runs: dict[str, str], width: int, scheme: str
) -> None:
    page = open_page(width=width, scheme=scheme)
    page.goto(f"{site.ui_url}/traces")
    page.get_by_label("Words of the question").fill("buoys marrow")
    page.get_by_label("Words of the question").press("Enter")
    rows = page.locator(".st-key-runs").get_by_role("button")
    expect(rows).to_have_count(2)
    expect(page.locator(".st-key-runs img")).to_have_count(0)
    expect(page.locator(".st-key-runs")).to_contain_text("in “Buoys”")
    rows.last.click()
    expect(page.locator(".ob-facts")).to_contain_text(runs["rag"])
    heard = page.locator(".ob-event-call summary").filter(has_text="Search").first
    heard.click()
    expect(page.locator(".ob-said").filter(has_text="27 buoys").first).to_be_visible()
    assert page.locator(".ob-timeline img").count() == 0
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Identical")).to_be_visible()
    open_list(page, "Compare with")
    same = page.get_by_role("option").first
    expect(same).to_contain_text("buoys")  # that of the same question stands before newer ones
    same.click()
    expect(page.locator(".ob-change-at").filter(has_text="strategy")).to_be_visible()
    assert_fits(page)
    page.reload()
    expect(page.locator(".ob-facts")).to_contain_text(runs["rag"])  # the address has it


@SIZES
def test_a_run_is_taken_along_and_forgotten(site: Site, open_page: OpenPage, runs: dict[str, str], width: int) -> None:
    run_id = site.api.ask(QUESTION, ["buoys"])["run_id"]
    page = open_page(width=width)
    page.goto(f"{site.ui_url}/traces?run={run_id}")
    with page.expect_download() as lines:
        page.get_by_role("button", name="JSON lines").click()
    with page.expect_download() as spans:
        page.get_by_role("button", name="OpenTelemetry").click()
    first = lines.value.path().read_text("utf-8").splitlines()[0]
    assert json.loads(first)["run_id"] == run_id
    assert json.loads(spans.value.path().read_text("utf-8"))["resourceSpans"]
    page.get_by_role("button", name="Forget").click()
    page.get_by_role("button", name="Forget it").click()
    expect(page.get_by_label("Words of the question")).to_be_visible()
    with pytest.raises(ApiError, match="no run"):
        site.api.trace(run_id)
    page.goto(f"{site.ui_url}/traces?run={run_id}")
    expect(page.get_by_text("That run is no longer there.")).to_be_visible()
