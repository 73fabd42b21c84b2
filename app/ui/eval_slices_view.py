"""A metric of two configurations by kind, length and document of the question, and by the words that its passage has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.ui import look
from app.ui.boundary import guarded
from app.ui.inert import inert_html
from app.ui.state import client


def draw_slices(result: Mapping[str, Any], shown: tuple[int, int]) -> None:
    """``shown``: the two configurations, counted from 0. Nothing where no way to slice has two slices of enough questions."""
    if not result["slices"]:
        return
    with st.expander("By kind, length, document and shared words"):
        _chosen(result, shown)


@st.fragment
@guarded
def _chosen(result: Mapping[str, Any], shown: tuple[int, int]) -> None:
    names = [n for n, mean in result["configurations"][shown[0]]["metrics"].items() if mean["n"]]
    metric = result["metric"]
    if metric in names:
        eval_id = result["eval_id"]
        metric = st.selectbox("Means of", names, index=names.index(metric), key=f"eval-slices-{eval_id}")
    slices = (
        result["slices"] if metric == result["metric"] else client().eval_result(result["eval_id"], metric)["slices"]
    )
    if not slices:
        look.muted(f"Too few questions have a value of {metric} in each of these.")
        return
    head = f"<th>{inert_html(metric)}</th><th></th><th>questions</th><th>A</th><th>B</th><th>B − A</th>"
    rows = []
    for one in slices:
        a, b = (one["means"][i] for i in shown)
        rows.append(
            f"<tr><td>{inert_html(one['by'])}</td><td>{inert_html(one['name'].lstrip('123 '))}</td><td>{one['n']:,}</td>"
            f"<td>{a:.3f}</td><td>{b:.3f}</td><td>{b - a:+.3f}</td></tr>"
        )
    st.html(f'<div class="ob-scroll" tabindex="0"><table class="ob-table"><tr>{head}</tr>{"".join(rows)}</table></div>')
    look.muted("Slices of few questions differ by chance: what they show is a place to look, not a result.")
