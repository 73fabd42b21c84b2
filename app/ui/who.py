"""Who looks at the page: read from the cookie that ``front`` has set, asked of the API, shown beside the pages."""

from __future__ import annotations

from typing import Any, cast

import streamlit as st

from app.client import ApiError, ServerUnreachable
from app.ui import look
from app.ui.inert import inert_html
from app.ui.state import client

# Plain HTML of ``front``, on this very port.
SIGN_IN, SIGN_OUT, PASSWORD = "/account/sign-in", "/account/sign-out", "/account/password"


def who() -> dict[str, Any] | None:
    """The API's /v1/me; None where it does not answer. Stops the run, with a way on, where nobody is signed in."""
    try:
        found = client().me()
    except ServerUnreachable:
        return None
    except ApiError as e:
        if e.status != 401:
            raise
        look.empty_state("Please sign in", "This page is for people who are known here, or it was open for too long.")
        with st.container(horizontal=True, horizontal_alignment="center"):
            st.link_button("Sign in", SIGN_IN, type="primary", icon=":material/login:")
        st.stop()
    st.session_state["me"] = found
    return found


def me() -> dict[str, Any]:
    """What ``who`` found in this run."""
    return cast("dict[str, Any]", st.session_state.get("me") or {})


def signs_in() -> bool:
    """Whether people sign in at all."""
    return bool(me().get("identity") == "password")


def draw_person() -> None:
    """In the sidebar, under everything: who is signed in, and the way out."""
    if not signs_in():
        return
    name = inert_html(str(me()["name"]))
    st.sidebar.html(
        f'<div class="ob-person"><span class="ob-person-name">{name}</span>'
        f'<a href="{SIGN_OUT}" target="_self">Sign out</a></div>'
    )
