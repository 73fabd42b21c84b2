"""A conversation that somebody else shares: its questions, answers and sources, and nothing to change."""

from __future__ import annotations

import streamlit as st

from app import replies
from app.ui import look
from app.ui.answer_view import draw_answer, draw_partial
from app.ui.history import draw_export
from app.ui.inert import inert_html
from app.ui.passage import Passage, from_citation, show_passage
from app.ui.signals import Signals
from app.ui.state import client


def draw_shared_chat(chat: replies.SharedChat, signals: Signals) -> None:
    st.html(f'<h1 class="ob-shared-title">{inert_html(chat["title"] or "Untitled")}</h1>')
    asked_of = f" It was asked of {', '.join(chat['collections'])}." if chat["collections"] else ""
    look.muted(
        f"{chat['owner']} shares this conversation with the people of this server, read-only.{asked_of} To ask something yourself, "
        "begin a new conversation."
    )
    if st.button("Export", icon=":material/download:", type="tertiary", key="export-shared"):
        draw_export(chat["chat_id"], client().export_shared_chat, "JSON has the same with all that is known of it.")
    messages = chat.get("messages", [])
    for message in messages:
        _draw_message(message)
    if (passage := st.session_state.pop("passage", None)) is not None:
        show_passage(passage)
    elif signals.run_id:
        _open_cited(signals, messages)


def _draw_message(message: replies.Message) -> None:
    if message["role"] == "user":
        with st.chat_message("user"):
            st.html(f'<div class="ob-question">{inert_html(message["content"])}</div>')
        return
    with st.chat_message("assistant", avatar=":material/auto_stories:"):
        if message["answer"] and not message["partial"]:
            draw_answer(message["answer"], _open, steps=False)
        else:
            draw_partial(message["content"], message["message_id"], message.get("problem") or "")


def _open(passage: Passage) -> None:
    st.session_state["passage"] = passage


def _open_cited(signals: Signals, messages: list[replies.Message]) -> None:
    """The source of a marker that was pressed in a text."""
    answers = [m["answer"] for m in messages if m["answer"]]
    for citation in (c for answer in answers if answer["run_id"] == signals.run_id for c in answer["citations"]):
        if citation["n"] == signals.marker:
            show_passage(from_citation(citation))
            return
