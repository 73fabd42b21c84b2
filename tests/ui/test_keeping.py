"""What was chosen on a page is there again after a visit to another one, and a search is in the address."""

from __future__ import annotations

import httpx
from streamlit.testing.v1 import AppTest

from tests.ui.test_pages import TIMEOUT_S, shown


def page_and_another(module: str, function: str) -> AppTest:
    """The page, or another one while ``away`` is set; the test runner cannot follow pages that are functions."""
    script = (
        f"import streamlit as st\nfrom {module} import {function} as page\n"
        "if st.session_state.get('away'):\n    st.title('Another page')\nelse:\n    page()\n"
    )
    return AppTest.from_string(script, default_timeout=TIMEOUT_S)


def visit_another(at: AppTest) -> None:
    for away in (True, False):
        at.session_state["away"] = away
        at.query_params.clear()
        at.run()
        assert not at.exception


def test_a_search_is_in_the_address_and_is_found_again_after_a_visit_elsewhere(filled: httpx.Client) -> None:
    filled.post("/v1/collections", json={"name": "papers"})
    filled.post("/v1/collections/papers/documents", files=[("files", ("a.pdf", b"%PDF"))])
    at = page_and_another("app.ui.search_page", "search_page").run()
    at.text_input(key="search-query").set_value("net sales")
    at.multiselect(key="search-collections").set_value(["reports"])
    at.button_group(key="search-by").set_value("bm25")
    at.button[0].click().run()
    address = {"q": "net sales", "in": "reports", "by": "bm25"}
    assert at.query_params == address and "1. " in shown(at)
    visit_another(at)
    assert at.text_input(key="search-query").value == "net sales"
    assert at.multiselect(key="search-collections").value == ["reports"]
    assert not at.selectbox(key="search-beside").proto.set_value, "it would show that nothing is chosen yet"
    assert at.query_params == address and "1. " in shown(at)

    of_somebody_else = page_and_another("app.ui.search_page", "search_page")
    for name, value in address.items():
        of_somebody_else.query_params[name] = value
    of_somebody_else.query_params["in"] = ["reports", "of-nobody"]
    assert "1. " in shown(of_somebody_else.run())
    assert of_somebody_else.multiselect(key="search-collections").value == ["reports"]
    assert of_somebody_else.button_group(key="search-by").value == "bm25"


def test_a_text_too_long_for_an_address_is_not_in_it() -> None:
    script = "from app.ui.search_page import _say_in_the_address as say\nsay({!r}, ['reports'], 'bm25')"
    at = AppTest.from_string(script.format("海" * 400), default_timeout=TIMEOUT_S).run()
    assert not at.exception and at.query_params["q"] == "海" * 400
    at = AppTest.from_string(script.format("海" * 1000), default_timeout=TIMEOUT_S)
    at.query_params["q"], at.query_params["in"] = "of before", "reports"
    assert not at.run().exception and at.query_params == {}, (
        "a reload with 9,000 bytes is refused by servers in between"
    )


def test_documents_that_were_looked_for_are_still_there(filled: httpx.Client) -> None:
    at = page_and_another("app.ui.collections_page", "collections_page")
    at.query_params["collection"] = "reports"
    at.run().text_input(key="documents-words").set_value("q3").run()
    visit_another(at)
    assert at.text_input(key="documents-words").value == "q3"
    at.button(key="back").click().run()
    at.button(key="open-reports").click().run()
    assert at.text_input(key="documents-words").value == "", "of another visit of the collection"
