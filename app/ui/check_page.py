"""Checking a claim: what the documents say to it, sentence by sentence, each passage quoted and within reach."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app import replies
from app.ui import look
from app.ui.boundary import guarded
from app.ui.inert import VERDICTS, inert_html
from app.ui.keeping import begin_with
from app.ui.marks import explain_marks
from app.ui.passage import from_citation, show_passage, which_file
from app.ui.state import client, limits

# verdict → (heading, the class that colours it)
_HEADINGS: Mapping[str, tuple[str, str]] = {
    "supported": ("Supported by your documents", "supported"),
    "refuted": ("Refuted: your documents say otherwise", "contradicted"),
    "not enough": ("Not enough in your documents to say", "partial"),
}
_SAYS: Mapping[str, str] = {
    "supported": "supports it",
    "contradicted": "says otherwise",
    "partial": "supports a part of it",
    "unsupported": "came nearest",
}


@guarded
def check_page() -> None:
    st.title("Check a claim", anchor=False)
    names = [c["name"] for c in client().collections() if c["documents"]]
    if not names:
        look.empty_state("Nothing to check against yet", "Add documents to a collection first.")
        return
    with st.form("check", border=False):
        claim = st.text_area(
            "Claim",
            key=begin_with("check-claim", ""),
            placeholder="Net sales grew by 12 percent in 2023.",
            max_chars=limits().max_question_characters,
            height=100,
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.multiselect(
                "Against", names, key=begin_with("check-collections", [], names), placeholder="All collections"
            )
            st.form_submit_button("Check", type="primary", icon=":material/fact_check:")
    if not (claim or "").strip():
        look.muted("Each sentence is looked for in your documents, and judged against what is found there.")
        return
    with st.spinner("Searching and judging …", show_time=True):
        found = client().check(claim.strip(), list(chosen) or names)
    _draw(found)


def _draw(found: replies.Checked) -> None:
    heading, colour = _HEADINGS[found["verdict"]]
    st.html(
        f'<div class="ob-card" role="status"><h4 class="ob-{colour}">{heading}</h4>'
        f"<p>{inert_html(found['reason'])}</p></div>"
    )
    for conflict in found["conflicts"]:
        if conflict["text"] != found["reason"]:
            look.note(conflict["text"])
    explain_marks()
    if len(found["sentences"]) > 1:
        st.html("".join(_sentence(s) for s in found["sentences"]))
    for passage, file in zip(found["passages"], which_file(found["passages"]), strict=True):
        _passage(passage, file)


def _sentence(sentence: replies.Sentence) -> str:
    glyph, meaning = VERDICTS.get(sentence["verdict"], ("", "no claim"))
    cited = "".join(f"[{n}]" for n in sentence["citations"])
    return (
        f'<p><span class="ob-{sentence["verdict"]}">{glyph} {inert_html(meaning)}</span> '
        f"{inert_html(sentence['text'])} {cited}</p>"
    )


def _passage(passage: replies.Citation, file: str) -> None:
    glyph, _ = VERDICTS.get(passage["verdict"], ("", ""))
    where = " · ".join(
        part for part in (file, passage.get("date") or "", f"page {passage['page']}" if passage["page"] else "") if part
    )
    with st.container(border=True, key=f"card-check-{passage['n']}", gap="small"):
        st.html(
            f'<div class="ob-hit-title">[{passage["n"]}] {inert_html(passage["title"])}</div>'
            f'<div class="ob-muted"><span class="ob-{passage["verdict"]}">{glyph} {_SAYS.get(passage["verdict"], "")}'
            f'</span> {inert_html(where)}</div><div class="ob-hit-text">{inert_html(passage["quote"])}</div>'
        )
        if st.button("Open in the document", key=f"check-{passage['n']}", type="tertiary", icon=":material/menu_book:"):
            show_passage(from_citation(passage))
