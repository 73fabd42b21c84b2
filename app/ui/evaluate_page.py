"""Evaluate: questions of one's own, two ways to search or answer, and what may honestly be said of the difference."""

from __future__ import annotations

import streamlit as st

from app.ui import look
from app.ui.boundary import guarded
from app.ui.eval_choose_view import draw_choice
from app.ui.eval_questions_view import add_questions, draw_questions
from app.ui.eval_result_view import draw_runs
from app.ui.eval_votes_view import draw_chat_votes
from app.ui.keeping import begin_with, forget
from app.ui.state import client, take_notice


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
    collection = st.selectbox("Collection", names, key=begin_with("eval-collection", names[0], names))
    sets = client().question_sets(collection)
    if not sets:
        look.muted(
            "Is one way to search better than another, on your documents? Make questions from them, keep those that are "
            "good, and compare."
        )
        add_questions(collection, first=True)
        draw_chat_votes()
        return
    labels = {s["set_id"]: f"{s['name']} · {s['n']:,} questions, {s['n_approved']:,} approved" for s in sets}
    if st.session_state.get("eval-set", sets[0]["set_id"]) not in labels:
        forget("eval-set")
    key = begin_with("eval-set", sets[0]["set_id"], labels)
    set_id = st.selectbox("Questions", list(labels), format_func=lambda s: labels[s], key=key)
    add_questions(collection, first=False)
    found = client().question_set(set_id)
    draw_questions(found)
    draw_choice(found)
    draw_runs(set_id)
    draw_chat_votes()
