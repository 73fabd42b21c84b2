"""A source, opened in its place: the passage within its surroundings, and on the page it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from app import replies
from app.client import ApiError
from app.ui import look
from app.ui.boundary import guarded
from app.ui.inert import VERDICTS, inert_html, passage_html
from app.ui.state import client, document_text
from core.ids import ATTACHED
from core.types import VerdictLabel
from core.wording import tell_apart

PDF = "application/pdf"
_TURNED_TO = "passage-page"
_OPENED = "passages-opened"
WIDTH = 750  # pixels at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """``quote`` is what was quoted at the time: it outlives the document."""

    doc_id: str
    title: str
    page: int | None
    start: int
    end: int
    quote: str
    verdict: VerdictLabel = "unverified"
    n: int | None = None


def from_citation(citation: replies.Citation) -> Passage:
    return Passage(
        doc_id=citation["doc_id"],
        title=citation["title"],
        page=citation["page"],
        start=citation["start"],
        end=citation["end"],
        quote=citation["quote"],
        verdict=citation.get("verdict", "unverified"),
        n=citation["n"],
    )


def from_hit(hit: replies.Hit) -> Passage:
    return Passage(
        doc_id=hit["doc_id"],
        title=hit["title"],
        page=hit["page"],
        start=hit["start"],
        end=hit["end"],
        quote=hit["text"],
    )


def which_file(sources: Sequence[replies.Citation] | Sequence[replies.Hit]) -> list[str]:
    """What is said beside each one's title where another of them has the same: the file, most often; else ""."""
    return tell_apart([(s["title"], s.get("uri", ""), _said_of(s.get("collection", ""))) for s in sources])


def _said_of(collection: str) -> str:
    return "" if collection.startswith(ATTACHED) else collection


def show_passage(passage: Passage) -> None:
    """Opens it; what page an earlier one was turned to is forgotten."""
    st.session_state.pop(_TURNED_TO, None)
    opened = st.session_state[_OPENED] = st.session_state.get(_OPENED, 0) + 1
    # The browser takes a dialog of the same measures for the one before, and leaves what that showed and this does not (the
    # picture of another document's page) until the script ends, which may be as long as an answer takes.
    st.dialog("Source", width=WIDTH + opened % 2, position="right")(_draw)(passage)


@guarded
def _draw(passage: Passage) -> None:
    glyph, meaning = VERDICTS.get(passage.verdict, ("", ""))
    file: list[str] = []  # once the document is there
    number = "" if passage.n is None else f'<span class="ob-chip" aria-hidden="true">{passage.n}</span> '
    place = st.empty()
    verdict = f'<span class="ob-{passage.verdict}">{glyph} The sentence is {meaning}</span>' if glyph else ""

    def head(page: int | None) -> None:
        parts = " · ".join(p for p in (*map(inert_html, file), "" if page is None else f"Page {page}", verdict) if p)
        place.html(
            f'<div class="ob-hit-title">{number}{inert_html(passage.title)}</div><div class="ob-muted">{parts}</div>'
        )

    head(passage.page)
    try:
        with st.spinner("Opening …"):
            text = document_text(passage.doc_id)
            document = client().document(passage.doc_id)
    except ApiError as e:
        if e.status != 404:
            raise
        look.card("This document has been deleted", "What was quoted from it is kept here:")
        st.html(passage_html(passage.quote, 0, len(passage.quote)))
        return
    named = document["uri"] if document["uri"] != passage.title else ""
    file += [named, _said_of(document.get("collection", ""))]
    head(passage.page)
    if text[passage.start : passage.end] == passage.quote:
        st.html(passage_html(text, passage.start, passage.end))
    else:
        # Other bytes have replaced the document since; its offsets would mark the wrong words.
        look.card("This document has changed since", "This is what was quoted from the earlier version:")
        st.html(passage_html(passage.quote, 0, len(passage.quote)))
        return
    page = _page_of(document, passage)
    head(page)
    pii = document.get("pii")
    if pii is not None and pii["mode"] == "redact":
        look.muted("Personal data were taken out of this text; the original and its pages are not shown.")
        return
    if page is not None and (document["mime_type"] == PDF or document["mime_type"].startswith("image/")):
        _pages(passage, page, document["pages"])
    st.download_button(
        "Download the original",
        data=lambda: client().document_original(passage.doc_id),
        file_name=document["uri"].replace("\\", "/").rpartition("/")[2] or "document",
        mime="application/octet-stream",
        icon=":material/download:",
        on_click="ignore",
        key="passage-download",
    )


def _page_of(document: replies.Document, passage: Passage) -> int | None:
    """The page on which the passage begins; what cited it may only know where its chunk began."""
    begun = [span["number"] for span in document.get("page_spans", []) if span["start"] <= passage.start]
    return begun[-1] if begun else passage.page


def _pages(passage: Passage, page: int, pages: int) -> None:
    """The page of the passage, and from there any other. No button is ever disabled: one that has the keyboard would drop it."""
    page = min(max(1, st.session_state.get(_TURNED_TO, page)), max(1, pages))
    if pages > 1:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="turn-pages"):
            st.button(
                "Page before",
                key="page-back",
                icon=":material/chevron_left:",
                type="tertiary",
                on_click=_turn_to,
                args=(max(1, page - 1),),
            )
            look.muted(f"Page {page:,} of {pages:,}")
            st.button(
                "Page after",
                key="page-on",
                icon=":material/chevron_right:",
                icon_position="right",
                type="tertiary",
                on_click=_turn_to,
                args=(min(pages, page + 1),),
            )
    _page_image(passage, page)


def _turn_to(page: int) -> None:
    st.session_state[_TURNED_TO] = page


def _page_image(passage: Passage, page: int) -> None:
    waiting = st.empty()
    waiting.skeleton(height=420)
    try:
        image = client().page_image(passage.doc_id, page, highlight=(passage.start, passage.end))
    except ApiError as e:
        # The words are there; a page that cannot be drawn is worth a line, not a failure.
        waiting.html(f'<div class="ob-muted">The page could not be drawn: {inert_html(e.message)}</div>')
        return
    waiting.image(image, width="stretch", alt=f"Page {page} of the document with the passage highlighted")
