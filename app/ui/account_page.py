"""One's own account: who one is here, and the keys of one's programs."""

from __future__ import annotations

import streamlit as st

from app.ui import look
from app.ui.boundary import explain, guarded
from app.ui.inert import inert_html
from app.ui.state import client, notice, take_notice
from app.ui.who import PASSWORD, SIGN_OUT, me
from core.errors import OpenbookError

SCOPES = {
    "read": "look at what I may see",
    "ask": "search and ask",
    "write": "add and change",
    "admin": "administer",
}
DAYS = {30: "a month", 90: "three months", 365: "a year", 0: "until it is deleted"}


@guarded
def account_page() -> None:
    st.title("Account", anchor=False)
    if said := take_notice():
        look.card("That did not work", said, kind="error")
    mine = me()
    what = "administrator" if mine["is_admin"] else "member"
    until = str(mine.get("expires_at") or "")[:10]
    st.html(
        f'<div class="ob-card"><h4>{inert_html(mine["name"])}</h4><p>{what} · this session ends on {inert_html(until)}</p></div>'
    )
    with st.container(horizontal=True):
        st.html(f'<a class="ob-link" href="{PASSWORD}" target="_self">Change the password</a>', width="content")
        st.html(f'<a class="ob-link" href="{SIGN_OUT}" target="_self">Sign out</a>', width="content")
    st.subheader("API keys", anchor=False)
    look.muted(
        "For programs: OpenAI clients and MCP clients give one as a bearer token, commands as OPENBOOK_API_KEY. "
        "A key can do what its scopes say, of what you can."
    )
    _new_key()
    draw_keys(client().keys(), owners=False)


def _new_key() -> None:
    if made := st.session_state.pop("made-key", None):
        look.note("This key is shown this once: copy it now.")
        st.code(made, language=None)
    allowed = [s for s in SCOPES if s != "admin" or me()["is_admin"]]
    with st.form("new-key", border=True, clear_on_submit=True):
        st.text_input("What it is for", key="key-name", max_chars=100, placeholder="nightly import")
        st.multiselect(
            "It may", allowed, default=["read", "ask"], format_func=lambda s: f"{s}: {SCOPES[s]}", key="key-scopes"
        )
        st.selectbox("It is good for", list(DAYS), index=1, format_func=lambda d: DAYS[d], key="key-days")
        st.form_submit_button("Make a key", type="primary", on_click=_make)


def _make() -> None:
    state = st.session_state
    try:
        made = client().make_key(state["key-name"] or "unnamed", state["key-scopes"], state["key-days"] or None)
    except OpenbookError as e:
        notice(explain(e))
        return
    state["made-key"] = made["key"]


def draw_keys(keys: list[dict[str, str | list[str]]], *, owners: bool) -> None:
    """Each with what it begins with, what it may do, and a way to end it."""
    for key in keys:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            until = str(key["expires_at"] or "")[:10]
            used = str(key["used_at"] or "")[:10]
            owner = f"{inert_html(str(key['owner']))} · " if owners else ""
            facts = [
                " ".join(key["scopes"]),
                f"until {until}" if until else "no end",
                f"used {used}" if used else "never used",
            ]
            st.html(
                f'<div class="ob-hit-title">{inert_html(str(key["name"]))}</div><div class="ob-muted">{owner}'
                f"{inert_html(str(key['prefix']))}… · {inert_html(' · '.join(facts))}</div>"
            )
            st.button("Delete", key=f"delete-{key['key_id']}", type="tertiary", on_click=_delete, args=(key["key_id"],))


def _delete(key_id: str) -> None:
    try:
        client().delete_key(key_id)
    except OpenbookError as e:
        notice(explain(e))
