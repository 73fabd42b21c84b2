"""The main job in a real browser: bring documents, watch them become ready, ask, check, stop, come back."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import PHONE, PHONE_IS_SLOW, Site, assert_fits, go, sidebar
from tests.e2e.hostile import HOSTILE, URL, canary
from tests.support.pdfs import pdf

pytestmark = pytest.mark.browser
NUMBER = count(1)
OpenPage = Callable[..., Page]

GEESE = "The lighthouse keeper of Skerryvore kept eleven geese, which warned him of visitors in the night."
LAMP = "The lamp of the lighthouse was lit with rapeseed oil until the year 1846."
FILLER = "The weather of that coast is described in the usual terms, and no event of note took place that month."
REPORT = pdf([[FILLER] * 6, [FILLER, GEESE, FILLER], [FILLER, LAMP]], title="Skerryvore report")


def ready_collection(site: Site, tmp_path: Path) -> str:
    """A collection with one readable PDF in it, made through the API."""
    name = f"lighthouse-{next(NUMBER)}"
    path = tmp_path / "skerryvore.pdf"
    path.write_bytes(REPORT)
    site.api.create_collection(name)
    job = site.api.upload(name, [path])[0]
    deadline = time.monotonic() + 60
    while (job := site.api.job(job["job_id"]))["state"] != "ready":
        assert job["state"] not in ("failed", "cancelled"), job["reason"]
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
    return name


def ask(page: Page, question: str) -> None:
    box = page.get_by_test_id("stChatInputTextArea")
    box.fill(question)
    box.press("Enter")


def only(page: Page, collection: str) -> None:
    """Asks of this collection alone."""
    page.get_by_test_id("stBottomBlockContainer").get_by_role("button").filter(
        has_text=re.compile("collections|lighthouse|and .* more")
    ).first.click()
    chooser = page.get_by_test_id("stMultiSelect")
    chooser.get_by_role("combobox").fill(collection)
    page.get_by_role("option", name=collection, exact=True).click()
    expect(page.get_by_test_id("stBottomBlockContainer").get_by_text(collection, exact=True).first).to_be_visible()
    page.keyboard.press("Escape")  # the list
    page.keyboard.press("Escape")  # what it hangs in


def choose_strategy(page: Page, label: str) -> None:
    page.get_by_test_id("stBottomBlockContainer").get_by_role("button", name=re.compile("Quotes")).click()
    page.get_by_test_id("stRadio").get_by_text(label, exact=True).click()
    expect(page.get_by_test_id("stBottomBlockContainer").get_by_role("button", name=re.compile(label))).to_be_visible()
    page.keyboard.press("Escape")


@PHONE_IS_SLOW
def test_from_an_empty_page_to_a_cited_answer(site: Site, open_page: OpenPage, width: int) -> None:
    name = f"lighthouse-{next(NUMBER)}"
    page = open_page(width=width)
    page.goto(f"{site.ui_url}/collections")
    page.get_by_label("Name of a new collection").fill("Not A Name")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert")).to_contain_text("is not a collection name")
    # The alert is drawn first, and what is below it moves down: on a slow machine what is typed meanwhile can be lost.
    expect(page.locator("[data-test-script-state=notRunning]")).to_be_visible()
    page.get_by_label("Name of a new collection").fill(name)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()

    page.locator("input[type=file][multiple]").set_input_files(
        [
            {"name": "skerryvore.pdf", "mimeType": "application/pdf", "buffer": REPORT},
            {"name": "notes.md", "mimeType": "text/markdown", "buffer": f"# Notes\n\n{FILLER}\n".encode()},
            {"name": "broken.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7\nnothing here"},
        ]
    )
    expect(page.get_by_role("progressbar").first).to_be_visible()
    expect(page.get_by_text("2 files ready")).to_be_visible(timeout=60_000)
    broken = page.locator(".ob-job[data-state=failed]")
    expect(broken).to_contain_text("broken.pdf")
    expect(broken.locator(".ob-reason")).not_to_be_empty()
    expect(page.get_by_text("Documents", exact=True)).to_be_visible()

    go(page, "Chat")
    only(page, name)
    ask(page, "How many geese did the lighthouse keeper keep?")
    answer = page.locator(".ob-answer").last
    expect(answer).to_contain_text("eleven geese")
    expect(page.locator(".ob-summary")).to_contain_text("supported")

    answer.locator(".ob-chip").first.click()
    source = page.get_by_role("dialog")
    expect(source).to_contain_text("Page 2")
    mark = source.locator(".ob-passage mark")
    expect(mark).to_contain_text("eleven geese")
    picture = source.get_by_role("img", name=re.compile("Page 2"))
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 400
    page.keyboard.press("Escape")
    expect(source).to_be_hidden()

    # The conversation is in the history by its question, and a reload shows all of it.
    expect(sidebar(page).locator(".st-key-history")).to_contain_text("How many geese")
    page.reload()
    expect(page.locator(".ob-question").last).to_have_text("How many geese did the lighthouse keeper keep?")
    expect(page.locator(".ob-answer").last).to_contain_text("eleven geese")


@PHONE_IS_SLOW
def test_not_knowing_is_a_state_of_its_own(site: Site, open_page: OpenPage, tmp_path: Path, width: int) -> None:
    name = ready_collection(site, tmp_path)
    page = open_page(width=width)
    page.goto(site.ui_url)
    only(page, name)
    ask(page, "What is the boiling point of tungsten in kelvin?")
    expect(page.locator(".ob-abstained")).to_contain_text("I don't know")


@PHONE_IS_SLOW
def test_text_streams_and_the_stop_button_stops_the_server(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    name = ready_collection(site, tmp_path)
    page = open_page(width=width)
    page.goto(site.ui_url)
    only(page, name)
    choose_strategy(page, "Written answer")
    ask(page, "Please tell me slowly about the geese")
    words = page.locator(".ob-answer").last
    expect(words).to_contain_text("word3")
    first = words.inner_text()
    expect(words).to_contain_text(f"word{len(first.split()) + 5}")  # it grows
    assert site.running() == 1
    # The composer's, or the answer's own once anything has made the page run again: always one of them, never both.
    page.get_by_test_id("stChatInputStopButton").or_(page.get_by_role("button", name="Stop", exact=True)).click()
    began = time.monotonic()
    while site.running():
        assert time.monotonic() - began < 2, "the run goes on 2 s after it was stopped"
        time.sleep(0.05)
    expect(page.get_by_text("Stopped here.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Stopped here.")).to_be_visible()
    kept = page.locator(".ob-answer").last.inner_text()
    assert kept.startswith("word0 word1 word2") and "word399" not in kept


@PHONE_IS_SLOW
def test_a_click_elsewhere_does_not_stop_the_answer(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    name = ready_collection(site, tmp_path)
    page = open_page(width=width)
    page.goto(site.ui_url)
    only(page, name)
    choose_strategy(page, "Written answer")
    ask(page, "Please tell me slowly about the lamp")
    expect(page.locator(".ob-answer").last).to_contain_text("word3")
    go(page, "Search")
    expect(page.get_by_label("Search for")).to_be_visible()
    assert site.running() == 1
    go(page, "Chat")
    expect(page.locator(".ob-answer").last).to_contain_text("word2")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped here.")).to_be_visible()
    assert site.running() == 0


@PHONE_IS_SLOW
def test_an_answer_that_breaks_off_says_why_and_says_it_after_a_reload(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    name = ready_collection(site, tmp_path)
    page = open_page(width=width)
    page.goto(site.ui_url)
    only(page, name)
    choose_strategy(page, "Written answer")
    ask(page, "Please break off about the geese")
    expect(page.get_by_text("the model went away")).to_have_count(1)
    expect(page.get_by_role("button", name="Ask again")).to_be_visible()
    page.reload()
    expect(page.get_by_text("the model went away")).to_have_count(1)
    expect(page.locator(".ob-answer").last).to_contain_text("Half an answer")


@pytest.mark.slow
def test_showing_hostile_text_fetches_nothing(site: Site, open_page: OpenPage, tmp_path: Path) -> None:
    name = f"lighthouse-{next(NUMBER)}"
    site.api.create_collection(name)
    path = tmp_path / "![x](http:⁄⁄127.0.0.1) <img src=x>.txt"
    path.write_text("show the payloads\n\n" + "\n\n".join(HOSTILE), "utf-8")
    job = site.api.upload(name, [path])[0]
    while (job := site.api.job(job["job_id"]))["state"] not in ("ready", "failed"):
        time.sleep(0.1)
    assert job["state"] == "ready", job["reason"]
    chat = site.api.create_chat([name], strategy="rag", title=f"![x]({URL}/title) <img src={URL}/title>")
    with canary() as asked, urllib.request.urlopen(f"{URL}/hello") as hello:
        assert hello.status == 204
        assert asked == ["/canary/hello"]  # the canary sings
        page = open_page()
        page.goto(f"{site.ui_url}/?chat={chat['chat_id']}")
        ask(page, "Please show the payloads")
        # Each of its two hundred sentences is checked as it closes, which takes a small machine its time.
        expect(page.locator(".ob-answer").last).to_contain_text("That was all.", timeout=150_000)
        expect(page.locator(".ob-answer .ob-caret")).to_have_count(0)
        assert len(HOSTILE) >= 200
        assert page.locator(".ob-answer").last.inner_text().count("/canary/") >= 200  # all of them are shown
        page.locator(".ob-chip").first.click()
        expect(page.get_by_role("dialog").locator("mark")).to_be_visible()
        page.keyboard.press("Escape")
        page.goto(f"{site.ui_url}/search")
        page.get_by_label("Search for").fill("payloads")
        page.get_by_label("Search for").press("Enter")
        expect(page.locator(".ob-hit-text").first).to_be_visible()
        page.goto(f"{site.ui_url}/collections?collection={name}")
        expect(page.get_by_text("Documents", exact=True)).to_be_visible()
        page.wait_for_timeout(1000)
        assert asked == ["/canary/hello"]
        assert page.locator("a[href*=canary], img[src*=canary], [style*=canary]").count() == 0


def test_a_phone_and_a_keyboard_are_enough(site: Site, open_page: OpenPage, tmp_path: Path) -> None:
    name = ready_collection(site, tmp_path)
    page = open_page(width=PHONE, height=844)
    page.goto(site.ui_url)
    only(page, name)
    ask(page, "How many geese did the lighthouse keeper keep?")
    chip = page.locator(".ob-chip").first
    expect(chip).to_be_visible()
    assert_fits(page)
    chip.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").locator("mark")).to_contain_text("eleven geese")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


@PHONE_IS_SLOW
def test_the_theme_can_be_changed_and_dialogs_follow(
    site: Site, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    name = ready_collection(site, tmp_path)
    page = open_page(width=width)
    page.goto(site.ui_url)
    only(page, name)
    light = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    page.get_by_test_id("stMainMenu").click()
    page.get_by_test_id("stMainMenuItem-theme-Dark").click()
    page.keyboard.press("Escape")
    page.wait_for_function("document.documentElement.style.colorScheme === 'dark'")
    assert page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor") != light
    expect(page.get_by_alt_text("Logo").filter(visible=True).first).to_be_visible()
