"""What differs between two traces where one of them was kept before steps and citations were told by all that they are now."""

from __future__ import annotations

import json
from typing import Any

from app.shapes import trace_json
from app.trace_diff import differences, with_times_of
from core.types import Step, Trace

CITATION = {"n": 1, "doc_id": "d1", "title": "Geese", "quote": "There were eleven."}


def trace_of(*, note: bool | None, **where: str) -> dict[str, Any]:
    """``note`` None: as it was recorded before there was such a field."""
    trace = Trace(
        run_id="r1",
        strategy="reflexion",
        question="How many?",
        steps=(Step(kind="reflect", index=0, thought="Look at the dates."),),
        answer=None,
        stop_reason="answered",
        settings_hash="s",
        prompt_hash="p",
        index_version="i",
    )
    found = json.loads(json.dumps(trace_json(trace)))
    found["answer"] = {"answer": "Eleven [1].", "citations": [CITATION | where], "usage": {"duration_s": 0.0}}
    (step,) = found["steps"]
    if note is None:
        del step["note"]
    else:
        step["note"] = note
    return dict(found)


def test_a_replay_of_a_recording_of_before_steps_were_marked_is_the_same() -> None:
    old = trace_of(note=None)
    for marked in (False, True):
        assert with_times_of(trace_of(note=marked), old) == old
    assert with_times_of(trace_of(note=False), trace_of(note=True)) != trace_of(note=True), "both have it"


def test_an_answer_of_before_citations_named_their_file_does_not_differ_by_that() -> None:
    new = trace_of(note=False, uri="geese.md", collection="farm")
    assert differences(trace_of(note=None), new) == []
    assert differences(trace_of(note=None), trace_of(note=False, doc_id="d2"))[0]["at"] == "citation 1"
