"""The first metric of two configurations by kind, length and document of the question, and by the words that its passage has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.ui import look
from app.ui.inert import inert_html


def draw_slices(slices: Sequence[Mapping[str, Any]], shown: tuple[int, int]) -> None:
    """``shown``: the two configurations, counted from 0. Nothing where no way to slice has two slices of enough questions."""
    if not slices:
        return
    head = f"<th>{inert_html(slices[0]['metric'])}</th><th></th><th>questions</th><th>A</th><th>B</th><th>B − A</th>"
    rows = []
    for one in slices:
        a, b = (one["means"][i] for i in shown)
        rows.append(
            f"<tr><td>{inert_html(one['by'])}</td><td>{inert_html(one['name'].lstrip('123 '))}</td><td>{one['n']:,}</td>"
            f"<td>{a:.3f}</td><td>{b:.3f}</td><td>{b - a:+.3f}</td></tr>"
        )
    with st.expander("By kind, length, document and shared words"):
        st.html(
            f'<div class="ob-scroll" tabindex="0"><table class="ob-table"><tr>{head}</tr>{"".join(rows)}</table></div>'
        )
        look.muted("Slices of few questions differ by chance: what they show is a place to look, not a result.")
