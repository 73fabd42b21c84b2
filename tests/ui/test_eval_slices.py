"""Slices of a result on the page."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

SLICES = [
    {"by": "kind", "name": "cloze", "n": 12, "means": [0.5, 0.25, 0.75], "metric": "ndcg@10"},
    {"by": "document", "name": "<b>Q3</b>", "n": 7, "means": [0.1, 0.2, 0.3], "metric": "ndcg@10"},
]


def shown(slices: list[dict[str, object]], pair: tuple[int, int]) -> str:
    script = f"from app.ui.eval_slices_view import draw_slices\ndraw_slices({slices!r}, {pair!r})\n"
    at = AppTest.from_string(script, default_timeout=30).run()
    assert not at.exception
    return "\n".join(str(element.value) for element in at.get("html"))


def test_the_two_that_are_compared_stand_side_by_side_with_their_difference() -> None:
    html = shown(SLICES, (0, 2))
    assert "<td>0.500</td><td>0.750</td><td>+0.250</td>" in html and "0.250</td><td>0" not in html
    assert "&lt;b&gt;Q3&lt;/b&gt;" in html and "<b>" not in html


def test_nothing_is_drawn_where_there_are_no_slices() -> None:
    assert shown([], (0, 1)) == ""
