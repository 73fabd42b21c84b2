"""A language model asked which of two answers is better: the button, how far it is, and what may be said of its verdicts."""

from __future__ import annotations

import streamlit as st

from app import replies
from app.ui import look
from app.ui.boundary import guarded
from app.ui.eval_moving import MOVING, draw_moving
from app.ui.inert import inert_html
from app.ui.state import client
from core.wording import plural

_OWN = "as set"


@guarded
def draw_judge(eval_id: str, a: int, b: int) -> None:
    """Of two configurations of answering, counted from 0."""
    found = client().judging(eval_id, a, b)
    if not found["n_pairs"]:
        look.muted("The two answer every question alike, so there is nothing to judge.")
        return
    run = found["run"]
    if run is not None and run["state"] in MOVING:
        draw_moving(run["eval_id"], "judge-cancel", "pair")
        return
    if run is not None and run["state"] == "failed":
        look.card("It failed", run["error"], kind="error")
    if found["result"] is not None and found["result"]["n"]:
        st.html(judged_html(found["result"]))
    else:
        look.muted(
            f"{plural(found['n_pairs'], 'question')} that A and B answer differently. Of each the model is asked twice, once with A’s "
            "answer first and once with B’s; where it says two things, that counts as a tie."
        )
    _ask(found)


def judged_html(result: replies.Verdicts) -> str:
    """What is judged so far: a sentence, the figures, and how far it agrees with people."""
    people = result["people"]
    kappa = (
        "none"
        if people["kappa"] is None
        else f"κ {people['kappa']:.2f}{_interval(people['ci_low'], people['ci_high'])}"
    )
    too_long = f", {result['n_too_long']:,} of them too long for the model" if result["n_too_long"] else ""
    rows = [
        (
            "B preferred",
            f"{_share(result['b_preferred'], result['b_interval'])} <span class='ob-muted'>50%: neither</span>",
        ),
        (
            "… of nearly one length",
            f"{_share(result['b_preferred_alike'], result['b_interval_alike'])} "
            f"<span class='ob-muted'>{plural(result['n_alike'], 'pair')}</span>",
        ),
        ("orders that disagree", f"{_share(result['position_bias'])} <span class='ob-muted'>counted as ties</span>"),
        ("replies not read", f"{result['n_unread']:,} of {plural(result['n'], 'pair')}{too_long}"),
        (
            "agreement with your votes",
            f"{kappa} <span class='ob-muted'>{plural(people['n'], 'pair')} with a vote</span>",
        ),
    ]
    facts = "".join(f"<dt>{label}</dt><dd>{text}</dd>" for label, text in rows)
    return (
        f'<div class="ob-card" role="status"><h4>{inert_html(result["judge"])}</h4><p>{_sentence(result)}</p>'
        f'<p>{inert_html(people["text"])}</p></div><dl class="ob-facts">{facts}</dl>'
    )


def _sentence(result: replies.Verdicts) -> str:
    of = plural(result["n"] - result["n_unread"], "pair")
    if result["b_interval"] is None:
        return "It gave no verdict that could be read. A larger model may."
    if (result["position_bias"] or 0.0) > 0.5:
        return (
            f"In most of these {of} its verdict changes with which answer stands first: it tells little of the answers."
        )
    low, high = result["b_interval"]
    if low <= 0.5 <= high:
        return f"These {of} do not show that it prefers either."
    alike = result["b_interval_alike"]
    by_length = alike is None or alike[0] <= 0.5 <= alike[1]
    return f"It prefers {'B' if low > 0.5 else 'A'}’s answers ({of})" + (
        "; among answers of nearly one length that is not shown, so it may go by length." if by_length else "."
    )


def _share(value: float | None, interval: tuple[float, float] | None = None) -> str:
    if value is None:
        return "–"
    shown = f" [{interval[0]:.0%}, {interval[1]:.0%}]" if interval is not None else ""
    return f"{value:.0%}{shown}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"


def _ask(found: replies.Judgement) -> None:
    """The button, with whom to ask where there are several, and where people's votes are missing, where they come from."""
    run, result, eval_id = found["run"], found["result"], found["eval_id"]
    own, others = client().system()["models"]["lm"], client().eval_choices()["models"]
    names = [*([_OWN] if own else []), *others]
    if not names:
        look.muted(
            "There is no language model to ask. Whoever runs the server chooses one in the settings (lm_runtime)."
        )
        return
    last = (run["judging"]["model"] or _OWN) if run is not None else names[0]
    asked = names[0]
    if len(names) > 1:
        index = names.index(last) if last in names else 0
        asked = st.selectbox("Language model to ask", names, index=index, key=f"judge-model-{eval_id}-{last}")
    # Of another one, also of one that was put in the place of the server's own, nothing is known yet.
    begun = result if asked == last and (asked != _OWN or (result is not None and result["judge"] == own)) else None
    if begun is not None and not begun["n_left"]:
        look.muted("All of them are judged; the verdicts are kept.")
    else:
        left = begun["n_left"] if begun is not None else found["n_pairs"]
        label = "Go on with" if begun is not None and begun["n"] else "Ask about"
        if st.button(f"{label} {plural(left, 'pair')}", key="judge-ask", icon=":material/balance:"):
            client().judge_eval(eval_id, found["a"], found["b"], model=None if asked == _OWN else asked)
            st.rerun()
    if found["n_votes"] < found["n_pairs"]:
        look.muted(
            f"{found['n_votes']:,} of these {plural(found['n_pairs'], 'pair')} have your vote. Vote blind (above) before you go by a model: "
            "your votes are what it is held against."
        )
