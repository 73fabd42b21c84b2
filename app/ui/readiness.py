"""Says what the server is still loading, and lets the page through when it has loaded."""

from __future__ import annotations

import streamlit as st

from app import replies
from app.client import ServerUnreachable
from app.ui import look
from app.ui.boundary import guarded
from app.ui.inert import inert_html
from app.ui.state import client

POLL_S = 1.0


def wait_until_ready() -> None:
    """Goes on when the server was ready once in this session; else shows what is loading, and stops the run."""
    if st.session_state.get("was_ready"):
        return
    found = _readiness()
    if found is not None and found["ready"]:
        st.session_state["was_ready"] = True
        return
    _loading()
    st.stop()


def _readiness() -> replies.Readiness | None:
    try:
        return client().ready()
    except ServerUnreachable:
        return None


@st.fragment(run_every=POLL_S)
@guarded
def _loading() -> None:
    found = _readiness()
    if found is None:
        look.empty_state(
            "Waiting for the server",
            f"Nobody answers at {client().base_url} yet. If it does not come up, start it with `openbook serve`. "
            "This page goes on by itself.",
        )
        return
    if found["ready"]:
        st.rerun()
    look.empty_state("Just a moment", "The models and indexes are being loaded. This page goes on by itself.")
    rows = "".join(
        f"<dt>{inert_html(part['name'])}</dt><dd>{inert_html(part['state'])} {inert_html(part.get('detail') or '')}</dd>"
        for part in found["loading"]
    )
    st.html(f'<div class="ob-card"><dl class="ob-facts">{rows}</dl></div>')
