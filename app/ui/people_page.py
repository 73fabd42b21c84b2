"""For administrators: people, keys, who owns which collection, and the audit log."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import streamlit as st

from app.ui import look
from app.ui.account_page import draw_keys
from app.ui.boundary import explain, guarded
from app.ui.inert import inert_html
from app.ui.state import client, notice, take_notice
from app.ui.who import me
from core.errors import OpenbookError

PAGE = 50


@guarded
def people_page() -> None:
    st.title("People", anchor=False)
    if said := take_notice():
        look.card("That did not work", said, kind="error")
    people, keys, owners, log = st.tabs(["People", "API keys", "Collections", "Audit log"])
    with people:
        _people()
    with keys:
        found = client().keys(everybodys=True)
        if not found:
            look.muted("Nobody has made a key yet.")
        draw_keys(found, owners=True)
    with owners:
        _owners()
    with log:
        _log()


def _people() -> None:
    if made := st.session_state.pop("made-invite", None):
        name, token = made
        look.note(f"For {name}, shown this once: send them this link. It is good for a week.")
        where = urlsplit(st.context.url or "")
        st.code(f"{where.scheme}://{where.netloc}/account/join#{token}", language=None)
    with (
        st.form("new-person", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.text_input("Name of a new person", key="person-name", max_chars=100)
        st.checkbox("Administrator", key="person-admin")
        st.form_submit_button("Invite", type="primary", on_click=_add)
    for user in client().users():
        _person(user)


def _person(user: dict[str, Any]) -> None:
    user_id, mine = user["user_id"], user["user_id"] == me().get("user_id")
    state = "shut out" if not user["active"] else "invited" if user["invited"] else "signs in"
    facts = [state, *(["administrator"] if user["is_admin"] else []), *(["you"] if mine else [])]
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.html(
            f'<div class="ob-hit-title">{inert_html(user["name"])}</div><div class="ob-muted">{" · ".join(facts)}</div>'
        )
        chosen = st.menu_button(
            "", _choices(user), key=f"person-{user_id}", type="tertiary", icon=":material/more_horiz:",
            help=f"What to do about {user['name']}",
        )  # fmt: skip
    if chosen:
        _change(user, str(chosen))


def _choices(user: dict[str, Any]) -> list[str]:
    if not user["active"]:
        return ["Let in"]
    other = "Take administration away" if user["is_admin"] else "Make an administrator"
    return ["Another invitation", other, "Shut out"]


def _change(user: dict[str, Any], chosen: str) -> None:
    user_id = user["user_id"]
    try:
        match chosen:
            case "Another invitation":
                st.session_state["made-invite"] = (user["name"], client().invite_user(user_id)["invite"])
            case "Let in" | "Shut out":
                client().change_user(user_id, active=chosen == "Let in")
            case _:
                client().change_user(user_id, is_admin=chosen == "Make an administrator")
    except OpenbookError as e:
        notice(explain(e))
    st.session_state.pop(f"person-{user_id}", None)
    st.rerun()


def _add() -> None:
    state = st.session_state
    try:
        made = client().add_user(state["person-name"], bool(state["person-admin"]))
    except OpenbookError as e:
        notice(explain(e))
        return
    state["made-invite"] = (made["user"]["name"], made["invite"])


def _owners() -> None:
    look.muted("Names and owners alone: what is in a collection, its members see. Who is let in, the audit log tells.")
    found = client().all_collections()
    if not found:
        return
    rows = "".join(f"<dt>{inert_html(c['name'])}</dt><dd>{inert_html(c['owner'])}</dd>" for c in found)
    st.html(f'<div class="ob-card"><dl class="ob-facts">{rows}</dl></div>')
    with st.expander("Give a collection to somebody else", icon=":material/swap_horiz:"), st.form("give", border=False):
        name = st.selectbox("Collection", [c["name"] for c in found])
        owner = st.selectbox("New owner", [u["name"] for u in client().users() if u["active"]])
        if st.form_submit_button("Give"):
            try:
                client().set_member(name, owner, "owner")
            except OpenbookError as e:
                notice(explain(e))
            st.rerun()


def _log() -> None:
    cursor = st.session_state.get("audit-cursor")
    found = client().audit(limit=PAGE, cursor=cursor)
    rows = [
        {
            "When (UTC)": e["at"][:19].replace("T", " "),
            "Who": e["name"] or e["user_id"] or "nobody known",
            "What": e["action"],
            "To what": e["target"],
            "Outcome": e["outcome"],
            "From": e["address"],
        }
        for e in found["entries"]
    ]
    st.dataframe(rows, hide_index=True, width="stretch")
    with st.container(horizontal=True):
        st.button("Newest", on_click=_turn, args=(None,), disabled=cursor is None, type="tertiary")
        st.button(
            "Older", on_click=_turn, args=(found["next_cursor"],), disabled=not found["next_cursor"], type="tertiary"
        )


def _turn(cursor: int | None) -> None:
    st.session_state["audit-cursor"] = cursor
