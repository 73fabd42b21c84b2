"""Check, System, and the pages that have nothing to show yet, in a real browser, on a desk and on a phone."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Site, assert_fits
from tests.support.jobs import settled

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OpenPage = Callable[..., Page]
SIZES = pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
TEXT = b"# The harbour\n\nThe harbour of Marrow Sound was dredged in 1911. It is nine metres deep.\n"


@pytest.fixture(scope="module")
def collection(site: Site) -> str:
    site.api.create_collection("harbours")
    (job,) = site.api.upload("harbours", [("harbour.md", io.BytesIO(TEXT))])
    assert settled(site.api, job["job_id"])["state"] == "ready"
    return "harbours"


@SIZES
def test_a_claim_is_checked_and_its_passage_opened(
    site: Site, open_page: OpenPage, collection: str, width: int, scheme: str
) -> None:
    page = open_page(width=width, scheme=scheme)
    page.goto(f"{site.ui_url}/check")
    page.get_by_role("combobox").first.fill(collection)
    page.get_by_role("option", name=collection, exact=True).click()
    page.keyboard.press("Escape")
    verdict = page.locator(".ob-card[role=status]")
    for year, said in ((1911, "Supported"), (1951, "Refuted")):
        page.get_by_label("Claim").fill(f"The harbour of Marrow Sound was dredged in {year}.")
        page.get_by_role("button", name="Check", exact=True).click()
        expect(verdict).to_contain_text(said)
    page.get_by_role("button", name="Open in the document").first.press("Enter")
    expect(page.get_by_role("dialog").locator("mark")).to_contain_text("dredged in 1911")
    page.keyboard.press("Escape")
    assert_fits(page)


@SIZES
def test_the_system_page_says_what_the_machine_has_and_what_waits(
    site: Site, open_page: OpenPage, collection: str, width: int, scheme: str
) -> None:
    page = open_page(width=width, scheme=scheme)
    page.goto(f"{site.ui_url}/system")
    for heading in ("Doctor", "Queues", "Disk", "Versions", "Models"):
        expect(page.locator(".ob-card h4", has_text=re.compile(f"^{heading}$"))).to_be_visible()
    doctor = page.locator(".ob-card").filter(has=page.locator("h4", has_text=re.compile("^Doctor$")))
    expect(doctor.get_by_role("img", name="in order").first).to_be_visible()
    expect(doctor).to_contain_text("Python")
    expect(page.locator(".ob-card").filter(has_text="Queues")).to_contain_text("ready")
    expect(page.locator(".ob-card").filter(has_text="Data directory")).to_contain_text("Originals")
    assert_fits(page)


@SIZES
def test_a_press_is_shown_before_the_server_has_begun(site: Site, open_page: OpenPage, width: int, scheme: str) -> None:
    page = open_page(width=width, scheme=scheme)
    page.goto(f"{site.ui_url}/collections")
    expect(page.locator(".st-key-keys button")).to_have_attribute("aria-keyshortcuts", "Control+/")  # its script runs
    expect(page.get_by_role("button", name="Create")).to_be_visible()
    press = "button.click(), document.querySelector('.stApp').matches('[data-ob-asked]')"
    assert page.get_by_role("button", name="Create").evaluate(f"button => ({press})")
    line = "getComputedStyle(document.querySelector('.stApp'), '::after').opacity"
    page.wait_for_function(f"{line} === '1'", timeout=2000)
    page.wait_for_function(f"{line} === '0'")
