"""One recorded run: what came of it, its timeline, a replay, the difference to another run, and its exports."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import streamlit as st

from app.ui import look
from app.ui.boundary import guarded
from app.ui.inert import inert_html, inert_markdown
from app.ui.state import client, way_label
from app.ui.times import when_text
from app.ui.trace_timeline import differences_html, seconds_text, timeline_html
from core.ids import ATTACHED
from core.wording import plural, shortened

OTHERS = 100  # runs that one can be compared with from the list
Choose = Callable[[str | None], None]
Json = dict[str, Any]


def draw_trace(trace: Json, choose: Choose) -> None:
    run_id = trace["run_id"]
    st.title(inert_markdown(shortened(trace["question"], 160)), anchor=False)
    st.html(_facts_html(trace))
    _actions(trace, choose)
    if answer := trace.get("answer"):
        st.subheader("What came of it", anchor=False)
        reason = f'<p class="ob-muted">{inert_html(answer["reason"])}</p>' if answer["reason"] else ""
        said = inert_html(answer["answer"]) or '<span class="ob-muted">no answer</span>'
        st.html(f'<div class="ob-card"><div class="ob-question">{said}</div>{reason}</div>')
    st.subheader("What it did", anchor=False)
    if trace["steps"] or trace.get("calls"):
        look.muted(
            "Each line can be opened: what was asked, and what was heard. Bars show when it was, and how long it took."
        )
        st.html(timeline_html(trace))
    else:
        look.muted("Nothing was recorded: the run ended before its first step.")
    st.subheader("Again, from the recording", anchor=False)
    _replay(trace)
    st.subheader("Beside another run", anchor=False)
    _compare(run_id, trace["question"])


def _facts_html(trace: Json) -> str:
    usage, model = trace["usage"], ((trace.get("inputs") or {}).get("lm") or {}).get("name", "")
    asked = [c for c in trace.get("calls") or () if c["kind"] == "model"]
    tokens = f"{usage['prompt_tokens']:,} read, {usage['completion_tokens']:,} said" if asked else ""
    rows = [
        ("Run", trace["run_id"]),
        ("Way to answer", way_label(trace["strategy"])),
        ("Ended", trace["stop_reason"]),
        ("Took", seconds_text(float(trace["duration_s"]))),
        ("Model", f"{model}, asked {plural(len(asked), 'time')}" if asked else ""),
        ("Tokens", tokens),
        ("Collections", _asked_of((trace.get("inputs") or {}).get("collections", []))),
        ("Settings, prompts, index", " · ".join(p[:12] for p in _versions(trace))),
    ]
    shown = "".join(f"<dt>{inert_html(name)}</dt><dd>{inert_html(text)}</dd>" for name, text in rows if text)
    return f'<div class="ob-card"><dl class="ob-facts">{shown}</dl></div>'


def _asked_of(collections: list[str]) -> str:
    names = [name for name in collections if not name.startswith(ATTACHED)]
    own = ["files of the conversation"] if len(names) < len(collections) else []
    return ", ".join([*names, *own])


def _versions(trace: Json) -> list[str]:
    return [str(trace[name]) for name in ("settings_hash", "prompt_hash", "index_version") if trace.get(name)]


def _actions(trace: Json, choose: Choose) -> None:
    run_id = trace["run_id"]
    with st.container(horizontal=True, gap="small"):
        for form, label, suffix, mime in (
            ("jsonl", "JSON lines", "jsonl", "application/x-ndjson"),
            ("otlp", "OpenTelemetry", "otlp.json", "application/json"),
        ):
            st.download_button(
                label,
                functools.partial(client().exported_trace, run_id, form),
                file_name=f"openbook-{run_id}.{suffix}",
                mime=mime,
                icon=":material/download:",
                key=f"export-{form}",
                on_click="ignore",
            )
        st.button("Forget", icon=":material/delete:", key="forget-run", on_click=_forget, args=(run_id,))
    if st.session_state.get("forgetting") == run_id:
        _sure(run_id, choose)


def _forget(run_id: str) -> None:
    st.session_state["forgetting"] = run_id


def _sure(run_id: str, choose: Choose) -> None:
    look.muted("What it asked and heard goes for good. An answer in a conversation stays, without its steps.")
    with st.container(horizontal=True, gap="small"):
        if st.button("Forget it", type="primary", key="forget-yes"):
            client().delete_trace(run_id)
            st.session_state.pop("forgetting", None)
            choose(None)
            st.rerun()
        if st.button("Keep it", key="forget-no"):
            st.session_state.pop("forgetting", None)
            st.rerun()


# ------------------------------------------------------------ again, and beside another


@st.fragment
@guarded
def _replay(trace: Json) -> None:
    run_id, key = trace["run_id"], f"replayed-{trace['run_id']}"
    if not trace.get("inputs"):
        look.muted("It has no recording to run from: it was stopped, or read a document that was purged since.")
        return
    look.muted(
        "Nothing is asked anew: models, searches and checks say what they said then. If all comes out the same, byte for byte, "
        "the recording explains the answer; if not, this version of Openbook thinks otherwise."
    )
    if st.button("Replay", icon=":material/replay:", key="replay-run"):
        with st.spinner("Running it again …"):
            st.session_state[key] = client().replay(run_id, {})
    if (result := st.session_state.get(key)) is not None:
        _outcome(result)


def _outcome(result: Json) -> None:
    if result["error"]:
        look.card("The replay failed", result["error"], kind="error")
    elif result["identical"]:
        st.html(
            '<div class="ob-card"><h4>Identical</h4><p>The same steps and the same answer, byte for byte.</p></div>'
        )
    else:
        n = len(result["differences"])
        look.card(f"Not identical: {plural(n, 'difference')}", "This version of Openbook comes to something else.")
    if result["differences"]:
        st.html(differences_html(result["differences"]))


@st.fragment
@guarded
def _compare(run_id: str, question: str) -> None:
    runs = {r["run_id"]: r for r in client().trace_page(limit=OTHERS)["traces"] if r["run_id"] != run_id}
    if not runs:
        look.muted("There is no other run yet: answer the same question in another way, and compare the two here.")
        return
    # Those of the same question first.
    order = sorted(runs, key=lambda other: runs[other]["question"] != question)
    other = st.selectbox(
        "Compare with",
        order,
        index=None,
        format_func=lambda other: _named(runs[other]),
        placeholder="another run",
        key=f"compare-{run_id}",
    )
    if other is None:
        return
    found = client().trace_differences(run_id, other)
    if not found:
        look.card("No difference", "Both did the same and came to the same; only their times differ.")
        return
    look.muted(f"{plural(len(found), 'difference')}; times are no difference.")
    st.html(differences_html(found, ("this", "other")))


def _named(run: Any) -> str:
    return f"{when_text(run['created_at'])} · {way_label(run['strategy'])} · {shortened(run['question'], 60)}"
