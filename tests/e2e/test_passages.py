"""Looking before adding, and looking at what was added, in a real browser."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import DESK, PHONE, SIZES, Site, assert_fits

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]


def log(did: str, things: str) -> str:
    days = (" ".join(f"On day {i} {did} {i * j} {things}." for j in range(30)) for i in range(12))
    return "# Logbook\n\n" + "\n\n".join(f"## Day {i}\n\n{day}" for i, day in enumerate(days))


# Another one at each width, or each would have near-duplicates in the collection of the other.
TEXTS = {DESK: log("the keeper counted", "geese"), PHONE: log("a pilot sounded", "depths")}


@pytest.mark.slow
@SIZES
def test_a_file_is_looked_at_added_and_its_passages_turned_over(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    site.api.create_collection(name := f"looked-at-{width}", pii="redact")
    path = tmp_path / "log.md"
    path.write_text(TEXTS[width] + "\n\nWrite to jo.doe@example.com <script>alert(1)</script>")
    page = open_page(width=width)
    page.goto(f"{site.ui_url}/collections?collection={name}")
    page.get_by_text("Look at a file before adding it").click()
    page.locator(f'.st-key-preview-{name}-0 input[type="file"]').set_input_files(str(path))
    expect(page.get_by_text("1 e-mail address taken out")).to_be_visible()
    expect(page.locator(".ob-chunk")).to_have_count(10)
    expect(page.locator(".ob-chunk").first).to_contain_text("tokens · characters 0–")
    expect(page.locator(".ob-shared").first).to_be_visible()
    assert site.api.jobs(collection=name) == [], "nothing was added"
    # Another size is another cut.
    page.locator(".st-key-preview-tokens input").fill("60")
    page.locator(".st-key-preview-tokens input").press("Enter")
    expect(page.get_by_text("It will be cut to the size that the collection is set to.")).to_be_visible()
    expect(page.get_by_text(re.compile(r"of \d+ to (5\d|60) tokens"))).to_be_visible()
    page.get_by_role("button", name="Add this file").click()
    expect(page.get_by_text("Documents", exact=True)).to_be_visible()
    (document,) = site.api.documents(name)["documents"]
    assert "[e-mail]" in site.api.document_text(document["doc_id"])

    twin = tmp_path / "twin.md"
    twin.write_text(TEXTS[width])
    job = site.api.upload(name, [twin])[0]
    while site.api.job(job["job_id"])["state"] != "ready":
        time.sleep(0.1)
    page.reload()
    expect(page.get_by_text("1 near-duplicate")).to_have_count(2)
    page.locator(f".st-key-document-{document['doc_id']} button:visible").first.click()
    page.get_by_text("Passages", exact=True).last.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"twin.md in {name}")).to_be_visible()
    expect(dialog.get_by_text("Passages 1 to 10 of")).to_be_visible()
    dialog.get_by_role("button", name="Next").click()
    expect(dialog.get_by_text("Passages 11 to 20 of")).to_be_visible()
    expect(dialog.locator(".ob-chunk-number").first).to_have_text("11")
    assert_fits(page)


@pytest.mark.slow
@SIZES
def test_passages_are_made_anew_from_the_menu_and_gone_back_to(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    site.api.create_collection(name := f"remade-{width}")
    path = tmp_path / "log.md"
    path.write_text(TEXTS[width])
    job = site.api.upload(name, [path])[0]
    while site.api.job(job["job_id"])["state"] != "ready":
        time.sleep(0.1)
    (before,) = [c["chunks"] for c in site.api.collections() if c["name"] == name]
    page = open_page(width=width)
    page.goto(f"{site.ui_url}/collections?collection={name}")
    menu = page.locator(".st-key-collection-menu button:visible").first
    menu.click()
    expect(page.get_by_text("Go back", exact=True)).to_have_count(0)
    page.get_by_text("Make anew", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.locator(".st-key-anew-chunker input").click()
    page.get_by_role("option", name="of whole sentences").click()
    dialog.locator(".st-key-anew-tokens input").fill("60")
    dialog.locator(".st-key-anew-tokens input").press("Enter")
    dialog.get_by_role("button", name="Make anew").click()
    expect(page.get_by_text("All passages anew: sentence 60")).to_be_visible()
    expect(page.locator('.ob-job[data-state="ready"]').first).to_contain_text("All passages anew")
    expect(page.locator(".st-key-chunker input")).to_have_value("like the others here")
    menu.click()
    page.get_by_text("Go back", exact=True).click()
    expect(dialog.get_by_text("of whole sentences, at most 60 tokens")).to_be_visible()
    dialog.get_by_role("button", name="Go back").click()
    expect(page.get_by_text(f"1 document · {before} passages")).to_be_visible()
