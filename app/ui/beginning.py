"""What a conversation says before anything is asked in it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import replies
from app.ui import look


def nothing_asked() -> None:
    look.empty_state(
        "What would you like to know?",
        "Every sentence of an answer quotes the passage it comes from. Where the documents do not say, "
        "neither does Openbook.",
    )


def nothing_to_ask(collections: Sequence[replies.Collection]) -> None:
    """Where there is no document yet: what to do."""
    look.empty_state(
        "Bring your documents",
        "Openbook answers from what you give it. Make a collection, drop in your PDF, Word, Excel, PowerPoint, "
        "mail, HTML or text files, and ask. Or attach a file to one conversation, with the + below."
        if not collections
        else "Your collections are empty. Drop some files in, and ask.",
    )
    with st.container(horizontal=True, horizontal_alignment="center"):
        if st.button("Add documents", type="primary", icon=":material/upload_file:", key="go-collections"):
            st.switch_page(st.session_state["pages"]["collections"])
