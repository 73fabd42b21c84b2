"""The few lines of script that tell Python which chip was clicked. It gets no data, so nothing untrusted."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from app.ui.look import ASSETS


@dataclass(frozen=True, slots=True, kw_only=True)
class Clicked:
    run_id: str = ""
    marker: int = 0
    stopped: bool = False


@st.cache_resource(show_spinner=False)
def _component() -> ComponentRenderer:
    return st.components.v2.component("openbook_clicks", js=(ASSETS / "chips.js").read_text("utf-8"))


def listen() -> Clicked:
    """What was clicked to cause this run, if it was a chip or the composer's stop button."""
    result = _component()(key="clicks", on_cite_change=_ignore, on_stopped_change=_ignore)
    run_id, _, marker = str(result.get("cite") or "").rpartition(":")
    if not run_id or not marker.isdecimal():
        return Clicked(stopped=bool(result.get("stopped")))
    return Clicked(run_id=run_id, marker=int(marker))


def _ignore() -> None:
    """A trigger needs a callback; what it says is read after the component was drawn."""
