"""What the browser alone knows, told to Python by a few lines of script (assets/page.js, keys.js, scroll.js, draft.js)."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from app.ui.look import ASSETS
from app.ui.shortcuts import for_the_browser
from app.ui.who import me


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What caused this run, if it was a chip (``run_id``, ``marker``), the composer's stop button, or a key (``wish``)."""

    run_id: str = ""
    marker: int = 0
    stopped: bool = False
    wish: str = ""


@st.cache_resource(show_spinner=False)
def _component() -> ComponentRenderer:
    scripts = "".join((ASSETS / name).read_text("utf-8") for name in ("keys.js", "scroll.js", "draft.js", "page.js"))
    return st.components.v2.component("openbook_signals", js=scripts)


def listen() -> None:
    """Once per run, on every page; ``heard()`` has what was said."""
    result = _component()(
        key="page-script",
        data={**for_the_browser(), "person": me().get("user_id", "")},  # whose draft it keeps
        height=1,
        on_cite_change=_ignore,
        on_stopped_change=_ignore,
        on_theme_change=_ignore,
        on_wish_change=_ignore,
    )
    run_id, _, marker = str(result.get("cite") or "").rpartition(":")
    if not run_id or not marker.isdecimal():
        run_id, marker = "", "0"
    st.session_state["signals"] = Signals(
        run_id=run_id, marker=int(marker), stopped=bool(result.get("stopped")), wish=str(result.get("wish") or "")
    )


def heard() -> Signals:
    found = st.session_state.get("signals")
    return found if isinstance(found, Signals) else Signals()


def _ignore() -> None:
    """A trigger needs a callback; what it says is read once the component is drawn."""
