"""Passages as they were cut: where each begins and ends, what it stands under, how long it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app import replies
from app.ui import look
from app.ui.inert import inert_html
from core.wording import plural

PER_PAGE = 10

LANGUAGE_NAMES: Mapping[str, str] = {
    "ar": "Arabic", "bg": "Bulgarian", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek",
    "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "nb": "Norwegian", "nl": "Dutch",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovene",
    "sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


def language_name(code: str | None) -> str:
    return LANGUAGE_NAMES.get(code or "", code or "")


def pii_text(pii: replies.Pii | None) -> str:
    """ "2 e-mail addresses and 1 IBAN found", or nothing."""
    if pii is None:
        return ""
    counts = [
        plural(pii["email"], "e-mail address", "e-mail addresses") if pii["email"] else "",
        plural(pii["phone"], "phone number") if pii["phone"] else "",
        plural(pii["iban"], "IBAN") if pii["iban"] else "",
        plural(pii["name"], "name") if pii.get("name") else "",
    ]
    named = [c for c in counts if c]
    if not named:
        return ""
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    return f"{listed} {'taken out' if pii['mode'] == 'redact' else 'found'}"


def draw_facts(facts: replies.Facts, rows: Sequence[tuple[str, str]] = ()) -> None:
    """What a document says of itself, with ``rows`` (name, value) of the caller's before; empty ones are left out."""
    told = [
        *rows,
        ("Language", language_name(facts["language"])),
        ("Authors", "; ".join(facts["authors"])),
        ("Created", (facts["created"] or "")[:10]),
        ("Changed", (facts["modified"] or "")[:10]),
        ("Personal data", pii_text(facts["pii"])),
    ]
    body = "".join(f"<dt>{inert_html(name)}</dt><dd>{inert_html(value)}</dd>" for name, value in told if value)
    st.html(f'<dl class="ob-facts">{body}</dl>')
    if facts["outline"]:
        with st.expander(f"Outline: {plural(len(facts['outline']), 'heading')}"):
            st.html(f'<div class="ob-outline">{"".join(map(_heading, facts["outline"]))}</div>')


def _heading(heading: replies.Heading) -> str:
    page = f'<span class="ob-muted"> · page {heading["page"]}</span>' if heading["page"] else ""
    indent = 1.1 * (min(heading["level"], 6) - 1)
    return f'<div style="padding-left:{indent:.1f}rem">{inert_html(heading["text"])}{page}</div>'


def draw_chunks(
    chunks: Sequence[replies.ChunkInfo],
    parents: Sequence[replies.ChunkInfo],
    *,
    first: int,
    before: replies.ChunkInfo | None = None,
) -> None:
    """Passages in reading order.

    Args:
        parents: those that are read in place of these.
        first: number of the first one, from 1.
        before: the one before the first, with which it may share words.
    """
    by_id = {p["chunk_id"]: p for p in parents}
    pieces: list[str] = []
    previous, parent_id = before, None
    for number, chunk in enumerate(chunks, start=first):
        if (named := chunk.get("parent_id")) != parent_id:
            parent_id = named
            if named in by_id:
                length = plural(by_id[named]["n_tokens"], "token")
                pieces.append(f'<div class="ob-parent">Read together: {length}</div>')
        pieces.append(_chunk(number, chunk, previous, within=parent_id is not None))
        previous = chunk
    st.html(f'<div class="ob-chunks">{"".join(pieces)}</div>')


def _chunk(number: int, chunk: replies.ChunkInfo, previous: replies.ChunkInfo | None, *, within: bool) -> str:
    text = chunk["text"]
    shared = max(0, min(len(text), previous["end"] - chunk["start"])) if previous is not None else 0
    place = [
        plural(chunk["n_tokens"], "token"),
        f"page {chunk['page']}" if chunk["page"] else "",
        f"characters {chunk['start']:,}–{chunk['end']:,}",
    ]
    again = (
        f'<span class="ob-shared" title="also the end of the passage before">{inert_html(text[:shared])}</span>'
        if shared
        else ""
    )
    path = " › ".join(chunk["heading_path"])
    return (
        f'<div class="ob-chunk{" ob-child" if within else ""}"><div class="ob-chunk-head">'
        f'<span class="ob-chunk-number">{number:,}</span><span class="ob-chunk-path">{inert_html(path)}</span>'
        f'<span class="ob-muted">{inert_html(" · ".join(p for p in place if p))}</span></div>'
        f'<div class="ob-chunk-text">{again}{inert_html(text[shared:])}</div></div>'
    )


def page_chooser(total: int, key: str) -> int:
    """Which page of passages to show, from 0; draws what chooses it where there is more than one."""
    pages = -(-total // PER_PAGE)
    if pages <= 1:
        return 0
    at = int(st.session_state.get(key, 0))
    at = min(max(at, 0), pages - 1)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Previous", key=f"{key}-back", icon=":material/chevron_left:", disabled=at == 0,
            on_click=_turn, args=(key, at - 1),
        )  # fmt: skip
        last = min(total, (at + 1) * PER_PAGE)
        look.muted(f"Passages {at * PER_PAGE + 1:,} to {last:,} of {total:,}")
        st.button(
            "Next", key=f"{key}-on", icon=":material/chevron_right:", icon_position="right", disabled=at == pages - 1,
            on_click=_turn, args=(key, at + 1),
        )  # fmt: skip
    return at


def _turn(key: str, to: int) -> None:
    st.session_state[key] = to
