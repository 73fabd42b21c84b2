"""What a run thought, did and found, step by step and when: the last lines while it works, all of it afterwards.

Thoughts are a model's and observations a document's: every word is made inert.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from app import replies
from app.ui import look
from app.ui.inert import inert_html
from app.ui.state import client
from app.ui.trace_timeline import STEP_WORDS
from core.errors import OpenbookError
from core.wording import plural, shortened

_LATEST = 4
_SHORT, _LONG = 140, 600  # characters
_SHOWN = "shown-steps"

Step = Mapping[str, Any]


def latest_html(steps: Sequence[Step]) -> str:
    """The last few steps, a line each."""
    lines = [_line(step, _SHORT) for step in steps[-_LATEST:]]
    return f'<ul class="ob-steps">{"".join(lines)}</ul>' if lines else ""


def draw_steps(answer: replies.Answer, load: Callable[[str], Mapping[str, Any]] | None = None) -> None:
    """A button that shows the steps of this answer, fetched only then."""
    if not answer["steps"]:
        return
    run_id = answer["run_id"]
    shown = st.session_state.get(_SHOWN) == run_id
    st.button(
        "Hide the steps" if shown else plural(answer["steps"], "step"),
        key=f"steps-{run_id}",
        type="tertiary",
        icon=":material/account_tree:",
        on_click=_toggle,
        args=(run_id,),
    )
    if not shown:
        return
    try:
        trace = (load or client().trace)(run_id)
    except OpenbookError as e:
        look.muted(f"The steps cannot be shown: {e.message}")
        return
    st.html(f'<ol class="ob-steps">{"".join(_line(step, _LONG) for step in trace["steps"])}</ol>')
    if (page := st.session_state.get("pages", {}).get("traces")) is not None:
        st.page_link(page, label="The whole trace", icon=":material/timeline:", query_params={"run": run_id})


def _toggle(run_id: str) -> None:
    st.session_state[_SHOWN] = None if st.session_state.get(_SHOWN) == run_id else run_id


def _when(step: Step) -> str:
    """From when to when, in seconds since the question; nothing of a step that was not timed."""
    began, took = float(step.get("started_s") or 0.0), float(step.get("duration_s") or 0.0)
    return f'<span class="ob-step-time">{began:.1f}–{began + took:.1f} s</span>' if began or took else ""


def _line(step: Step, width: int) -> str:
    call = step.get("tool_call")
    done = ""
    if call:
        named = f"{call['name']}: {', '.join(v for v in call['arguments'].values() if isinstance(v, str))}"
        done = f'<span class="ob-step-call">{inert_html(shortened(named, width))}</span>'
    parts = [
        _when(step),
        f'<span class="ob-step-kind">{inert_html(STEP_WORDS.get(str(step.get("kind")), "Step"))}</span>',
        inert_html(shortened(str(step.get("thought") or ""), width)),
        done,
        f'<span class="ob-muted">{inert_html(shortened(str(step.get("observation") or ""), width))}</span>',
        f'<span class="ob-unsupported">{inert_html(shortened(str(step.get("error") or ""), width))}</span>',
    ]
    return f"<li>{' '.join(p for p in parts if p and not p.endswith('></span>'))}</li>"
