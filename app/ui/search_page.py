"""Search without an answer: the hits as they were ranked, and what each stage said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app import replies
from app.ui import look
from app.ui.boundary import guarded
from app.ui.inert import inert_html
from app.ui.passage import from_hit, show_passage
from app.ui.state import client

RETRIEVERS: Mapping[str, str] = {"hybrid": "Both", "bm25": "Words", "dense": "Meaning", "late": "Word by word"}
STAGE_WORDS: Mapping[str, str] = {
    "bm25": "Words (BM25)",
    "tfidf": "Words (TF-IDF)",
    "dense": "Meaning (dense)",
    "late": "Late interaction",
    "fused": "Fused",
    "rerank": "Reranked",
}
K = 10


@guarded
def search_page() -> None:
    st.title("Search", anchor=False)
    collections = [c for c in client().collections() if c["documents"]]
    names = [c["name"] for c in collections]
    if not names:
        look.empty_state("Nothing to search yet", "Add documents to a collection first; their passages are found here.")
        return
    with st.form("search", border=False):
        query = st.text_input("Search for", key="search-query", placeholder="a phrase, a name, a number …")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.multiselect("In", names, key="search-collections", placeholder="All collections")
            by = st.segmented_control(
                "By",
                [by for by in RETRIEVERS if by != "late" or any(c.get("late") for c in collections)],
                default="hybrid",
                required=True,
                format_func=lambda name: RETRIEVERS[name],
                key="search-by",
            )
            st.form_submit_button("Search", type="primary", icon=":material/search:")
        once = st.checkbox(
            "Say the same only once",
            key="search-collapse",
            help="Leaves out passages that a better one has said, of a document that is nearly the same.",
        )
    if not (query or "").strip():
        look.muted("The passages come back as they were ranked, with the rank and score that each stage gave them.")
        return
    hits = client().search(
        query.strip(),
        list(chosen) or names,
        k=K,
        retriever=by or "hybrid",
        explain=True,
        collapse_duplicates=once or None,
    )
    if not hits:
        look.card("Nothing found", "No passage of these collections matches. Try other words, or search by meaning.")
    for hit in hits:
        _hit(hit, hits)


def _hit(hit: replies.Hit, hits: Sequence[replies.Hit]) -> None:
    where = " · ".join(
        part
        for part in (hit["collection"], f"page {hit['page']}" if hit["page"] else "", *hit.get("heading_path", [])[-1:])
        if part
    )
    with st.container(border=True, key=f"card-hit-{hit['rank']}", gap="small"):
        st.html(
            f'<div class="ob-hit-title">{hit["rank"]}. {inert_html(hit["title"])}</div>'
            f'<div class="ob-muted">{inert_html(where)} {_alike(hit)}</div>'
            f'<div class="ob-hit-text">{_text(hit)}</div>{_parts(hit, hits)}'
        )
        if st.button("Open in the document", key=f"hit-{hit['rank']}", type="tertiary", icon=":material/menu_book:"):
            show_passage(from_hit(hit))


def _alike(hit: replies.Hit) -> str:
    n = hit.get("stands_for", 1)
    return f'<span class="ob-badge">stands for {n:,} documents that are nearly the same</span>' if n > 1 else ""


def _text(hit: replies.Hit) -> str:
    """What is to be read, with what was found in it marked where that is less."""
    text, found = hit["text"], hit.get("matched")
    if found is None:
        return inert_html(text)
    start, end = found["start"] - hit["start"], found["end"] - hit["start"]
    return f"{inert_html(text[:start])}<mark>{inert_html(text[start:end])}</mark>{inert_html(text[end:])}"


def _parts(hit: replies.Hit, hits: Sequence[replies.Hit]) -> str:
    """The waterfall: per stage the rank, the score, and the score against the best of this list."""
    rows = []
    for stage, part in hit["parts"].items():
        best = max((h["parts"][stage]["score"] for h in hits if stage in h["parts"]), default=0.0)
        share = round(100 * max(0.0, part["score"] / best)) if best > 0 else 0
        rows.append(
            f"<tr><td>{inert_html(STAGE_WORDS.get(stage, stage))}</td><td>rank {part['rank']}</td>"
            f"<td>{part['score']:.3f}</td>"
            f'<td><span class="ob-meter"><span style="width:{min(share, 100)}%"></span></span></td></tr>'
        )
    return f'<table class="ob-parts">{"".join(rows)}</table>' if rows else ""
