"""What differs between two traces of which one was kept before citations said where their document lies."""

from __future__ import annotations

from typing import Any

from app.trace_diff import differences


def trace_of(**of_citation: str) -> dict[str, Any]:
    citation = {"n": 1, "doc_id": "d1", "title": "Geese", "quote": "There were eleven.", **of_citation}
    return {"steps": [], "answer": {"answer": "Eleven [1].", "citations": [citation]}}


def test_an_answer_of_before_citations_named_their_file_does_not_differ_by_that() -> None:
    new = trace_of(uri="geese.md", collection="farm")
    assert differences(trace_of(), new) == differences(new, trace_of()) == []
    assert [d["at"] for d in differences(new, trace_of(doc_id="d2"))] == ["citation 1"]
