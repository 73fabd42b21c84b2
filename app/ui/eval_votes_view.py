"""Blind votes between two answers, and what they add up to."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.ui import look
from app.ui.boundary import guarded
from app.ui.inert import inert_html
from app.ui.state import client


@st.fragment
@guarded
def draw_votes(eval_id: str) -> None:
    """The next two answers without names, and the strengths once there are votes."""
    ballot = client().ballot(eval_id)
    if ballot["ballot"] is None:
        look.muted("There is nothing left to vote on: all answers that differ have your vote.")
    else:
        st.html(f'<div class="ob-hit-title">{inert_html(ballot["question"])}</div>')
        for side, column in zip(("left", "right"), st.columns(2), strict=True):
            with column, st.container(border=True):
                st.html(f"<p>{inert_html(ballot[side]) or '(no answer)'}</p>")
        with st.container(horizontal=True):
            for choice, label in (("left", "Left is better"), ("tie", "As good"), ("right", "Right is better")):
                st.button(label, key=f"vote-{choice}", on_click=_vote, args=(eval_id, ballot["ballot"], choice))
        look.muted(
            f"{ballot['n_cast']:,} of {ballot['n_all']:,} pairs have your vote. Which answer is whose is not shown."
        )
    standing = client().votes(eval_id)
    if standing["n_votes"]:
        with st.expander(f"What {standing['n_votes']:,} votes say"):
            _strengths(standing)


def draw_chat_votes() -> None:
    """What this person's votes in the chat say of the ways to answer; nothing while there are none."""
    standing = client().chat_votes()
    if not standing["n_votes"]:
        return
    with st.expander(f"Your votes in the chat: {standing['n_votes']:,}", icon=":material/how_to_vote:"):
        seen = standing["n_votes"] - standing["n_from_start"]
        if (
            seen
            and standing["n_from_start"]
            and st.toggle("Only those where you had seen neither answer before", key="votes-from-start")
        ):
            standing = client().chat_votes(from_start=True)
        elif seen:
            look.muted(
                f"In {seen:,} of them you had read one of the two answers before the other was made (*Compare*)."
            )
        _strengths(standing)
        bad = standing["n_both_bad"]
        look.muted(
            "By the way they were answered, over all your conversations."
            + (f" Of {bad:,} both answers were bad, which counts as a tie." if bad else "")
        )


def _strengths(standing: dict[str, Any]) -> None:
    rows = "".join(
        f"<tr><td>{inert_html(s['label'])}</td><td>{s['chance']:.0%} "
        f'<span class="ob-muted">{_interval(s)}</span></td><td>{s["n_votes"]:,}</td></tr>'
        for s in standing["strengths"]
    )
    st.html(
        f'<table class="ob-table"><tr><th></th><th>preferred to an average one</th><th>votes</th></tr>{rows}</table>'
    )


def _vote(eval_id: str, ballot: str, choice: str) -> None:
    client().vote(eval_id, ballot, choice)


def _interval(strength: dict[str, Any]) -> str:
    if strength["ci_low"] is None:
        return "too few votes for an interval"
    return f"[{strength['ci_low']:.0%}, {strength['ci_high']:.0%}]"
