"""What the page says of a judge's verdicts."""

from __future__ import annotations

from typing import Any

import pytest

from app.ui.eval_judge_view import judged_html
from app.ui.eval_moving import progress_text

PEOPLE = {"n": 24, "kappa": 0.52, "ci_low": 0.11, "ci_high": 0.83, "text": "It agrees with people <b>moderately</b>."}
RESULT = {
    "judge": "qwen<img src=x>",
    "n": 30, "n_left": 0, "n_unread": 2, "n_too_long": 1, "n_alike": 1,
    "b_preferred": 0.75, "b_interval": [0.57, 0.87], "b_preferred_alike": 1.0, "b_interval_alike": [0.21, 1.0],
    "position_bias": 0.1, "people": PEOPLE,
}  # fmt: skip


def said(**changed: Any) -> str:
    return judged_html({**RESULT, **changed})


def test_each_figure_is_said_with_its_interval_and_number_and_nothing_becomes_markup() -> None:
    shown = said()
    assert "<img" not in shown and "<b>" not in shown
    assert "It prefers B’s answers (28 pairs); among answers of nearly one length that is not shown" in shown
    assert "It prefers B’s answers (28 pairs)." in said(b_interval_alike=[0.6, 1.0]), "of 30 two had no verdict"
    for figure in ("75% [57%, 87%]", "100% [21%, 100%]", "1 pair<", "10%", "2 of 30 pairs, 1 of them too long"):
        assert figure in shown
    assert "κ 0.52 [0.11, 0.83]" in shown and "24 pairs with a vote" in shown
    assert "changes with which answer stands first" in said(position_bias=0.6)
    assert "none" in said(people={**PEOPLE, "kappa": None, "ci_low": None, "ci_high": None})


def test_a_model_that_is_named_as_a_picture_is_no_picture_while_it_is_asked() -> None:
    text = progress_text(
        {"done": 1, "total": 2, "stage": "asking openai:![x](http://canary/p.png)@http://host"}, "pair"
    )
    assert text.startswith("1 of 2 pairs · asking openai") and "![x](" not in text and "http://canary" not in text
    assert progress_text({"done": 0, "total": 1, "stage": ""}, "pair") == "0 of 1 pair · waiting"


@pytest.mark.parametrize(
    ("share", "interval", "sentence"),
    [
        (0.2, [0.1, 0.4], "It prefers A’s answers"),
        (0.6, [0.4, 0.8], "do not show that it prefers either"),
        (None, None, "no verdict that could be read"),
    ],
)
def test_a_preference_is_said_only_where_its_interval_leaves_a_half_out(
    share: float | None, interval: list[float] | None, sentence: str
) -> None:
    assert sentence in said(b_preferred=share, b_interval=interval, b_preferred_alike=None, b_interval_alike=None)
