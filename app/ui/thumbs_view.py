"""A thumb up or down under an answer, with a reason; they become candidate questions of the page Evaluate."""

from __future__ import annotations

import streamlit as st

from app import replies
from app.ui.boundary import guarded
from app.ui.state import client, current_chat_id


@st.fragment
@guarded
def draw_thumbs(message: replies.Message) -> None:
    """Shows what was given, and takes another."""
    chat_id = current_chat_id()
    if chat_id is None:
        return
    message_id = message["message_id"]
    key = f"thumb-{message_id}"
    given = message.get("feedback")
    if given is not None and key not in st.session_state:
        st.session_state[key] = int(given["good"])
    st.feedback("thumbs", key=key, on_change=_give, args=(chat_id, message_id))
    if st.session_state.get(key) is not None:
        st.text_input(
            "What was good or wrong? (optional)",
            value=given["reason"] if given else "",
            key=f"thumb-reason-{message_id}",
            on_change=_give,
            args=(chat_id, message_id),
            max_chars=2000,
        )


def _give(chat_id: str, message_id: str) -> None:
    chosen = st.session_state.get(f"thumb-{message_id}")
    if chosen is None:
        client().take_feedback_back(chat_id, message_id)
        return
    reason = st.session_state.get(f"thumb-reason-{message_id}") or ""
    client().give_feedback(chat_id, message_id, bool(chosen), reason)
