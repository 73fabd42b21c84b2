"""An evaluation or a judging under way: how far it is, and the button that cancels it. Drawn anew each second."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import ApiError
from app.ui.boundary import guarded
from app.ui.inert import inert_markdown
from app.ui.state import client
from core.wording import plural

POLL_S = 1.0
MOVING = ("queued", "running")


@st.fragment(run_every=POLL_S)
@guarded
def draw_moving(run_id: str, key: str, of: str = "") -> None:
    """``key`` tells the buttons of a page apart; ``of`` names one of what is counted, where that is said."""
    run = client().eval(run_id)
    if run["state"] not in MOVING:
        st.rerun()
    st.progress(run["progress"], text=progress_text(run, of))
    st.button("Cancel", key=key, on_click=_cancel, args=(run_id,))


def progress_text(run: dict[str, Any], of: str = "") -> str:
    """Markdown: how far it is, and what it is at, which a model may have a say in: a server names itself."""
    total = plural(run["total"], of) if of else f"{run['total']:,}"
    return f"{run['done']:,} of {total} · {inert_markdown(run['stage'] or 'waiting')}"


def _cancel(run_id: str) -> None:
    try:
        client().cancel_eval(run_id)
    except ApiError as e:
        if e.status != 409:  # it has just ended
            raise
