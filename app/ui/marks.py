"""What the marks behind sentences mean, and how often the verifier that sets them errs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import streamlit as st

from app.client import ApiError
from app.ui.inert import VERDICTS, inert_html
from app.ui.state import client

_KINDS = {"documents": "sentences about long texts", "conversation": "sentences of conversations about a text"}
_UNKNOWN = "How often this verifier errs has not been measured here."


def explain_marks() -> None:
    """A button that says it."""
    with st.popover("What the marks mean", icon=":material/help:", type="tertiary"):
        rows = "".join(
            f'<dt class="ob-{verdict}">{glyph}</dt><dd>{inert_html(meaning)}</dd>'
            for verdict, (glyph, meaning) in VERDICTS.items()
            if glyph
        )
        st.html(f'<dl class="ob-facts">{rows}</dl>')
        for sentence in said_of(_verifier()):
            st.html(f'<p class="ob-muted">{inert_html(sentence)}</p>')


def said_of(verifier: Mapping[str, Any]) -> list[str]:
    """The error rates in words, one sentence for each kind of text; ``verifier`` as /v1/system tells it."""
    rates: Mapping[str, Mapping[str, float]] = verifier.get("errors") or {}
    if not rates:
        return [_UNKNOWN]
    lines = ["The marks are set by a program, which errs. Against people's judgements:"]
    lines += [
        f"Of {_KINDS.get(kind, kind)}, it called {of['wrongly_supported']:.0%} of the unsupported ones supported, and did not "
        f"call {of['wrongly_doubted']:.0%} of the supported ones so ({of['n']:,} judged)."
        for kind, of in rates.items()
    ]
    return lines


def _verifier() -> Mapping[str, Any]:
    """As the server tells it, asked once in a session; empty where it cannot be asked."""
    if "verifier" not in st.session_state:
        try:
            st.session_state["verifier"] = client().system().get("verifier") or {}
        except ApiError:
            return {}
    return cast("Mapping[str, Any]", st.session_state["verifier"])
