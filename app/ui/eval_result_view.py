"""Evaluations under way and ended: progress, the table with intervals, the sentence, and each question's win or loss."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import ApiError
from app.ui import look
from app.ui.boundary import guarded
from app.ui.eval_questions_view import span_text
from app.ui.inert import inert_html, inert_markdown
from app.ui.state import client

POLL_S = 1.0
PAGE = 10
MOVING = ("queued", "running")
_STATES = {"queued": "waits", "running": "runs", "done": "done", "failed": "failed", "cancelled": "cancelled"}


def draw_runs(set_id: str) -> None:
    """The evaluations of a set, one of them opened."""
    runs = client().evals(set_id)
    if not runs:
        return
    st.subheader("Results", anchor=False)
    labels = {r["eval_id"]: _label(r) for r in runs}
    if st.session_state.get("eval-run") not in labels:
        st.session_state["eval-run"] = runs[0]["eval_id"]
    eval_id = st.selectbox("Evaluation", list(labels), format_func=lambda e: labels[e], key="eval-run")
    run = next(r for r in runs if r["eval_id"] == eval_id)
    if run["state"] in MOVING:
        _moving(eval_id)
        return
    if run["state"] in ("failed", "cancelled"):
        look.card(f"It {'failed' if run['state'] == 'failed' else 'was cancelled'}", run["error"], kind="error")
        st.button("Go on", key="eval-resume", icon=":material/resume:", on_click=_resume, args=(eval_id,))
    if run["done"]:
        _result(eval_id)


def _label(run: dict[str, Any]) -> str:
    names = " against ".join(c["label"] for c in run["configurations"])
    return f"{names} · {run['n_questions']:,} questions · {_STATES[run['state']]}"


@st.fragment(run_every=POLL_S)
@guarded
def _moving(eval_id: str) -> None:
    run = client().eval(eval_id)
    if run["state"] not in MOVING:
        st.rerun()
    st.progress(run["progress"], text=f"{run['done']:,} of {run['total']:,} · {run['stage'] or 'waiting'}")
    st.button("Cancel", key="eval-cancel", on_click=_cancel, args=(eval_id,))


def _cancel(eval_id: str) -> None:
    try:
        client().cancel_eval(eval_id)
    except ApiError as e:
        if e.status != 409:  # it has just ended
            raise


def _resume(eval_id: str) -> None:
    client().resume_eval(eval_id)


def _result(eval_id: str) -> None:
    result = client().eval_result(eval_id)
    configurations = [c for c in result["configurations"] if c["n"]]
    if not configurations:
        return
    _table(configurations)
    if len(configurations) == 2:
        comparison = client().compare_eval(eval_id, 0, 1)
        _comparison(comparison)
    report = client().eval_report(eval_id)
    st.download_button(
        "Report", report, file_name=f"{eval_id}.html", mime="text/html", icon=":material/download:", key="eval-report"
    )
    if len(configurations) == 2:
        _questions(result)


def _table(configurations: list[dict[str, Any]]) -> None:
    names = list(configurations[0]["metrics"])
    head = "".join(
        f"<th>{letter} = {inert_html(c['label'])}</th>" for letter, c in zip("AB", configurations, strict=False)
    )
    rows = []
    for name in names:
        cells = "".join(f"<td>{_mean(c['metrics'].get(name))}</td>" for c in configurations)
        rows.append(f"<tr><td>{inert_html(name)}</td>{cells}</tr>")
    for key, label, digits in (("characters_read", "characters read", 0), ("seconds_per_question", "seconds", 3)):
        cells = "".join("<td>–</td>" if c[key] is None else f"<td>{c[key]:,.{digits}f}</td>" for c in configurations)
        rows.append(f"<tr><td>{label}</td>{cells}</tr>")
    st.html(f'<div class="ob-scroll"><table class="ob-table"><tr><th></th>{head}</tr>{"".join(rows)}</table></div>')


def _mean(mean: dict[str, Any] | None) -> str:
    if mean is None or mean["mean"] is None:
        return "–"
    if mean["ci_low"] is None:
        return f"{mean['mean']:.3f}"
    return f'{mean["mean"]:.3f} <span class="ob-muted">[{mean["ci_low"]:.3f}, {mean["ci_high"]:.3f}]</span>'


def _comparison(comparison: dict[str, Any]) -> None:
    first = comparison["metrics"][0]
    st.html(
        f'<div class="ob-card" role="status"><h4>{inert_html(first["metric"])}</h4><p>{inert_html(first["text"])}</p></div>'
    )
    for note in comparison["notes"]:
        look.muted(note)
    with st.expander("All metrics"):
        lines = "".join(
            f"<dt>{inert_html(m['metric'])}</dt><dd>{inert_html(m['text'])}; {m['wins']} wins, {m['losses']} losses, "
            f"{m['ties']} ties</dd>"
            for m in comparison["metrics"]
        )
        st.html(f'<dl class="ob-facts">{lines}</dl>')


@st.fragment
@guarded
def _questions(result: dict[str, Any]) -> None:
    st.markdown("**Question by question**")
    metric = st.selectbox("By", list(result["configurations"][0]["metrics"]), key="eval-by")
    rows = []
    for question in result["questions"]:
        a, b = question["results"][:2]
        x, y = (row["metrics"].get(metric) if row else None for row in (a, b))
        if x is not None and y is not None:
            rows.append((y - x, question))
    sides = {
        "B better": sorted((r for r in rows if r[0] > 0), key=lambda r: -r[0]),
        "A better": sorted((r for r in rows if r[0] < 0), key=lambda r: r[0]),
        "Alike": [r for r in rows if r[0] == 0],
    }
    side = st.segmented_control(
        "Show",
        list(sides),
        default="B better",
        required=True,
        format_func=lambda s: f"{s} ({len(sides[s]):,})",
        key="eval-side",
    )
    for difference, question in sides[side or "B better"][:PAGE]:
        sign = "+" if difference > 0 else "−" if difference < 0 else "±"
        with st.expander(f"{sign}{abs(difference):.3f} · {inert_markdown(question['question'])}"):
            _one(question)


def _one(question: dict[str, Any]) -> None:
    if question["gold"] and question["gold"][0]["end"]:
        look.muted(f"Answered by: {span_text(question['gold'][0])}")
    for letter, row in zip("AB", question["results"], strict=False):
        lines = [f"<p><strong>{letter}</strong></p>"]
        if row.get("answer"):
            lines.append(f"<p>{inert_html(row['answer'])}</p>")
        for rank, found in enumerate(row["found"][:5], start=1):
            mark = '<span class="ob-supported">✓</span> ' if found["holds"] else ""
            text = span_text(found)[:160]
            lines.append(f'<div class="ob-muted">{rank}. {mark}{inert_html(found["title"])} · {inert_html(text)}</div>')
        st.html("".join(lines))
