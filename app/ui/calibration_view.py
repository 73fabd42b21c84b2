"""When a collection is answered and when not: the threshold that was fitted, and the risk that each coverage has."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.ui import look
from app.ui.inert import inert_html
from app.ui.state import client


def draw_calibration(collection: str) -> None:
    """Nothing where nothing was fitted."""
    for found in client().calibrations(collection):
        with st.expander("When it answers, and when it does not", icon=":material/balance:"):
            _draw(found)


def _draw(found: dict[str, Any]) -> None:
    chosen = found["chosen"]
    facts = {
        "Answers from a confidence of": f"{chosen['threshold']:.3f}",
        "Wrong among its answers": f"{chosen['wrong']} of {chosen['answered']}; with 95 % confidence at most {chosen['upper']:.1%}",
        "Answered": f"{chosen['coverage']:.0%} of all {found['n_questions']:,} questions"
        + (f", {chosen['answer_rate']:.0%} of those that can be answered" if chosen["answer_rate"] is not None else ""),
        "Area under the curve (AURC)": f"{found['aurc']:.3f}; in the best order {found['aurc_best']:.3f}",
        "Fitted": f"{found['created_at'][:10]} on {found['dataset'] or 'questions'}, by strategy {found['strategy']}",
    }
    rows = "".join(f"<dt>{inert_html(name)}</dt><dd>{inert_html(text)}</dd>" for name, text in facts.items())
    st.html(f'<dl class="ob-facts">{rows}</dl>')
    curve = found["curve"]
    st.line_chart(
        {
            "Answered": [p["coverage"] for p in curve],
            "Wrong": [p["risk"] for p in curve],
            "At most": [p["upper"] for p in curve],
        },
        x="Answered",
        y=["Wrong", "At most"],
        x_label="share of the questions that is answered",
        y_label="share of the answers that is wrong",
        height=240,
    )
    look.muted("“At most” is the upper bound at 95 % confidence. Questions unlike these may do better or worse.")
