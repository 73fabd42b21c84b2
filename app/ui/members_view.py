"""Who is let into a collection, on its page."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.ui.boundary import explain
from app.ui.inert import inert_html
from app.ui.state import client, notice
from app.ui.who import me, signs_in
from core.errors import OpenbookError
from core.wording import plural

ROLES: Mapping[str, str] = {"reader": "reads and asks", "editor": "also adds and deletes", "owner": "owns it, alone"}


def draw_members(collection: str, role: str) -> None:
    """Nothing where nobody signs in. Its owner lets people in and out; an administrator, too."""
    if not signs_in():
        return
    found = client().members(collection)
    with st.expander(f"Members · {plural(len(found), 'person', 'people')}", icon=":material/group:", key="members"):
        may = role == "owner"
        for member in found:
            with st.container(horizontal=True, vertical_alignment="center", key=f"member-{member['user_id']}"):
                you = " (you)" if member["you"] else ""
                st.html(
                    f'<div><span class="ob-hit-title">{inert_html(member["name"])}</span>{you} '
                    f'<span class="ob-muted">{inert_html(member["role"])}</span></div>'
                )
                if member["role"] != "owner" and (may or member["you"]):
                    word = "Leave" if member["you"] else "Remove"
                    key = f"remove-{member['user_id']}"
                    st.button(word, key=key, type="tertiary", on_click=_remove, args=(collection, member["name"]))
        if may or me().get("is_admin"):
            with (
                st.form(f"member-{collection}", border=False, clear_on_submit=True),
                st.container(horizontal=True, vertical_alignment="bottom"),
            ):
                st.text_input("Name of a person", key="member-name", max_chars=100)
                st.selectbox("Role", list(ROLES), format_func=lambda r: f"{r}: {ROLES[r]}", key="member-role")
                st.form_submit_button("Let in", on_click=_add, args=(collection,))


def _add(collection: str) -> None:
    try:
        client().set_member(collection, st.session_state["member-name"], st.session_state["member-role"])
    except OpenbookError as e:
        notice(explain(e))


def _remove(collection: str, name: str) -> None:
    try:
        client().remove_member(collection, name)
    except OpenbookError as e:
        notice(explain(e))
