"""What is compared: two ways to search or to answer, or a grid of them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.ui import look
from app.ui.keeping import begin_with
from app.ui.state import client, notice, way_label

RETRIEVERS = ("bm25", "hybrid", "dense", "tfidf", "late")
RETRIEVER_WORDS = {
    "bm25": "Words (bm25)",
    "hybrid": "Both (hybrid)",
    "dense": "Meaning (dense)",
    "tfidf": "Words (tfidf)",
    "late": "Word by word (late)",
}
AS_IT_IS = "as they are"
CHUNKERS = (AS_IT_IS, "fixed", "sentence", "semantic", "parent-child")
_STRESS = {"as they are": None, "with typos": "typos", "paraphrased": "paraphrase"}
_FUSIONS = ("convex", "rrf")
_CONTEXTS = {
    "the collection": None,
    "their own passages alone": "own",
    "their own among five others": "distractors",
    "their own with another answer put in": "counterfactual",
}
_OWN = {"models": "as set", "prompts": "as they are"}
_SEARCH, _ANSWER = "How passages are found", "How answers are given"
_TWO, _MANY = "Two ways", "Many (a grid)"


def draw_choice(of: dict[str, Any]) -> None:
    """Takes the choice and starts the evaluation."""
    st.subheader("Compare", anchor=False)
    with st.container(horizontal=True):
        what = st.segmented_control("What", (_SEARCH, _ANSWER), required=True, key=begin_with("eval-what", _SEARCH))
        many = st.segmented_control("How many", (_TWO, _MANY), required=True, key=begin_with("eval-many", _TWO))
    searches = what == _SEARCH
    with st.container(border=True):
        if many == _TWO:
            a, b = st.columns(2)
            with a:
                first = _configuration("A", searches, 0)
            with b:
                second = _configuration("B", searches, 1)
            _start(of, searches, None, [first, second])
        else:
            _start(of, searches, _grid(searches), [])


def _start(
    of: dict[str, Any], searches: bool, grid: dict[str, list[Any]] | None, configurations: list[dict[str, Any]]
) -> None:
    asked = [q for q in of["questions"] if q["approved"] is not False and (q["answerable"] or not searches)]
    n = sum(q["approved"] is True for q in asked)
    words = {"approved": f"the {n:,} approved", "not rejected": f"all {len(asked):,} not rejected"}
    which = st.radio(
        "Ask",
        tuple(words),
        index=0 if n else 1,
        horizontal=True,
        format_func=lambda w: words[w],
        # A choice is remembered by its words, so that other numbers make it another question.
        key=f"eval-which-{n}-{len(asked)}",
    )
    if len(configurations) == 2 and configurations[0] == configurations[1]:
        look.muted("A and B are the same. Change one of them.")
    if st.button("Run", type="primary", icon=":material/play_arrow:", key="eval-run-button"):
        chosen = which or "approved"
        if grid is None:
            run = client().start_eval(of["set_id"], configurations, which=chosen)
        else:
            run = client().start_grid(of["set_id"], grid, which=chosen)
        st.session_state["eval-run"] = run["eval_id"]
        notice("The evaluation has begun; you may leave this page meanwhile.")
        st.rerun()


def _grid(searches: bool) -> dict[str, list[Any]]:
    if not searches:
        names = _strategies()
        chosen = st.multiselect(
            "Strategies", names, format_func=way_label, key=begin_with("eval-grid-strategies", names[:2], names)
        )
        found: dict[str, list[Any]] = {"strategies": chosen}
        for axis, label in (("models", "Language models"), ("prompts", "Prompts")):
            if names := _choices(axis):
                offered = [_OWN[axis], *names]
                listed = st.multiselect(label, offered, key=begin_with(f"eval-grid-{axis}", offered[:1], offered))
                found[axis] = [_named(axis, name) for name in listed] or [None]
        if len(found) > 1:
            look.muted("One model is loaded after the other. Strategies that ask none are measured once.")
        read = st.multiselect("Answered from", _CONTEXTS, key=begin_with("eval-grid-contexts", ["the collection"]))
        found["contexts"] = [_CONTEXTS[c] for c in read] or [None]
        found["stress"] = _stresses()
        look.muted(
            "“Among five others” shows what noise does to a strategy; “with another answer put in” whether it goes by what it reads: "
            "the answer put in is then the right one."
        )
        return found
    retrievers = st.multiselect(
        "Search by",
        RETRIEVERS,
        format_func=RETRIEVER_WORDS.__getitem__,
        key=begin_with("eval-grid-retrievers", ["bm25", "hybrid"]),
    )
    fusions = st.multiselect("Both joined by", _FUSIONS, key=begin_with("eval-grid-fusions", ["convex"]))
    chunkers = st.multiselect(
        "Passages", CHUNKERS, format_func=_passages_text, key=begin_with("eval-grid-chunkers", [AS_IT_IS])
    )
    rerank = st.multiselect("Reranked", ("no", "yes"), key=begin_with("eval-grid-rerank", ["no"]))
    stress = _stresses()
    look.muted("Every combination is measured. What was measured before is not measured again.")
    return {
        "retrievers": retrievers or [None],
        "fusions": fusions or [None],
        "chunkers": [_chunker(c) for c in chunkers] or [None],
        "rerank": [r == "yes" for r in rerank] or [False],
        "stress": stress,
    }


def _stresses() -> list[str | None]:
    chosen = st.multiselect("Wording", _STRESS, key=begin_with("eval-grid-stress", ["as they are"]))
    return [_STRESS[s] for s in chosen] or [None]


def _configuration(name: str, searches: bool, nth: int) -> dict[str, Any]:
    st.markdown(f"**{name}**")
    if not searches:
        names = _strategies()
        usual = names[min(nth, len(names) - 1)] if names else None
        chosen = st.selectbox(
            "Strategy", names, format_func=way_label, key=begin_with(f"eval-strategy-{name}", usual, names)
        )
        configuration: dict[str, Any] = {"strategy": chosen}
        for axis, label in (("models", "Language model"), ("prompts", "Prompts")):
            if others := _choices(axis):
                offered = [_OWN[axis], *others]
                picked = st.selectbox(label, offered, key=begin_with(f"eval-{axis}-{name}", offered[0], offered))
                configuration[axis.replace("models", "model")] = _named(axis, picked)
        read = st.selectbox("Answered from", _CONTEXTS, key=begin_with(f"eval-contexts-{name}", "the collection"))
        return configuration | {"contexts": _CONTEXTS[read], "stress": _stress(name)}
    retriever = st.selectbox(
        "Search by",
        RETRIEVERS,
        format_func=RETRIEVER_WORDS.__getitem__,
        key=begin_with(f"eval-retriever-{name}", RETRIEVERS[nth]),
    )
    chunker = st.selectbox(
        "Passages", CHUNKERS, format_func=_passages_text, key=begin_with(f"eval-chunker-{name}", AS_IT_IS)
    )
    rerank = st.checkbox(
        "Reranked",
        key=begin_with(f"eval-rerank-{name}", False),
        disabled=chunker != AS_IT_IS,
        help="The collection as it is can be reranked; what is cut anew cannot.",
    )
    reranked = rerank and chunker == AS_IT_IS
    return {"retriever": retriever, "chunker": _chunker(chunker), "rerank": reranked, "stress": _stress(name)}


def _stress(name: str) -> str | None:
    return _STRESS[st.selectbox("Wording", _STRESS, key=begin_with(f"eval-stress-{name}", "as they are"))]


def _strategies() -> list[str]:
    models = _choices("models")  # with one of which those can be had that the server's own model is missing for
    return [s["name"] for s in client().strategies()["strategies"] if s["available"] or models]


def _choices(axis: str) -> list[str]:
    """What can be chosen beside what is set."""
    return client().eval_choices()[axis]


def _named(axis: str, chosen: str) -> str | None:
    return None if chosen == _OWN[axis] else chosen


def _chunker(chosen: str) -> str | None:
    return None if chosen == AS_IT_IS else chosen


def _passages_text(chunker: str) -> str:
    return chunker if chunker == AS_IT_IS else f"cut anew: {chunker}"
