"""What can be done from the keyboard at once: which keys, their list, and what of it Python does. The browser's part is assets/keys.js."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st
from streamlit.navigation.page import Page

from app.ui import look
from app.ui.boundary import guarded
from app.ui.inert import inert_html
from app.ui.state import choose_chat


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut:
    """``act``: its name in keys.js. ``keys``: those held down first, then a key as browsers name it; Ctrl is ⌘ on a Mac."""

    act: str
    keys: tuple[str, ...]
    does: str


# As the chat applications have them that people know. None is a single character: it would be in the way of who dictates.
SHORTCUTS = (
    Shortcut(act="composer", keys=("Shift", "Escape"), does="Write a question"),
    Shortcut(act="new", keys=("Ctrl", "Shift", "O"), does="Begin a new conversation"),
    Shortcut(act="find", keys=("Ctrl", "K"), does="Find a conversation"),
    Shortcut(act="stop", keys=("Escape",), does="Stop the answer, where nothing is written or open"),
    Shortcut(act="sources", keys=("Ctrl", "."), does="Open the first source of the last answer, or close the source"),
    Shortcut(act="help", keys=("Ctrl", "/"), does="Show this list, or close it"),
)


def for_the_browser() -> dict[str, Any]:
    return {"shortcuts": [asdict(shortcut) for shortcut in SHORTCUTS]}


def follow_wish(wish: str, pages: Mapping[str, Page], at: Page) -> None:
    """Does what a key asked for, before the page ``at`` is drawn; "" is no wish."""
    if wish == "new":
        choose_chat(None)
    if wish in ("new", "chat") and at.url_path != pages["chat"].url_path:
        st.switch_page(pages["chat"])
    if wish == "help":
        _show()


def draw_shortcuts_button() -> None:
    """In the sidebar; the style sheet hides it where there is no keyboard."""
    with st.sidebar:
        st.button(
            "Keyboard shortcuts",
            icon=":material/keyboard:",
            key="keys",
            type="tertiary",
            on_click=_ask_for_list,
        )


def wished() -> bool:
    """Whether the list was asked for by its button."""
    return bool(st.session_state.pop("keys-asked", False))


def _ask_for_list() -> None:
    st.session_state["keys-asked"] = True


@st.dialog("Keyboard shortcuts")
def _show() -> None:
    _draw()


@guarded
def _draw() -> None:
    rows = "".join(
        f"<dt>{' '.join(f'<kbd>{inert_html(key)}</kbd>' for key in shortcut.keys)}</dt><dd>{inert_html(shortcut.does)}</dd>"
        for shortcut in SHORTCUTS
    )
    st.html(f'<dl class="ob-facts ob-keys">{rows}</dl>')
    look.muted(
        "On a Mac, ⌘ in place of Ctrl. Tab goes from one thing to the next, Enter presses it, Escape closes what is open."
    )
