"""Evaluations under way and ended: progress, the table with intervals, the sentence, and each question's win or loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import streamlit as st

from app.ui import look
from app.ui.boundary import guarded
from app.ui.eval_judge_view import draw_judge
from app.ui.eval_moving import MOVING, draw_moving
from app.ui.eval_questions_view import span_text
from app.ui.eval_slices_view import draw_slices
from app.ui.eval_votes_view import draw_votes
from app.ui.inert import VERDICTS, inert_html, inert_markdown
from app.ui.state import client
from app.ui.waterfall import way_html

PAGE = 10


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
        draw_moving(eval_id, "eval-cancel")
        return
    if run["state"] in ("failed", "cancelled"):
        look.card(f"It {'failed' if run['state'] == 'failed' else 'was cancelled'}", run["error"], kind="error")
        st.button("Go on", key="eval-resume", icon=":material/resume:", on_click=_resume, args=(eval_id,))
    if run["done"]:
        _result(eval_id)
    if len(runs) > 1:
        kinds = sorted({c["kind"] for r in runs for c in r["configurations"]}, reverse=True)
        with st.expander(
            "All that was measured on these questions", icon=":material/leaderboard:", on_change="rerun"
        ) as all_:
            if all_.open:
                _everything(set_id, kinds)


def _label(run: dict[str, Any]) -> str:
    # Whether it runs or is done is not said: a label that changes would leave the old one standing.
    names = [c["label"] for c in run["configurations"]]
    ways = " against ".join(names) if len(names) <= 2 else f"{len(names)} ways, {names[0]} to {names[-1]}"
    broke = f" · {run['state']}" if run["state"] in ("failed", "cancelled") else ""
    return f"{ways} · {run['n_questions']:,} questions{broke} · {run['created_at'][11:16]}"


def _resume(eval_id: str) -> None:
    client().resume_eval(eval_id)


def _result(eval_id: str) -> None:
    result = client().eval_result(eval_id)
    measured = [i for i, c in enumerate(result["configurations"]) if c["n"]]
    if not measured:
        return
    if len(measured) > 2:
        draw_board(client().leaderboard(eval_id))
    a, b = _pair(result, measured)
    _table([result["configurations"][i] for i in dict.fromkeys((a, b))])
    for note in result["notes"]:
        look.muted(note)
    if a != b:
        _comparison(client().compare_eval(eval_id, a, b), result["metric"])
        draw_slices(result, (a, b))
    with st.container(horizontal=True):
        _download(eval_id, "Report", "html", "html", "text/html")
        _download(eval_id, "Its tables, as Markdown", "markdown", "md", "text/markdown")
    if a != b:
        _questions(result, a, b)
    if len(measured) > 1 and result["configurations"][0]["kind"] == "qa":
        with st.expander("Vote blind", icon=":material/how_to_vote:"):
            draw_votes(eval_id)
        if a != b:
            with st.expander("Ask the language model", icon=":material/balance:", on_change="rerun") as judge:
                if judge.open:
                    draw_judge(eval_id, a, b)


def _pair(result: dict[str, Any], measured: list[int]) -> tuple[int, int]:
    """Which two are compared: the only two, or those chosen of more."""
    if len(measured) <= 2:
        return measured[0], measured[-1]
    labels = {i: result["configurations"][i]["label"] for i in measured}
    left, right = st.columns(2)
    with left:
        a = st.selectbox("A", measured, format_func=labels.__getitem__, key=f"eval-a-{result['eval_id']}")
    others = [i for i in measured if i != a]
    with right:
        b = st.selectbox("B", others, format_func=labels.__getitem__, key=f"eval-b-{result['eval_id']}-{a}")
    return a, b


def draw_board(board: dict[str, Any]) -> None:
    """The leaderboard, and quality against seconds."""
    if not board["places"]:
        look.muted(
            f"No question has a value of {board['metric']} in all of these."
            if board["metrics"]
            else "Nothing is measured yet."
        )
        return
    rows = []
    for nth, place in enumerate(board["places"], start=1):
        verdict = "–" if place["p_holm"] is None else "not told apart" if place["tied"] else f"p {place['p_holm']:.3g}"
        rows.append(
            f"<tr><td>{nth}. {inert_html(place['label'])}</td><td>{_mean(place)}</td><td>{place['seconds']:.4f}</td>"
            f"<td>{verdict}</td><td>{'✓' if place['on_front'] else ''}</td></tr>"
        )
    head = f"<th></th><th>{inert_html(board['metric'])}</th><th>seconds</th><th>against the first</th><th>front</th>"
    st.html(f'<div class="ob-scroll" tabindex="0"><table class="ob-table"><tr>{head}</tr>{"".join(rows)}</table></div>')
    look.plot(board["pareto_svg"]["dark" if look.is_dark() else "light"], "quality against seconds")
    look.muted(
        f"{board['n_questions']:,} questions. Filled dots are the front: nobody is better and as fast. “Not told apart”: "
        "these questions do not show that the first is better."
    )


@st.fragment
@guarded
def _everything(set_id: str, kinds: list[str]) -> None:
    kind = kinds[0]
    if len(kinds) > 1:
        words = {"retrieval": "Searching", "qa": "Answering"}
        chosen = st.segmented_control(
            "Of", kinds, default=kind, required=True, format_func=words.__getitem__, key="eval-board-kind"
        )
        kind = chosen or kind
    board = client().set_leaderboard(set_id, kind=kind)
    if len(board["metrics"]) > 1:
        by = board["metrics"].index(board["metric"])
        metric = st.selectbox("By", board["metrics"], index=by, key=f"eval-board-metric-{kind}")
        board = client().set_leaderboard(set_id, kind=kind, metric=metric)
    draw_board(board)
    for one in board["incomplete"]:
        look.muted(f"Not on all of these questions, with these documents and settings: {one['label']}")


def _download(eval_id: str, label: str, form: Literal["html", "markdown"], suffix: str, mime: str) -> None:
    report = client().eval_report(eval_id, form)
    name = f"{eval_id}.{suffix}"
    st.download_button(
        label, report, file_name=name, mime=mime, icon=":material/download:", key=f"eval-report-{suffix}"
    )


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
    st.html(
        f'<div class="ob-scroll" tabindex="0"><table class="ob-table"><tr><th></th>{head}</tr>{"".join(rows)}</table></div>'
    )
    for letter, c in zip("AB", configurations, strict=False):
        for note in c.get("notes", ()):
            look.muted(f"{letter}: {note}")


def _mean(mean: dict[str, Any] | None) -> str:
    if mean is None or mean["mean"] is None:
        return "–"
    if mean["ci_low"] is None:
        return f"{mean['mean']:.3f}"
    return f'{mean["mean"]:.3f} <span class="ob-muted">[{mean["ci_low"]:.3f}, {mean["ci_high"]:.3f}]</span>'


def _comparison(comparison: dict[str, Any], metric: str) -> None:
    first = next((m for m in comparison["metrics"] if m["metric"] == metric), comparison["metrics"][0])
    st.html(
        f'<div class="ob-card" role="status"><h4>{inert_html(first["metric"])}</h4><p>{inert_html(first["text"])}</p></div>'
    )
    for note in comparison["notes"]:
        look.muted(note)
    with st.expander("All metrics"):
        lines = "".join(
            f"<dt>{inert_html(m['metric'])}</dt><dd>{inert_html(m['text'])}; {m['wins']} wins, {m['losses']} losses, "
            f"{m['ties']} ties{_finds(m)}</dd>"
            for m in comparison["metrics"]
        )
        st.html(f'<dl class="ob-facts">{lines}</dl>')


def _finds(metric: dict[str, Any]) -> str:
    """What these questions could have found, where the sentence does not say so."""
    found = metric["detectable_difference"]
    if found is None or not metric["significant"]:
        return ""
    return f"; in 80 % of cases these {metric['n']:,} questions find a difference of {found:.3f} or more"


@st.fragment
@guarded
def _questions(result: dict[str, Any], first: int, second: int) -> None:
    st.markdown("**Question by question**")
    names = list(result["configurations"][first]["metrics"])
    shown = names.index(result["metric"]) if result["metric"] in names else 0
    metric = st.selectbox("By", names, index=shown, key="eval-by")
    better = -1.0 if metric in result.get("lower_is_better", ()) else 1.0
    rows = []
    for question in result["questions"]:
        pair = [question["results"][i] for i in (first, second)]
        x, y = (row["metrics"].get(metric) if row else None for row in pair)
        if x is not None and y is not None:
            rows.append((y - x, {**question, "results": pair}))
    sides = {
        "B better": sorted((r for r in rows if better * r[0] > 0), key=lambda r: -abs(r[0])),
        "A better": sorted((r for r in rows if better * r[0] < 0), key=lambda r: -abs(r[0])),
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


def judged_html(answer: str, sentences: Sequence[Sequence[Any]]) -> str:
    """An answer with the verdict on each of its sentences, (start, end, verdict), behind it."""
    parts, at = [], 0
    for _start, end, verdict in sentences:
        glyph, meaning = VERDICTS.get(verdict, ("", ""))
        badge = f' <span class="ob-{inert_html(verdict)}" title="{inert_html(meaning)}">{glyph}</span>' if glyph else ""
        parts.append(inert_html(answer[at:end]) + badge)
        at = end
    return "".join(parts) + inert_html(answer[at:])


def _one(question: dict[str, Any]) -> None:
    if question["gold"] and question["gold"][0]["end"]:
        look.muted(f"Answered by: {span_text(question['gold'][0])}")
    for letter, row in zip("AB", question["results"], strict=False):
        lines = [f"<p><strong>{letter}</strong></p>"]
        if row.get("answer"):
            lines.append(f"<p>{judged_html(row['answer'], row.get('sentences', []))}</p>")
        for rank, found in enumerate(row["found"][:5], start=1):
            mark = '<span class="ob-supported">✓</span> ' if found["holds"] else ""
            text = span_text(found)[:160]
            lines.append(f'<div class="ob-muted">{rank}. {mark}{inert_html(found["title"])} · {inert_html(text)}</div>')
            if found.get("parts"):
                lines.append(way_html(found, row["found"]))
        st.html("".join(lines))
