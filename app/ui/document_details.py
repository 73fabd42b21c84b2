"""One document looked at closely: what it says of itself, what is nearly the same, and its passages page by page."""

from __future__ import annotations

import streamlit as st

from app import replies
from app.ui import look
from app.ui.boundary import guarded
from app.ui.chunks_view import PER_PAGE, draw_chunks, draw_facts, page_chooser
from app.ui.inert import inert_html
from app.ui.state import client


@st.dialog("Passages", width="medium")
def show_details(doc_id: str) -> None:
    _draw(doc_id)


@guarded
def _draw(doc_id: str) -> None:
    document = client().document(doc_id)
    st.html(f'<div class="ob-hit-title">{inert_html(document["title"] or document["uri"])}</div>')
    rows = [("File", document["uri"]), ("Pages", f"{document['pages']:,}" if document["pages"] else "")]
    draw_facts(
        replies.Facts(
            language=document.get("language"),
            title=document["title"],
            authors=document.get("authors", []),
            created=document.get("created"),
            modified=document.get("modified"),
            outline=document.get("outline", []),
            pii=document.get("pii"),
            metadata=document.get("metadata", {}),
        ),
        rows,
    )
    for text in document["warnings"]:
        look.note(text)
    _near(doc_id)
    at = page_chooser(document["chunks"], f"chunks-{doc_id}") * PER_PAGE
    # One more in front: what the first passage shares with the one before it is shown, too.
    ahead = 1 if at else 0
    page = client().chunk_page(doc_id, offset=at - ahead, limit=PER_PAGE + ahead)
    before = page["chunks"][0] if ahead and page["chunks"] else None
    draw_chunks(page["chunks"][ahead:], page["parents"], first=at + 1, before=before)


def _near(doc_id: str) -> None:
    found = client().near_duplicates(doc_id)
    if not found:
        return
    rows = "".join(
        f'<div><span class="ob-badge">{_share(n["similarity"])} the same</span> {inert_html(n["title"] or n["uri"])} '
        f'<span class="ob-muted">{inert_html(n["uri"])} in {inert_html(n["collection"])}</span></div>'
        for n in found
    )
    st.html(f'<div class="ob-near">{rows}</div>')


def _share(similarity: float) -> str:
    return f"about {int(100 * similarity)}%"
