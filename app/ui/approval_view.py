"""Draws what a run waits to do, with a yes and a no. Everything in it may come from a document, and is drawn as text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from app.ui.inert import inert_html

Say = Callable[[str, bool], None]  # approval_id, yes


def draw_approval(asked: Mapping[str, Any], say: Say) -> None:
    """One question to the person who asked."""
    with st.container(border=True, key=f"card-approval-{asked['approval_id']}", gap="xsmall"):
        st.html(
            f"<p><b>May {inert_html(str(asked['tool']))} be called?</b> It has an effect outside Openbook.</p>"
            f"<pre class='ob-muted'>{inert_html(json.dumps(asked['arguments'], ensure_ascii=False, indent=1))}</pre>"
            f"<p>Expected: {inert_html(str(asked['predicted'] or 'the model does not say'))}"
            f" (worth {float(asked['worth']):.1f} of 1)</p>"
            f"<div class='ob-muted'>Without an answer it is not done{_after(asked.get('seconds'))}.</div>"
        )
        with st.container(horizontal=True, gap="small"):
            for label, icon, yes in (("Do it", "check", True), ("Don't", "close", False)):
                st.button(
                    label,
                    icon=f":material/{icon}:",
                    key=f"{'yes' if yes else 'no'}-{asked['approval_id']}",
                    on_click=say,
                    args=(str(asked["approval_id"]), yes),
                )


def _after(seconds: object) -> str:
    """Those it has in all; not said by the list of runs, long after it was asked."""
    return f", after {float(seconds):.0f} s" if isinstance(seconds, int | float) else ""
