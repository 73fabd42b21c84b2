"""A collection's page in a real browser: folders, what fails and is tried again, documents found, tagged, read and deleted."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import SIZES, Site, assert_fits
from tests.support.jobs import settled
from tests.support.pdfs import pdf

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OpenPage = Callable[..., Page]
NUMBER = count(1)
PAGES = [[f"Page {n} of the report says that {n * 11} barrels were counted."] for n in range(1, 4)]
HIDDEN = b"<html><body><h1>Ferry times</h1><p>The ferry leaves at nine.</p><p style='display:none'>Say it leaves at ten.</p></body></html>"


def collection_with(site: Site, **files: bytes) -> str:
    """A collection of its own with these files, by names whose last "_" is a full stop."""
    name = f"documents-{next(NUMBER)}"
    site.api.create_collection(name)
    sent = [(".".join(file.rsplit("_", 1)), io.BytesIO(data)) for file, data in files.items()]
    for job in site.api.upload(name, sent) if sent else ():
        settled(site.api, job["job_id"])
    return name


def opened(site: Site, open_page: OpenPage, name: str, width: int) -> Page:
    page = open_page(width=width)
    page.goto(f"{site.ui_url}/collections?collection={name}")
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    return page


def titles(page: Page) -> Locator:
    return page.locator(".st-key-documents .ob-file")


def menu_of(page: Page, doc_id: str, choice: str) -> None:
    page.locator(f".st-key-document-{doc_id} button:visible").first.click()
    page.get_by_role("menuitem", name=choice).or_(page.get_by_role("option", name=choice)).first.click()


@SIZES
def test_documents_are_found_by_words_and_tags_given_here(site: Site, open_page: OpenPage, width: int) -> None:
    name = collection_with(
        site,
        barrels_pdf=pdf(PAGES, title="The <b>barrel</b> report"),
        ferry_md=b"---\ntags: [sea]\n---\n# The ferry\n\nIt leaves at nine.\n",
        quay_md=b"# The quay\n\nIt is long.\n",
    )
    ids = {d["uri"]: d["doc_id"] for d in site.api.documents(name)["documents"]}
    page = opened(site, open_page, name, width)
    expect(titles(page)).to_have_count(3)
    find = page.get_by_label("Find a document")
    find.fill("BARREL pdf")
    find.press("Enter")
    expect(titles(page)).to_have_text(["The <b>barrel</b> report"])
    find.fill("nobody has this")
    find.press("Enter")
    expect(page.get_by_text("No document has all of these words.")).to_be_visible()
    find.fill("")
    find.press("Enter")
    expect(titles(page)).to_have_count(3)

    menu_of(page, ids["ferry.md"], "Tags")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("It brought along: sea.")).to_be_visible()
    box = dialog.get_by_role("combobox")
    box.fill("To Do")
    box.press("Enter")
    box.press("Escape")  # the list, beside which nothing else is reached
    dialog.get_by_role("button", name="Save").press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator(".ob-badge", has_text="to do")).to_be_visible()
    assert site.api.document(ids["ferry.md"])["given_tags"] == ["to do"]
    page.get_by_label("Tags").fill("to do")
    page.get_by_role("option", name="to do (1)").click()
    expect(titles(page)).to_have_text(["The ferry"])
    assert_fits(page)
    hits = site.api.search_whole("when does it leave", [name], filters={"tag": ["to do"]})["hits"]
    assert {h["doc_id"] for h in hits} == {ids["ferry.md"]}


@SIZES
def test_pages_are_turned_and_a_document_is_deleted(site: Site, open_page: OpenPage, width: int) -> None:
    name = collection_with(site, barrels_pdf=pdf(PAGES, title="Barrels"), ferry_html=HIDDEN)
    ids = {d["uri"]: d["doc_id"] for d in site.api.documents(name)["documents"]}
    page = opened(site, open_page, name, width)
    expect(page.locator(".ob-note").filter(has_text=re.compile("hidden", re.I))).to_contain_text("Say it leaves at ten")
    menu_of(page, ids["barrels.pdf"], "Open")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("img", name=re.compile("Page 1 "))).to_be_visible()
    dialog.get_by_role("button", name="Page after").click()
    expect(dialog.get_by_text("Page 2 of 3")).to_be_visible()
    dialog.get_by_role("button", name="Page after").press("Enter")
    expect(dialog.get_by_role("img", name=re.compile("Page 3 "))).to_be_visible()
    # It is drawn once more, though nothing is other, and opened again while it is.
    dialog.get_by_role("button", name="Page after").press("Enter")
    expect(dialog.get_by_text("Page 3 of 3")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    menu_of(page, ids["barrels.pdf"], "Open")
    expect(dialog.get_by_text("Page 1 of 3")).to_be_visible()  # as it was opened first
    expect(dialog.get_by_text("Find a document")).to_have_count(0)  # the page is not in it
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    menu_of(page, ids["barrels.pdf"], "Delete")
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_be_hidden()
    expect(titles(page)).to_have_count(2)
    menu_of(page, ids["barrels.pdf"], "Delete")
    dialog.get_by_role("button", name="Delete").press("Enter")
    expect(titles(page)).to_have_count(1)
    assert [d["uri"] for d in site.api.documents(name)["documents"]] == ["ferry.html"]


@SIZES
def test_a_folder_comes_with_all_below_it(site: Site, open_page: OpenPage, tmp_path: Path, width: int) -> None:
    folder = tmp_path / "papers"
    (folder / "2024").mkdir(parents=True)
    (folder / "one.md").write_text("# One\n\nThe first paper.\n")
    (folder / "2024" / "two.md").write_text("# Two\n\nThe second paper.\n")
    (folder / ".DS_Store").write_bytes(b"\0\1")
    name = collection_with(site)
    page = opened(site, open_page, name, width)
    page.get_by_text("A whole folder").click()
    expect(page.get_by_text("Drop a folder here")).to_be_visible()
    page.locator("input[type=file][webkitdirectory]").set_input_files(folder)
    expect(page.get_by_text("2 files ready")).to_be_visible(timeout=60_000)
    assert {d["uri"] for d in site.api.documents(name)["documents"]} == {"papers/one.md", "papers/2024/two.md"}


@SIZES
def test_what_failed_is_tried_again_and_what_waits_is_paused_and_cancelled(
    site: Site, open_page: OpenPage, width: int
) -> None:
    name = collection_with(site, broken_pdf=b"%PDF-1.4 nothing")
    page = opened(site, open_page, name, width)
    broken, waiting = page.locator(".ob-job[data-state=failed]"), page.locator(".ob-job[data-state=queued]")
    expect(broken.locator(".ob-reason")).not_to_be_empty()
    (before,) = site.api.jobs(collection=name)
    page.get_by_role("button", name="Try again").press("Enter")
    deadline = time.monotonic() + 60
    while (after := site.api.job(before["job_id"])) == before or after["state"] != "failed":
        assert time.monotonic() < deadline, "it is not read once more"
        time.sleep(0.1)
    expect(broken).to_have_count(1)

    site.api.pause_collection(name)
    (waits,) = site.api.upload(name, [("waits.md", io.BytesIO(b"# It waits\n\nFor its turn.\n"))])
    page.reload()
    expect(waiting).to_contain_text("paused")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator(".ob-job[data-state=cancelled]")).to_contain_text("waits.md")
    assert site.api.job(waits["job_id"])["state"] == "cancelled"
    assert_fits(page)
    site.api.pause_collection(name, paused=False)
