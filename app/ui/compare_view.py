"""Two answers to one question, side by side and without names, and what the vote on them said."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app import replies
from app.ui import look
from app.ui.boundary import explain
from app.ui.inert import inert_html
from app.ui.state import client, notice
from core.errors import OpenbookError

_CHOICES = {"1": "Answer 1 is better", "2": "Answer 2 is better", "equal": "Equally good", "both bad": "Both bad"}


def open_pair(message: replies.Message) -> bool:
    """Whether this answer stands in a pair that waits for a vote."""
    compared = message.get("compared")
    return compared is not None and compared["choice"] is None


def draw_pair(chat_id: str, message: replies.Message) -> None:
    """Both answers as plain text, which says nothing of how they were made, and the four buttons."""
    compared, message_id = message.get("compared"), message["message_id"]
    if compared is None:
        return
    for n, (column, text) in enumerate(zip(st.columns(2), compared["answers"], strict=True), 1):
        with column, st.container(border=True):
            shown = inert_html(text).replace("\n", "<br>") or "(no answer)"
            st.html(f'<div class="ob-hit-title">Answer {n}</div><p class="ob-hit-text ob-pair">{shown}</p>')
    with st.container(horizontal=True, key=f"pair-{message_id}"):
        for choice, label in _CHOICES.items():
            st.button(label, key=f"pair-{choice}-{message_id}", on_click=_vote, args=(chat_id, message_id, choice))
    look.muted(
        "They were given in two ways, one of them drawn at random. Your vote says which is which, and is kept once."
    )


def draw_vote(message: replies.Message, labels: Mapping[str, str]) -> None:
    """What was voted, and how the two were made."""
    compared = message.get("compared")
    if compared is None or compared["choice"] is None:
        return
    first, second = (inert_html(labels.get(way) or way) for way in compared.get("ways", ["", ""]))
    said = {
        "1": f"You preferred <b>{first}</b> to {second}.",
        "2": f"You preferred <b>{second}</b> to {first}.",
        "equal": f"You found {first} and {second} equally good.",
        "both bad": f"You found {first} and {second} both bad.",
    }[compared["choice"]]
    st.html(f'<div class="ob-muted ob-vote">{said}</div>')


def _vote(chat_id: str, message_id: str, choice: str) -> None:
    try:
        client().vote_on_answers(chat_id, message_id, choice)
    except OpenbookError as e:
        notice(explain(e))
