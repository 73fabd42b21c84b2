"""What is in a collection: its documents, found by words and tags, each to be opened, tagged, downloaded or deleted."""

from __future__ import annotations

import streamlit as st

from app import replies
from app.client import ApiError
from app.ui import look
from app.ui.boundary import guarded
from app.ui.chunks_view import language_name, pii_text
from app.ui.document_details import show_details
from app.ui.inert import inert_html
from app.ui.keeping import begin_with
from app.ui.passage import Passage, show_passage
from app.ui.served import note_on_languages
from app.ui.state import client, document_text, forget_texts
from core.wording import plural

PAGE = 50
OPENING = 700  # characters shown of a document that is opened as a whole
_WORDS, _TAGS = "documents-words", "documents-tags"


def draw_documents(collection: str, *, may_change: bool) -> None:
    """``may_change``: whether this person may delete and tag them."""
    words = (st.session_state.get(begin_with(_WORDS, "")) or "").strip()
    tags = list(st.session_state.get(begin_with(f"{_TAGS}-{collection}", [])) or ())
    wanted = st.session_state.setdefault("documents-shown", PAGE)
    documents: list[replies.Document] = []
    cursor: str | None = None
    while len(documents) < wanted:
        most = min(PAGE, wanted - len(documents))
        page = client().documents(collection, limit=most, cursor=cursor, near=True, words=words, tags=tags)
        documents += page["documents"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    if not documents and not words and not tags:
        return
    st.subheader("Documents", anchor=False)
    _narrow(collection)
    if not documents:
        look.muted(
            "No document has all of these words and one of these tags."
            if tags
            else "No document has all of these words."
        )
        return
    if note := note_on_languages(d.get("language") for d in documents):
        look.muted(note)
    with st.container(key="documents", gap="xsmall"):
        for document in documents:
            _row(document, may_change)
    if cursor is not None:
        st.button("Show more", key="more-documents", on_click=_more)


def _more() -> None:
    st.session_state["documents-shown"] += PAGE


def _narrow(collection: str) -> None:
    """By words of title and file name, and by tags, where there are any."""
    known = client().facets([collection])["tag"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Find a document",
            key=_WORDS,
            icon=":material/search:",
            placeholder="Title or file name",
            max_chars=200,
            on_change=_from_the_start,
        )
        if known:
            st.multiselect(
                "Tags",
                list(known),
                format_func=lambda tag: f"{tag} ({known[tag]:,})" if tag in known else str(tag),
                key=f"{_TAGS}-{collection}",
                placeholder="Any",
                on_change=_from_the_start,
            )


def _from_the_start() -> None:
    st.session_state["documents-shown"] = PAGE


def _row(document: replies.Document, may_change: bool) -> None:
    doc_id = document["doc_id"]
    near = document.get("near_duplicates") or 0
    badges = [plural(near, "near-duplicate") if near else "", pii_text(document.get("pii")), *document.get("tags", [])]
    shown = "".join(f'<span class="ob-badge">{inert_html(b)}</span>' for b in badges if b)
    facts = [
        _file_name(document),
        plural(document["pages"], "page") if document["pages"] else "",
        plural(document["chunks"], "passage"),
        look.size_text(document["size"]),
        language_name(document.get("language")),
    ]
    warnings = "".join(f'<div class="ob-note">{inert_html(text)}</div>' for text in document["warnings"])
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="small"):
        st.html(
            f'<div class="ob-job"><span class="ob-file" title="{inert_html(document["uri"])}">'
            f"{inert_html(document['title'] or document['uri'])}</span>"
            f'<span class="ob-muted">{inert_html(" · ".join(f for f in facts if f))} {shown}</span>{warnings}</div>'
        )
        chosen = st.menu_button(
            "",
            ["Open", "Passages", "Tags", "Delete"] if may_change else ["Open", "Passages"],
            key=f"document-{doc_id}",
            type="tertiary",
            icon=":material/more_horiz:",
            help="Open, look at its passages, tag or delete" if may_change else "Open, or look at its passages",
        )
    if chosen == "Open":
        _open(document)
    elif chosen == "Passages":
        show_details(doc_id)
    elif chosen == "Tags":
        _tag(document)
    elif chosen == "Delete":
        _delete(document)


def _file_name(document: replies.Document) -> str:
    """Which file it is, unless its title says so: several may have the same title."""
    title, uri = document["title"], document["uri"]
    return "" if title in ("", uri) or uri.rpartition(".")[0] == title else uri


def _open(document: replies.Document) -> None:
    text = document_text(document["doc_id"])
    show_passage(
        Passage(
            doc_id=document["doc_id"],
            title=document["title"] or document["uri"],
            page=1 if document["pages"] else None,
            start=0,
            end=min(OPENING, len(text)),
            quote=text[:OPENING],
        )
    )


@st.dialog("Tags of the document")
def _tag(document: replies.Document) -> None:
    _tag_form(document)


@guarded
def _tag_form(document: replies.Document) -> None:
    given = document.get("given_tags", [])
    brought = [tag for tag in document.get("tags", []) if tag not in given]
    known = client().facets([document["collection"]])["tag"] if "collection" in document else {}
    st.html(f'<div class="ob-hit-title">{inert_html(document["title"] or document["uri"])}</div>')
    chosen = st.multiselect(
        "Tags",
        sorted({*known, *given} - set(brought)),
        default=given,
        accept_new_options=True,
        placeholder="Choose, or write a new one and press Enter",
        key=f"tags-of-{document['doc_id']}",
    )
    if brought:
        look.muted(f"It brought along: {', '.join(brought)}. These stay.")
    look.muted("Everybody who may read the document sees its tags, and can narrow a search by them.")
    if st.button("Save", type="primary", key="tags-save"):
        client().tag_document(document["doc_id"], chosen)
        st.rerun()


@st.dialog("Delete the document?")
def _delete(document: replies.Document) -> None:
    _delete_form(document)


@guarded
def _delete_form(document: replies.Document) -> None:
    st.html(
        f'<div class="ob-hit-title">{inert_html(document["title"])}</div><div class="ob-muted">It will be found no '
        "more. What past conversations quoted from it stays in them, unless it is purged.</div>"
    )
    purge = st.checkbox(
        "Purge: also take it out of everybody's conversations",
        key="delete-document-purge",
        help="What was quoted from it, and the sentences that rest on it, are replaced by a note. Backups keep it.",
    )
    with st.container(horizontal=True):
        if st.button("Delete", type="primary", key="delete-document-yes"):
            try:
                with st.spinner("Deleting …"):
                    if purge:
                        client().purge_document(document["doc_id"])
                    else:
                        client().delete_document(document["doc_id"])
            except ApiError as e:
                if e.status != 404:
                    raise
            forget_texts()
            st.rerun()
        if st.button("Keep it", key="delete-document-no"):
            st.rerun()
