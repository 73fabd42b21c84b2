"""Evaluate: questions of one's own, two ways to search or answer, and what may honestly be said of the difference."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.ui import look
from app.ui.boundary import guarded
from app.ui.eval_questions_view import add_questions, draw_questions
from app.ui.eval_result_view import draw_runs
from app.ui.state import client, notice, take_notice

RETRIEVERS = ("bm25", "hybrid", "dense", "tfidf")
RETRIEVER_WORDS = {
    "bm25": "Words (bm25)",
    "hybrid": "Both (hybrid)",
    "dense": "Meaning (dense)",
    "tfidf": "Words (tfidf)",
}
CHUNKERS: tuple[str | None, ...] = (None, "fixed", "sentence", "semantic", "parent-child")


@guarded
def evaluate_page() -> None:
    st.title("Evaluate", anchor=False)
    names = [c["name"] for c in client().collections() if c["documents"]]
    if not names:
        look.empty_state(
            "Nothing to evaluate yet", "Add documents to a collection first; questions are made from them."
        )
        return
    if said := take_notice():
        look.note(said)
    collection = st.selectbox("Collection", names, key="eval-collection")
    sets = client().question_sets(collection)
    if not sets:
        look.muted(
            "Is one way to search better than another, on your documents? Make questions from them, keep those that are "
            "good, and compare."
        )
        add_questions(collection, first=True)
        return
    labels = {s["set_id"]: f"{s['name']} · {s['n']:,} questions, {s['n_approved']:,} approved" for s in sets}
    if st.session_state.get("eval-set") not in labels:
        st.session_state["eval-set"] = sets[0]["set_id"]
    set_id = st.selectbox("Questions", list(labels), format_func=lambda s: labels[s], key="eval-set")
    add_questions(collection, first=False)
    found = client().question_set(set_id)
    draw_questions(found)
    _choose(found)
    draw_runs(set_id)


def _choose(of: dict[str, Any]) -> None:
    st.subheader("Compare", anchor=False)
    searches = (
        st.segmented_control(
            "What",
            ("How passages are found", "How answers are given"),
            default="How passages are found",
            required=True,
            key="eval-what",
        )
        == "How passages are found"
    )
    with st.form("eval-start", border=True):
        a, b = st.columns(2)
        with a:
            first = _configuration("A", searches, 0)
        with b:
            second = _configuration("B", searches, 1)
        asked = [q for q in of["questions"] if q["approved"] is not False and (q["answerable"] or not searches)]
        n = sum(q["approved"] is True for q in asked)
        which = st.radio(
            "Ask",
            ("approved", "not rejected"),
            index=0 if n else 1,
            horizontal=True,
            format_func=lambda w: f"the {n:,} approved" if w == "approved" else f"all {len(asked):,} not rejected",
            key="eval-which",
        )
        begin = st.form_submit_button("Run", type="primary", icon=":material/play_arrow:")
    if begin:
        run = client().start_eval(of["set_id"], [first, second], which=which or "approved")
        st.session_state["eval-run"] = run["eval_id"]
        notice("The evaluation has begun; you may leave this page meanwhile.")
        st.rerun()


def _configuration(name: str, searches: bool, nth: int) -> dict[str, Any]:
    st.markdown(f"**{name}**")
    if not searches:
        strategies = [s["name"] for s in client().strategies()["strategies"] if s["available"]]
        chosen = st.selectbox("Strategy", strategies, index=min(nth, len(strategies) - 1), key=f"eval-strategy-{name}")
        return {"strategy": chosen}
    retriever = st.selectbox(
        "Search by", RETRIEVERS, index=nth, format_func=lambda r: RETRIEVER_WORDS[r], key=f"eval-retriever-{name}"
    )
    chunker = st.selectbox(
        "Passages",
        CHUNKERS,
        format_func=lambda c: "as they are" if c is None else f"cut anew: {c}",
        key=f"eval-chunker-{name}",
    )
    rerank = st.checkbox("Reranked", key=f"eval-rerank-{name}")
    return {"retriever": retriever, "chunker": chunker, "rerank": rerank}
