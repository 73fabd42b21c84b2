"""Steps on the page: in order, short, and nothing of a document comes to life."""

from __future__ import annotations

from app.ui.steps_view import latest_html

STEP = {"kind": "act", "thought": "I look.", "observation": "found", "error": "", "tool_call": None}


def test_the_last_four_steps_are_shown_in_order() -> None:
    html = latest_html([{**STEP, "thought": f"step {i}"} for i in range(6)])
    assert [f"step {i}" in html for i in range(6)] == [False, False, True, True, True, True]
    assert html.index("step 2") < html.index("step 5")


def test_what_was_asked_of_a_tool_is_shown_without_its_numbers() -> None:
    html = latest_html([{**STEP, "tool_call": {"name": "search", "arguments": {"query": "orchard", "k": 8}}}])
    assert "search: orchard</span>" in html


def test_a_document_cannot_write_markup() -> None:
    html = latest_html([{**STEP, "observation": "<img src=http://evil.example/x> <script>1</script>", "error": "<b>"}])
    assert "<img" not in html and "<script" not in html and "<b>" not in html


def test_each_step_says_when_it_was_unless_nobody_knows() -> None:
    html = latest_html([{**STEP, "started_s": 1.25, "duration_s": 0.5}, STEP])
    assert html.count("ob-step-time") == 1 and '<span class="ob-step-time">1.2–1.8 s</span>' in html


def test_no_steps_are_nothing() -> None:
    assert latest_html([]) == ""
