"""What is running: versions, models and the state of the index, as the server tells it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import streamlit as st

from app.ui import look
from app.ui.boundary import guarded
from app.ui.inert import inert_html
from app.ui.state import client


@guarded
def system_page() -> None:
    st.title("System", anchor=False)
    found = client().system()
    loose = {key: value for key, value in found.items() if not isinstance(value, dict)}
    for heading, values in [("Openbook", loose), *((k, v) for k, v in found.items() if isinstance(v, dict))]:
        rows = "".join(f"<dt>{inert_html(name)}</dt><dd>{inert_html(text)}</dd>" for name, text in _flat(values))
        if rows:
            st.html(
                f'<div class="ob-card"><h4>{inert_html(_words(heading))}</h4><dl class="ob-facts">{rows}</dl></div>'
            )
    look.muted(f"The API answers at {client().base_url}; its own page is at {client().base_url}/docs")


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{path} {_words(str(key))}".strip())
    elif isinstance(value, list):
        yield path, ", ".join(str(item) for item in value) or "none"
    elif isinstance(value, bool):
        yield path, "yes" if value else "no"
    elif value is not None:
        yield path, f"{value:,}" if isinstance(value, int) else str(value)


def _words(key: str) -> str:
    return key.replace("_", " ").capitalize() if key.islower() else key
