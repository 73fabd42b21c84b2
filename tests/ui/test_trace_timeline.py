"""A recorded run as a line of time: what is shown of it, in which order, and that nothing of it is markup."""

from __future__ import annotations

import re
from typing import Any

from app.ui.trace_timeline import MOST_CHARACTERS, MOST_EVENTS, differences_html, events_of, seconds_text, timeline_html

HOSTILE = "<img src=x onerror=alert(1)><script>x</script>"


def step(index: int, started_s: float, **more: Any) -> dict[str, Any]:
    plain = {"thought": "", "tool_call": None, "observation": "", "error": "", "parent_index": None}
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "duration_s": 0.1}
    return {"index": index, "kind": "act", "usage": usage, "started_s": started_s, "duration_s": 0.5, **plain, **more}


def call(kind: str, started_s: float, request: Any, response: Any) -> dict[str, Any]:
    return {"kind": kind, "request": request, "response": response, "started_s": started_s, "duration_s": 0.25}


def model_call(text: str, started_s: float = 0.1) -> dict[str, Any]:
    request = {"messages": [{"role": "user", "content": f"Say {text}"}], "tools": [], "params": {"temperature": 0.0}}
    usage = {"prompt_tokens": 1200, "completion_tokens": 1, "duration_s": 0.1}
    return call(
        "model", started_s, request, {"pieces": [[text, None]], "tool_calls": [], "end": "done", "usage": usage}
    )


def run(*steps: Any, calls: Any = ()) -> dict[str, Any]:
    return {"run_id": "r1", "steps": list(steps), "calls": list(calls), "duration_s": 2.0}


def test_steps_and_calls_stand_in_the_order_in_which_they_began_and_counts_are_left_out() -> None:
    hits = {"hits": [{"rank": 1, "title": "T", "page": 2, "score": 0.5, "text": "words"}]}
    found = events_of(
        run(
            step(0, 0.0, kind="plan", thought="first"),
            step(1, 1.0, tool_call={"call_id": "c", "name": "search", "arguments": {"query": "geese", "k": 8}}),
            calls=[
                call("count", 0.0, {"of": "x"}, {"n": 3}),
                call("search", 1.0, {"query": "geese", "k": 8}, hits),
                model_call("hello"),
                call(
                    "verdict", 1.5, {"claim": "so", "evidence": "x"}, {"label": "not_a_claim", "score": 1, "reason": ""}
                ),
            ],
        )
    )
    assert [(e.kind, e.what, e.aside) for e in found] == [
        ("Thought", "first", "7 tokens"),
        ("Model", "hello", "1,200 → 1 token"),
        ("Did", "search geese, 8", "7 tokens"),
        ("Search", "geese", "1 passage"),
        ("Check", "so", "not a claim"),
    ]
    assert dict(found[3].parts)["Heard"] == "1. T, page 2 · 0.500\nwords"


def test_bars_show_when_it_was_and_how_long_it_took() -> None:
    (bar,) = re.findall(r"left:([\d.]+)%;width:([\d.]+)%", timeline_html(run(step(0, 1.0))))
    assert bar == ("50.0", "25.0")  # of 2 s: from 1 s on, half a second
    assert [seconds_text(s) for s in (0.0124, 0.5, 12.34)] == ["12 ms", "0.50 s", "12.3 s"]


def test_nothing_that_a_document_or_a_model_said_is_markup() -> None:
    hits = {"hits": [{"rank": 1, "title": HOSTILE, "page": None, "score": 0.5, "text": HOSTILE}]}
    tool = {"call_id": "c", "name": HOSTILE, "arguments": {HOSTILE: HOSTILE}}
    bad = step(0, 0.0, kind=HOSTILE, thought=HOSTILE, observation=HOSTILE, error=HOSTILE, tool_call=tool)
    calls = [
        model_call(HOSTILE),
        call("search", 0, {"query": HOSTILE}, hits),
        call(HOSTILE, 0, {HOSTILE: 1}, {"x": HOSTILE}),
    ]
    changes = [{"at": HOSTILE, "was": HOSTILE, "is": {HOSTILE: [HOSTILE]}}]
    shown = timeline_html(run(bad, calls=calls)) + differences_html(changes)
    assert "<img" not in shown and "<script" not in shown
    assert "&lt;img" in shown


def test_what_is_very_long_is_cut_and_says_so() -> None:
    many = timeline_html(
        run(*(step(n, n) for n in range(MOST_EVENTS + 2)), step(0, 0, observation="x" * (MOST_CHARACTERS + 5)))
    )
    assert "3 more lines" in many and "5 more characters" in many
    assert many.count("<details>") == MOST_EVENTS


def test_of_differences_the_answers_come_first() -> None:
    shown = differences_html([{"at": "strategy", "was": "a", "is": "b"}, {"at": "answer", "was": "x", "is": None}])
    assert shown.index("answer") < shown.index("strategy")
    assert "nothing" in shown
