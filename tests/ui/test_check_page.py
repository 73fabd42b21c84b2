"""The page that checks a claim, drawn by Streamlit's own test runner against real HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from app.ui.check_page import check_page
from tests.support.stand_in import serve
from tests.support.stand_in_state import State
from tests.ui.test_pages import page, shown


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    with serve(State(job_s=0.001)) as address, httpx.Client(base_url=address) as client:
        monkeypatch.setenv("OPENBOOK_API_URL", address)
        client.post("/v1/collections", json={"name": "reports"})
        yield client
        streamlit.cache_resource.clear()


def checked(api: httpx.Client, claim: str, *files: str) -> tuple[AppTest, str]:
    for name in files:
        api.post("/v1/collections/reports/documents", files=[("files", (name, b"%PDF"))])
        api.get("/v1/collections")
    at = page(check_page).run()
    at.text_area(key="check-claim").set_value(claim)
    at.button[0].click().run()
    return at, shown(at)


def test_a_supported_claim_shows_its_passage_and_opens_it(api: httpx.Client) -> None:
    at, html = checked(api, "Net sales were $90,753 million.", "q3.pdf")
    assert "Supported by your documents" in html
    assert "Net sales for the quarter were $90,753 million" in html and "2024-05-06" in html
    assert "Because &lt;i&gt;so&lt;/i&gt;." in html
    assert [b.label for b in at.button] == ["Check", "Open in the document"]


def test_how_often_the_verifier_errs_stands_where_it_judges_a_claim(api: httpx.Client) -> None:
    _, html = checked(api, "Net sales were $90,753 million.", "q3.pdf")
    assert "The marks are set by a program, which errs." in html
    assert "called 25% of the unsupported ones supported" in html and "1,000 judged" in html


def test_sources_that_disagree_are_both_shown_and_nothing_of_theirs_is_markup(api: httpx.Client) -> None:
    _, html = checked(api, "One thing. Another thing.", "a.pdf", "b.pdf")
    assert "Not enough in your documents to say" in html
    assert "&lt;b&gt;A&lt;/b&gt; says 12 [1]; B says 15 [2]" in html
    assert "says otherwise" in html
    assert "Another thing." in html


def test_without_documents_there_is_nothing_to_check_against(api: httpx.Client) -> None:
    assert "Nothing to check against yet" in shown(page(check_page).run())


def test_a_calibrated_collection_says_when_it_answers(api: httpx.Client) -> None:
    from app.ui.collections_page import collections_page

    api.post("/v1/collections", json={"name": "calibrated"})
    at = page(collections_page)
    at.query_params["collection"] = "calibrated"
    html = shown(at.run())
    assert "0 of 59; with 95 % confidence at most 5.0%" in html
    assert "&lt;b&gt;asked&lt;/b&gt;" in html
