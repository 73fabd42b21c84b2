"""The search page in a real browser: the way of a hit through the stages, why, and what was nearly found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import PHONE_IS_SLOW, Site, assert_fits
from tests.support.jobs import settled

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def collection(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("logs")
    paths = []
    for n in range(1, 13):
        path = folder / f"log{n}.md"
        what = "The keeper kept eleven geese." if n == 1 else f"The lamp burned through night {n}."
        path.write_text(
            f"---\ntags: [log, n{n % 2}]\n---\n# Log {n} <img src=x>\n\nAn entry of the lighthouse. {what}\n"
        )
        paths.append(path)
    site.api.create_collection("waterfall")
    for job in site.api.upload("waterfall", paths):
        assert settled(site.api, job["job_id"])["state"] == "ready"
    return "waterfall"


def search(page: Page, site: Site, collection: str) -> None:
    page.goto(f"{site.ui_url}/search")
    page.get_by_test_id("stMultiSelect").first.get_by_role("combobox").fill(collection)
    page.get_by_role("option", name=collection, exact=True).click()
    page.keyboard.press("Escape")
    page.get_by_label("Search for").fill("How many geese did the keeper keep?")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".ob-way").first).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_a_hit_shows_its_way_and_why(site: Site, open_page: OpenPage, collection: str, width: int, scheme: str) -> None:
    page = open_page(width=width, scheme=scheme)
    search(page, site, collection)
    first = page.locator(".st-key-card-hit-1")
    expect(first.locator(".ob-hit-text strong")).to_have_text("The keeper kept eleven geese.")
    assert first.locator(".ob-way-stage").all_inner_texts() == [
        "Words (BM25)", "Meaning (dense)", "Fused", "Late interaction", "Reranked",
    ]  # fmt: skip
    first.get_by_text("Why this one").click()
    expect(first.get_by_text("Matched words")).to_be_visible()
    expect(first.locator(".ob-tokens")).to_contain_text("geese")
    expect(page.get_by_text("Nearly found")).to_be_visible()
    expect(page.locator(".ob-miss").first).to_contain_text("before reranking, number 11 after it")
    assert page.locator(".ob-miss img, .ob-way img").count() == 0
    assert_fits(page)


@PHONE_IS_SLOW
def test_a_search_is_narrowed_by_a_tag(site: Site, open_page: OpenPage, collection: str, width: int) -> None:
    page = open_page(width=width)
    search(page, site, collection)
    page.get_by_text("Narrow and spread").click()
    # A list closes when the page under it moves, as it does until the box has opened.
    page.get_by_text("Say the same only once").click(trial=True)
    tag = page.get_by_label("Tag")
    tag.click()
    tag.press_sequentially("n0", delay=50)
    page.get_by_role("option").filter(has_text="n0").click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".ob-miss").filter(has_text="does not pass the filter on tag").first).to_be_visible()
    expect(page.locator(".st-key-card-hit-1 .ob-hit-text")).not_to_contain_text("geese")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_two_ways_to_search_stand_side_by_side(
    site: Site, open_page: OpenPage, collection: str, width: int, scheme: str
) -> None:
    page = open_page(width=width, scheme=scheme)
    search(page, site, collection)
    beside = page.get_by_label("Beside", exact=True)
    beside.click()
    page.get_by_role("option", name="Words", exact=True).click()
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_text("found both ways")).to_be_visible()
    left, right = page.locator(".st-key-side-0"), page.locator(".st-key-side-1")
    expect(left.get_by_role("heading", name="A · Both")).to_be_visible()
    expect(right.get_by_role("heading", name="B · Words")).to_be_visible()
    expect(left.locator(".st-key-card-hit-0-1 .ob-badge").first).to_have_text("the same place")
    expect(right.locator(".st-key-card-hit-1-1 .ob-hit-text")).to_contain_text("eleven geese")
    assert right.locator(".ob-way-stage").first.inner_text() == "Words (BM25)"
    right.get_by_role("button", name="Open in the document").first.click()
    expect(page.get_by_role("dialog").locator("mark").first).to_contain_text("geese")
    assert_fits(page)
