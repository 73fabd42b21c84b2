"""The look that every page shares: style sheet, wordmark, cards and empty states. Own assets, nothing fetched."""

from __future__ import annotations

import base64
from pathlib import Path

import streamlit as st

from app.ui.inert import inert_html

ASSETS = Path(__file__).parent / "assets"


def is_dark() -> bool:
    return st.context.theme.type == "dark"


def _asset(kind: str) -> Path:
    return ASSETS / f"{kind}-{'dark' if is_dark() else 'light'}.svg"


def apply_look() -> None:
    """Once per run, before anything is drawn."""
    # Streamlit sets color-scheme on the page but not on dialogs, which hang beside it in the document.
    scheme = f":root {{ color-scheme: {'dark' if is_dark() else 'light'}; }}"
    st.html(f"<style>{scheme}\n{(ASSETS / 'style.css').read_text('utf-8')}</style>")
    st.logo(str(_asset("logo")), size="medium", icon_image=str(_asset("icon")))


def card(title: str, *paragraphs: str, kind: str = "") -> None:
    """A quiet box; ``kind`` is "error", "abstained" or empty. Any text may be untrusted."""
    body = "".join(f"<p>{inert_html(p)}</p>" for p in paragraphs if p)
    role = ' role="alert"' if kind == "error" else ""
    st.html(f'<div class="ob-card {f"ob-{kind}" if kind else ""}"{role}><h4>{inert_html(title)}</h4>{body}</div>')


def empty_state(title: str, text: str) -> None:
    """What to do where there is nothing yet."""
    # As data: the browser's sanitiser drops inline SVG.
    picture = base64.b64encode(_asset("icon").read_bytes()).decode()
    st.html(
        f'<div class="ob-empty"><img alt="" src="data:image/svg+xml;base64,{picture}">'
        f"<h2>{inert_html(title)}</h2><p>{inert_html(text)}</p></div>"
    )


def plot(svg: str, label: str) -> None:
    """A plot of ``eval.plots``, as the API gives it; its text lies in a picture, where nothing runs."""
    picture = base64.b64encode(svg.encode()).decode()
    st.html(f'<img class="ob-plot" alt="{inert_html(label)}" src="data:image/svg+xml;base64,{picture}">')


def muted(text: str) -> None:
    st.html(f'<div class="ob-muted">{inert_html(text)}</div>')


def note(text: str) -> None:
    """Something that a person should know, and that is no failure."""
    st.html(f'<div class="ob-note">{inert_html(text)}</div>')


def size_text(n_bytes: int) -> str:
    for unit, step in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if n_bytes >= step:
            return f"{n_bytes / step:.1f} {unit}"
    return f"{n_bytes} bytes"
