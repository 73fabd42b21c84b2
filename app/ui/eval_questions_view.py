"""Questions of a collection: made or uploaded, looked at with the passage that answers them, approved one by one."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.ui import look
from app.ui.boundary import guarded
from app.ui.inert import inert_html
from app.ui.keeping import forget
from app.ui.state import client, document_text, notice
from core.wording import whole_document_note

PAGE = 8
KIND_WORDS = {
    "cloze": "gap to fill",
    "heading": "about a heading",
    "unanswerable": "cannot be answered",
    "written": "by a language model",
    "uploaded": "uploaded",
    "multi-hop": "two passages",
    "comparison": "compares two passages",
    "liked": "asked in the chat, answer liked",
    "disliked": "asked in the chat, answer disliked",
}
_SHOWN = 500  # characters of the passage
_FIELDS = {"question": "Question", "answers": "Right answer", "document": "Document that answers"}


def add_questions(collection: str, *, first: bool) -> None:
    """Makes questions from the documents, or takes in a table of them."""
    with st.expander("Add questions", icon=":material/add:", expanded=first):
        with st.form("eval-make", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
            n = st.number_input("How many", 10, 500, 100, step=10, key="eval-n")
            made = st.form_submit_button("Make questions", type="primary", icon=":material/auto_awesome:")
        if made:
            with st.spinner("Making questions and trying each …", show_time=True):
                found = client().make_questions(collection, int(n))
            notice(f"{found['n']:,} questions were made. Approve the good ones below.")
            forget("eval-set")
            st.rerun()
        look.muted("They come from your documents by rule, each with the passage that answers it.")
        if st.button("From thumbs in the chat", icon=":material/thumbs_up_down:", key="eval-thumbs"):
            found = client().feedback_set(collection)
            notice(f"{found['n']:,} questions come from the chat. Approve the good ones below.")
            forget("eval-set")
            st.rerun()
        _upload(collection)


@guarded  # a file that cannot be read hides nothing of the rest
def _upload(collection: str) -> None:
    file = st.file_uploader(
        "Or a table of your own (CSV or JSON lines)", type=["csv", "jsonl", "ndjson"], key="eval-file"
    )
    if file is None:
        return
    form = "jsonl" if file.name.lower().endswith((".jsonl", ".ndjson")) else "csv"
    data = file.getvalue()
    seen = client().import_questions(collection, data, form, None)
    columns = [None, *seen["columns"]]
    with st.form("eval-map", border=True):
        st.markdown("**Which column is what?**")
        mapping = {
            field: st.selectbox(
                label,
                columns,
                index=columns.index(seen["mapping"][field]),
                format_func=lambda c: "(none)" if c is None else c,
                key=f"eval-map-{field}",
            )
            for field, label in _FIELDS.items()
        }
        take = st.form_submit_button("Take them in", type="primary")
    if take:
        kept = client().import_questions(collection, data, form, mapping, name=file.name)
        left = kept["origin"]["left_out"]
        why = f"; {left:,} rows were left out, the first for: {kept['origin']['problems'][0]}" if left else ""
        whole = kept["origin"]["whole_document"]
        notice(
            f"{kept['n']:,} questions were taken in{why}."
            + (f" {whole_document_note(whole, kept['n'])}." if whole else "")
        )
        forget("eval-set")
        st.rerun()


def draw_questions(of: dict[str, Any]) -> None:
    waiting = of["n"] - of["n_approved"] - of["n_rejected"]
    st.subheader("Questions", anchor=False)
    look.muted(
        f"{of['n_approved']:,} approved · {of['n_rejected']:,} rejected · {waiting:,} to look at · "
        f"{of['n_unanswerable']:,} that cannot be answered"
    )
    with st.expander("Look at them", icon=":material/checklist:", expanded=bool(waiting) and not of["n_approved"]):
        _questions(of["set_id"])


@st.fragment
@guarded
def _questions(set_id: str) -> None:
    of = client().question_set(set_id)
    shown = st.segmented_control(
        "Show", ("To look at", "Approved", "Rejected"), default="To look at", required=True, key="eval-show"
    )
    wanted = {"To look at": None, "Approved": True, "Rejected": False}[shown or "To look at"]
    questions = [q for q in of["questions"] if q["approved"] is wanted]
    if not questions:
        look.muted("None here.")
    for question in questions[:PAGE]:
        _question(set_id, question)
    if len(questions) > PAGE:
        look.muted(f"and {len(questions) - PAGE:,} more")
    with st.container(horizontal=True):
        if wanted is None and questions:
            st.button(
                f"Approve all {len(questions):,}", key="eval-approve-all", on_click=_decide, args=(set_id, True, None)
            )
        if st.button("Done", key="eval-looked", type="primary"):
            st.rerun()


def _question(set_id: str, question: dict[str, Any]) -> None:
    with st.container(border=True, gap="small", key=f"card-question-{question['question_id']}"):
        answers = "; ".join(question["answers"])
        said = f"Answer: {answers}" if answers else ""
        st.html(
            f'<div class="ob-hit-title">{inert_html(question["question"])}</div>'
            f'<div class="ob-muted">{inert_html(KIND_WORDS.get(question["kind"], question["kind"]))}'
            f"{' · ' if said else ''}{inert_html(said)}</div>{_passage(question)}"
        )
        with st.container(horizontal=True):
            one = [question["question_id"]]
            if question["approved"] is not True:
                st.button(
                    "Approve", key=f"yes-{one[0]}", icon=":material/check:", on_click=_decide, args=(set_id, True, one)
                )
            if question["approved"] is not False:
                st.button(
                    "Reject", key=f"no-{one[0]}", icon=":material/close:", on_click=_decide, args=(set_id, False, one)
                )


def _passage(question: dict[str, Any]) -> str:
    parts = []
    for gold in question["gold"][:2]:
        text = span_text(gold) if gold["end"] else "the whole document"
        parts.append(
            f'<div class="ob-hit-text">{inert_html(text)}</div><div class="ob-muted">{inert_html(gold["title"])}</div>'
        )
    return "".join(parts)


def span_text(span: dict[str, Any]) -> str:
    """What stands at a span of a stored document, shortened."""
    text = document_text(span["doc_id"])[span["start"] : span["end"]]
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"


def _decide(set_id: str, approved: bool, question_ids: list[str] | None) -> None:
    client().decide_questions(set_id, approved, question_ids)
