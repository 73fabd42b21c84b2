"""Slices of a result on the page."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

SLICES = [
    {"by": "kind", "name": "cloze", "n": 12, "means": [0.5, 0.25, 0.75], "metric": "ndcg@10"},
    {"by": "document", "name": "<b>Q3</b>", "n": 7, "means": [0.1, 0.2, 0.3], "metric": "ndcg@10"},
]
METRICS = {"em": {"n": 0}, "ndcg@10": {"n": 19}, "mrr@10": {"n": 19}}


def shown(slices: list[dict[str, Any]], pair: tuple[int, int]) -> AppTest:
    result = {"eval_id": "e1", "metric": "ndcg@10", "slices": slices, "configurations": [{"metrics": METRICS}] * 3}
    script = f"from app.ui.eval_slices_view import draw_slices\ndraw_slices({result!r}, {pair!r})\n"
    at = AppTest.from_string(script, default_timeout=30).run()
    assert not at.exception
    return at


def html_of(at: AppTest) -> str:
    return "\n".join(str(element.value) for element in at.get("html"))


def test_the_two_that_are_compared_stand_side_by_side_with_their_difference() -> None:
    html = html_of(shown(SLICES, (0, 2)))
    assert "<td>0.500</td><td>0.750</td><td>+0.250</td>" in html and "0.250</td><td>0" not in html
    assert "&lt;b&gt;Q3&lt;/b&gt;" in html and "<b>" not in html


def test_they_begin_with_the_metric_of_the_result_and_offer_those_that_have_values() -> None:
    (by,) = shown(SLICES, (0, 2)).selectbox
    assert (by.label, by.value, by.options) == ("Means of", "ndcg@10", ["ndcg@10", "mrr@10"])


def test_nothing_is_drawn_where_there_are_no_slices() -> None:
    assert html_of(shown([], (0, 1))) == ""
