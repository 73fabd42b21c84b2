"""What can be done with a message: edit a question, answer it again, look at another version, copy, and rate."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import replies
from app.ui.boundary import explain
from app.ui.inert import inert_html, inert_markdown
from app.ui.state import client, limits, notice
from core.errors import OpenbookError

# Message id and, for an edit, the new question; for an answer given again, the strategy ("" for the one picked below) and the
# language model ("" for the server's own).
Edit = Callable[[str, str], None]
Again = Callable[[str, str, str], None]
Compare = Callable[[str], None]

MAX_REASON = 500
AS_PICKED = "As picked below"
WRITES = "rag"  # how another model answers where the answer was quoted, which asks none


def editing(message_id: str) -> bool:
    return bool(st.session_state.get("editing") == message_id)


def draw_edit(message: replies.Message, edit: Edit) -> None:
    """The question as a field to change it in."""
    key = f"edit-text-{message['message_id']}"

    def ask() -> None:
        question = (st.session_state.get(key) or "").strip()
        _stop_editing()
        if question:
            edit(message["message_id"], question)

    with st.form(f"edit-{message['message_id']}", border=False):
        st.text_area(
            "Your question", message["content"], key=key, max_chars=limits().max_question_characters, height="content"
        )
        with st.container(horizontal=True):
            st.form_submit_button("Ask this instead", type="primary", on_click=ask)
            st.form_submit_button("Cancel", on_click=_stop_editing)


def draw_question_actions(chat_id: str, message: replies.Message) -> None:
    message_id = message["message_id"]
    with st.container(
        horizontal=True,
        gap="small",
        horizontal_alignment="right",
        vertical_alignment="center",
        key=f"actions-{message_id}",
    ):
        st.button(
            "Edit",
            icon=":material/edit:",
            type="tertiary",
            key=f"edit-{message_id}-open",
            help="Ask another question in its place; this one is kept",
            on_click=_edit_this,
            args=(message_id,),
        )
        _versions(chat_id, message)


def draw_answer_actions(
    chat_id: str, message: replies.Message, known: replies.Strategies, again: Again, compare: Compare | None
) -> None:
    """``compare`` is None while a second answer is being given in this conversation."""
    strategies, models = known["strategies"], known.get("models", [])
    message_id, answer = message["message_id"], message["answer"]
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"actions-{message_id}"):
        if answer and not answer["abstained"]:
            st.html(
                f'<button type="button" class="ob-copy" data-ob-copy="{inert_html(answer["run_id"])}">Copy</button>',
                width="content",
            )
        labels = {s["name"]: s["label"] for s in strategies if s["available"]}
        before = answer["strategy"] if answer else ""
        by_model = before if any(s["name"] == before and s["needs_lm"] for s in strategies) else WRITES
        chosen = st.menu_button(
            "Again",
            [("", ""), *((name, "") for name in labels), *((by_model, model) for model in models)],
            format_func=lambda way: (
                f"By {inert_markdown(way[1])}" if way[1] else inert_markdown(labels.get(way[0], AS_PICKED))
            ),
            icon=":material/refresh:",
            type="tertiary",
            key=f"again-{message_id}",
            help="Answer it again, in the same or another way, or by another model; this answer is kept",
        )
        if chosen is not None:
            again(message_id, *chosen)
        if (
            answer
            and compare is not None
            and message.get("compared") is None
            and set(labels) - {answer["strategy"]}
            and st.button(
                "Compare",
                icon=":material/balance:",
                type="tertiary",
                key=f"compare-{message_id}",
                help="Answer it in another way, drawn at random, and say which is better before you see which is which",
            )
        ):
            compare(message_id)
        if answer:
            _thumbs(chat_id, message)
        _versions(chat_id, message)
    rated = message.get("feedback")
    if rated and not rated["good"]:
        _reason(chat_id, message["message_id"], rated["reason"])


def _edit_this(message_id: str) -> None:
    st.session_state["editing"] = message_id


def _stop_editing() -> None:
    st.session_state.pop("editing", None)


def _versions(chat_id: str, message: replies.Message) -> None:
    versions = message.get("versions") or []
    if len(versions) < 2:
        return
    at = versions.index(message["message_id"])
    for step, icon, words in ((-1, "chevron_left", "Older version"), (1, "chevron_right", "Newer version")):
        there = 0 <= at + step < len(versions)
        if step > 0:
            st.html(f'<span class="ob-version">{at + 1} of {len(versions)}</span>', width="content")
        st.button(
            words,
            icon=f":material/{icon}:",
            type="tertiary",
            key=f"version-{step:+d}-{message['message_id']}",
            disabled=not there,
            on_click=_select,
            args=(chat_id, versions[at + step] if there else ""),
        )


def _select(chat_id: str, message_id: str) -> None:
    try:
        client().select_version(chat_id, message_id)
    except OpenbookError as e:
        notice(explain(e))


def _thumbs(chat_id: str, message: replies.Message) -> None:
    message_id, key = message["message_id"], f"thumbs-{message['message_id']}"

    def said() -> None:
        number = st.session_state.get(key)
        _rate(chat_id, message_id, None if number is None else bool(number), "")

    rated = message.get("feedback")
    default = int(rated["good"]) if rated and key not in st.session_state else None
    st.feedback("thumbs", key=key, default=default, on_change=said)


def _reason(chat_id: str, message_id: str, before: str) -> None:
    key = f"why-{message_id}"

    def said() -> None:
        _rate(chat_id, message_id, False, (st.session_state.get(key) or "").strip())

    st.text_input(
        "What was wrong with it?",
        before,
        key=key,
        max_chars=MAX_REASON,
        placeholder="What was wrong with it? (you need not say)",
        label_visibility="collapsed",
        on_change=said,
    )


def _rate(chat_id: str, message_id: str, good: bool | None, reason: str) -> None:
    """``good`` is None where a rating is taken back."""
    try:
        if good is None:
            client().take_feedback_back(chat_id, message_id)
        else:
            client().give_feedback(chat_id, message_id, good, reason)
    except OpenbookError as e:
        notice(explain(e))
