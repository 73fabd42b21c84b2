"""The conversations, in the sidebar: choose, begin, find, rename, share, export, delete; and those that others share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from app import replies
from app.client import ApiError
from app.ui import look
from app.ui.boundary import guarded
from app.ui.inert import inert_markdown
from app.ui.sharing_view import draw_sharing
from app.ui.state import choose_chat, client, lives, open_chat
from app.ui.who import signs_in
from core.wording import plural

SHOWN = 40
MAX_TITLE = 120
MAX_WORDS = 200


def draw_history(chats: Sequence[replies.Chat], shared: Sequence[replies.SharedChat], current: str | None) -> None:
    """``shared``: what others share; ``current``: the id of the one that is open, whosesoever."""
    with st.sidebar:
        st.button(
            "New conversation",
            icon=":material/edit_square:",
            width="stretch",
            key="new-chat",
            on_click=choose_chat,
            args=(None,),
        )
        if not chats and not shared and not searched_for():
            look.muted("Your conversations will be kept here.")
            return
        st.text_input(
            "Find a conversation",
            key="find-chats",
            icon=":material/search:",
            placeholder="Find a conversation",
            label_visibility="collapsed",
            max_chars=MAX_WORDS,
        )
        if not chats:
            look.muted(
                "No conversation has all of these words." if searched_for() else "Your conversations will be kept here."
            )
        everything = st.session_state.get("all-chats", False)
        with st.container(key="history", gap=None):
            for chat in chats if everything else chats[:SHOWN]:
                _row(chat, chat["chat_id"] == current)
        if len(chats) > SHOWN and not everything:
            st.button(f"Show all {len(chats):,}", type="tertiary", key="all-chats-button", on_click=_show_all)
        if shared:
            _shared_with_me(shared, current)


def searched_for() -> str:
    """The words that the conversations shown must have."""
    return (st.session_state.get("find-chats") or "").strip()


def _show_all() -> None:
    st.session_state["all-chats"] = True


def _shared_with_me(shared: Sequence[replies.SharedChat], current: str | None) -> None:
    st.html('<h2 class="ob-sidebar-title">Shared with me</h2>')
    everything = st.session_state.get("all-shared", False)
    with st.container(key="shared-history", gap=None):
        for chat in shared if everything else shared[:SHOWN]:
            title = inert_markdown(chat["title"]) or "Untitled"
            bold = f"**{title}**" if chat["chat_id"] == current else title
            st.button(
                f"{bold} · {inert_markdown(chat['owner'])}",
                key=f"shared-{chat['chat_id']}",
                type="tertiary",
                width="stretch",
                on_click=choose_chat,
                args=(chat["chat_id"],),
            )
    if len(shared) > SHOWN and not everything:
        st.button(f"Show all {len(shared):,}", type="tertiary", key="all-shared-button", on_click=_show_all_shared)


def _show_all_shared() -> None:
    st.session_state["all-shared"] = True


def _row(chat: replies.Chat, current: bool) -> None:
    chat_id = chat["chat_id"]
    live = lives().get(chat_id)  # the server names a conversation when it has its first question
    title = inert_markdown(chat["title"] or (live.question[:60] if live else "")) or "Untitled"
    with st.container(horizontal=True, wrap=False, gap=None, vertical_alignment="center"):
        st.button(
            f"**{title}**" if current else title,
            key=f"chat-{chat_id}",
            type="tertiary",
            width="stretch",
            icon=":material/group:" if chat.get("shared_at") else None,
            help="Shared with the people of this server" if chat.get("shared_at") else None,
            on_click=choose_chat,
            args=(chat_id,),
        )
        chosen = st.menu_button(
            "",
            ["Rename", "Share", "Export", "Delete"] if signs_in() else ["Rename", "Export", "Delete"],
            key=f"menu-{chat_id}",
            type="tertiary",
            icon=":material/more_horiz:",
            help="Rename, share, export or delete" if signs_in() else "Rename, export or delete",
        )
    if chosen == "Rename":
        _rename(chat)
    elif chosen == "Share":
        draw_sharing(chat_id)
    elif chosen == "Export":
        draw_export(chat_id, client().export_chat, "JSON has every version of every question and answer.")
    elif chosen == "Delete":
        _delete(chat)


@st.dialog("Rename the conversation")
def _rename(chat: replies.Chat) -> None:
    _rename_form(chat)


@guarded
def _rename_form(chat: replies.Chat) -> None:
    with st.form("rename", border=False):
        title = st.text_input("Title", chat["title"], max_chars=MAX_TITLE)
        if st.form_submit_button("Save", type="primary") and (title or "").strip():
            client().update_chat(chat["chat_id"], title=(title or "").strip())
            st.rerun()


@st.dialog("Export the conversation")
def draw_export(chat_id: str, export: Callable[[str, str], str], in_json: str) -> None:
    """Args: export: chat id and form → the file's text. in_json: what JSON has, in a sentence."""
    _export_choices(chat_id, export, in_json)


@guarded
def _export_choices(chat_id: str, export: Callable[[str, str], str], in_json: str) -> None:
    look.muted(f"Markdown has what is shown, with its sources. {in_json}")
    with st.container(horizontal=True):
        for form, label, suffix, mime in (
            ("markdown", "Markdown", "md", "text/markdown"),
            ("json", "JSON", "json", "application/json"),
        ):
            st.download_button(
                label,
                export(chat_id, form),
                file_name=f"openbook-{chat_id}.{suffix}",
                mime=mime,
                icon=":material/download:",
                key=f"export-{form}",
                on_click="ignore",
            )


@st.dialog("Delete the conversation?")
def _delete(chat: replies.Chat) -> None:
    _delete_form(chat)


@guarded
def _delete_form(chat: replies.Chat) -> None:
    opened = open_chat(chat["chat_id"])
    files = opened.get("files", []) if opened is not None else []
    what = (
        f"Its questions, answers, traces and {plural(len(files), 'own file')}"
        if files
        else "Its questions, answers and traces"
    )
    look.muted(f"{what} go for good. The documents of collections stay.")
    with st.container(horizontal=True):
        if st.button("Delete", type="primary", key="delete-chat-yes"):
            live = lives().pop(chat["chat_id"], None)
            if live is not None:
                live.stop()
            try:
                with st.spinner("Deleting …"):
                    client().delete_chat(chat["chat_id"], purge=bool(files))
            except ApiError as e:
                if e.status != 404:  # gone already is what was wanted
                    raise
            if st.session_state.get("chat_id") == chat["chat_id"]:
                choose_chat(None)
            st.rerun()
        if st.button("Keep it", key="delete-chat-no"):
            st.rerun()
