"""The page Evaluate in a real browser: questions made, some approved, two ways compared, the report taken."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.app.test_evals import TOWNS, document
from tests.e2e.conftest import PHONE_IS_SLOW, SIZES, Site, assert_fits
from tests.support.jobs import settled

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]


def filled(site: Site, name: str) -> str:
    site.api.create_collection(name)
    files = [(f"{town}.md", io.BytesIO(document(n).encode())) for n, town in enumerate(TOWNS)]
    for job in site.api.upload(name, files):
        assert settled(site.api, job["job_id"])["state"] == "ready"
    return name


@pytest.fixture(scope="module")
def collection(site: Site) -> str:
    return filled(site, "evaluated")


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).first.click()
    page.get_by_role("option", name=option).first.click()


@PHONE_IS_SLOW
def test_from_questions_to_a_report(site: Site, open_page: OpenPage, tmp_path: Path, width: int) -> None:
    collection = filled(
        site, f"reported-{width}"
    )  # its own: where questions are there already, the page begins elsewhere
    page = open_page(width=width)
    page.goto(f"{site.ui_url}/evaluate")
    choose(page, "Collection", collection)
    page.get_by_role("button", name="Make questions").click()
    expect(page.get_by_text("questions were made")).to_be_visible()
    page.get_by_role("button", name="Approve", exact=True).first.click()
    expect(page.get_by_text("None here.")).to_have_count(0)
    page.get_by_role("button", name=re.compile("^Approve all")).click()
    expect(page.get_by_text("None here.")).to_be_visible()
    page.get_by_role("button", name="Done").first.click()  # for a moment the one before it still stands there
    expect(page.get_by_text(re.compile(r"^the \d+ approved$"))).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("B − A = ").first).to_be_visible(timeout=90_000)
    expect(page.locator(".ob-table").first).to_contain_text("B = hybrid")
    expect(page.get_by_text("Question by question")).to_be_visible()
    with page.expect_download() as begun:
        page.get_by_role("button", name="Report").click()
    begun.value.save_as(tmp_path / "report.html")
    assert "B − A = " in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_it_fits_and_reads_well(site: Site, open_page: OpenPage, collection: str, width: int, scheme: str) -> None:
    made = site.api.make_questions(collection, 10, name=f"fits {width} <img src=x>")
    run = site.api.start_eval(made["set_id"], [{"retriever": "bm25"}, {"retriever": "tfidf"}], which="not rejected")
    with site.api.eval_events(run["eval_id"]) as stream:
        assert [data["state"] for _, data in stream][-1] == "done"
    page = open_page(width=width, scheme=scheme)
    page.goto(f"{site.ui_url}/evaluate")
    choose(page, "Collection", collection)
    expect(page.locator(".ob-table").first).to_be_visible()
    assert_fits(page)
    assert page.locator("[data-testid=stMain] img[src=x]").count() == 0


@pytest.mark.slow
@SIZES
def test_language_models_are_an_axis_of_a_grid_of_answers(
    site: Site, open_page: OpenPage, collection: str, width: int
) -> None:
    site.api.make_questions(collection, 3, name=f"of models {width}", unanswerable=0, multi_hop=0)
    page = open_page(width=width)
    page.goto(f"{site.ui_url}/evaluate")
    choose(page, "Collection", collection)
    choose(page, "Questions", f"of models {width}")
    page.get_by_text("How answers are given").click()
    page.get_by_text("Many (a grid)").click()
    expect(page.get_by_text("One model is loaded after the other.")).to_be_visible()
    models = page.get_by_label("Language models", exact=True).first
    models.fill("other")
    models.press("Enter")
    expect(page.get_by_text("other", exact=True).first).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".ob-table").first).to_contain_text("answers by rag, model other", timeout=90_000)


@pytest.mark.slow
@SIZES
def test_a_language_model_is_asked_which_answers_are_better(
    site: Site, open_page: OpenPage, collection: str, width: int
) -> None:
    made = site.api.make_questions(collection, 14, name=f"judged {width}", seed=width, unanswerable=0, multi_hop=0)
    ways = [{"strategy": "extract"}, {"strategy": "rag"}]
    run = site.api.start_eval(made["set_id"], ways, which="not rejected")
    with site.api.eval_events(run["eval_id"]) as stream:
        assert [data["state"] for _, data in stream][-1] == "done"
    n = site.api.judging(run["eval_id"], 0, 1)["n_pairs"]
    assert n > 2, "the two answer differently"
    page = open_page(width=width)
    page.goto(f"{site.ui_url}/evaluate")
    choose(page, "Collection", collection)
    choose(page, "Questions", f"judged {width}")
    section = page.get_by_text("Ask the language model", exact=True)
    section.scroll_into_view_if_needed()
    section.click()
    expect(page.get_by_text("Of each the model is asked twice")).to_be_visible()
    expect(page.get_by_text(f"0 of these {n} pairs have your vote.")).to_be_visible()
    ask = page.get_by_role("button", name=f"Ask about {n} pairs")
    ask.focus()
    page.keyboard.press("Enter")
    said = page.get_by_role("status").filter(has_text="scripted:script.json")
    expect(said).to_contain_text("There is no κ: no pair has a vote of people yet", timeout=60_000)
    facts = page.locator(".ob-facts").filter(has_text="orders that disagree")
    expect(facts).to_contain_text("B preferred")
    expect(facts).to_contain_text("agreement with your votes")
    expect(page.get_by_text("All of them are judged; the verdicts are kept.")).to_be_visible()
    assert_fits(page)
    judged = site.api.judging(run["eval_id"], 0, 1)
    assert (judged["run"]["state"], judged["result"]["n"]) == ("done", n)
