"""An answer that is given elsewhere: in another tab, or begun before this page was loaded anew. The server alone knows of it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import streamlit as st

from app import replies
from app.client import ApiError
from app.replies import ACTIVE_STATES
from app.ui import look
from app.ui.approval_view import draw_approval
from app.ui.boundary import explain, guarded
from app.ui.state import client, look_on, notice, open_chat

POLL_S = 2.0
# Of two answers for a vote the second begins a moment after the first has ended.
LOOKS = 2  # without a run, until a question is said to have no answer


def draw_unanswered(chat_id: str, question: replies.Message, ask: Callable[[str], None]) -> None:
    """Below the last question, which has no answer here: that it is under way, or that there will be none unless it is asked again
    (``ask``, with its message id)."""
    message_id = question["message_id"]
    if _looked_in_vain(message_id) >= LOOKS:
        look.note("This question was not answered.")
        st.button("Ask again", icon=":material/refresh:", key="ask-again", on_click=ask, args=(message_id,))
    else:
        wait_elsewhere(chat_id, message_id, question["content"])


def _looked_in_vain(message_id: str) -> int:
    of, times = st.session_state.get("looked-in-vain", ("", 0))
    return int(times) if of == message_id else 0


@st.fragment(run_every=POLL_S)
@guarded
def wait_elsewhere(chat_id: str, message_id: str, question: str) -> None:
    # In this order: what a run has come to is kept before it is no longer among those in progress.
    runs = [run for run in client().runs() if run["question"] == question]
    look_on([run["run_id"] for run in runs])
    chat = open_chat(chat_id)
    if chat is None or chat.get("messages", [])[-1]["message_id"] != message_id:
        st.rerun()
    # It may wait for files that came with it.
    reading = any(f["state"] in ACTIVE_STATES for f in chat.get("files", []))
    looked = 0 if runs or reading else _looked_in_vain(message_id) + 1
    st.session_state["looked-in-vain"] = (message_id, looked)
    if looked >= LOOKS:
        st.rerun()
    for run in runs:
        for asked in run["pending"]:
            draw_approval(asked, functools.partial(_say, run["run_id"]))
    with st.container(horizontal=True, vertical_alignment="center", key="under-way-elsewhere"):
        st.html(
            '<div class="ob-working" role="status"><span class="ob-dot" aria-hidden="true"></span>'
            "The answer is under way …</div>",
            width="content",
        )
        if runs:
            st.button("Stop", icon=":material/stop:", key="stop-elsewhere", on_click=_stop, args=(runs,))


def _say(run_id: str, approval_id: str, yes: bool) -> None:
    try:
        client().approve_run(run_id, yes=yes, approval_id=approval_id)
    except ApiError as e:
        notice(explain(e))


def _stop(runs: list[dict[str, Any]]) -> None:
    for run in runs:
        try:
            client().cancel_run(run["run_id"])
        except ApiError as e:
            if e.status != 404:  # it has ended: what it came to is drawn
                notice(explain(e))
