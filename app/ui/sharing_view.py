"""Sharing one's own conversation: what that means, the link to send on, and the way back."""

from __future__ import annotations

from urllib.parse import urlsplit

import streamlit as st

from app.ui import look
from app.ui.boundary import explain, guarded
from app.ui.state import client, open_chat
from core.errors import OpenbookError

WHO = (
    "Everybody who signs in here and may read all collections that its answers were looked for in can read it, and nobody else. "
    "They see the questions, the answers with their marks, and the sources; not its steps, not other versions, not your ratings."
)


# Another run of the page when it closes: the list shows by a sign what is shared.
@st.dialog("Share the conversation", on_dismiss="rerun")
def draw_sharing(chat_id: str) -> None:
    _sharing(chat_id)


@guarded
def _sharing(chat_id: str) -> None:
    chat = open_chat(chat_id)
    if chat is None:
        look.card("That conversation is no longer there", kind="error")
        return
    if not chat.get("shared_at"):
        look.muted(f"Only you can read this conversation. {WHO}")
        look.muted("What you ask in it later is shared too. You can take it back at any time.")
        if st.button("Share it", type="primary", icon=":material/group:", key="share-yes") and _done(chat_id, True):
            st.rerun(scope="fragment")
        return
    look.note("This conversation is shared, read-only, with the people of this server.")
    look.muted(f"{WHO} What you ask in it from now on is shared too.")
    where = urlsplit(st.context.url or "")
    st.code(f"{where.scheme}://{where.netloc}/?chat={chat_id}", language=None, wrap_lines=True)
    if st.button("Stop sharing", icon=":material/lock:", key="share-no") and _done(chat_id, False):
        st.rerun(scope="fragment")


def _done(chat_id: str, shared: bool) -> bool:
    """Whether it is as it was to be; says why where it is not."""
    try:
        if shared:
            client().share_chat(chat_id)
        else:
            client().unshare_chat(chat_id)
    except OpenbookError as e:
        look.card("It is not shared" if shared else "It is still shared", explain(e), kind="error")
        return False
    return True
