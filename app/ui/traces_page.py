"""Recorded runs: found by strategy, day, conversation or words, opened as a line of time, replayed, compared, taken along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import streamlit as st

from app import replies
from app.client import ApiError
from app.ui import look
from app.ui.boundary import guarded
from app.ui.inert import inert_markdown
from app.ui.state import client, notice, take_notice, way_label
from app.ui.times import when_text, zone
from app.ui.trace_timeline import seconds_text
from app.ui.trace_view import draw_trace
from core.wording import plural, shortened

PAGE = 25  # runs in one piece of the list
MOST = 200  # runs that are listed at once
MAX_WORDS = 200
_TITLE = 60
ENDS: Mapping[str, str] = {
    "answered": "answered",
    "abstained": "found no answer",
    "limit": "ran into a limit",
    "cancelled": "was stopped",
    "error": "failed",
}


@guarded
def traces_page() -> None:
    if said := take_notice():
        look.card("That did not work", said, kind="error")
    run_id = st.query_params.get("run")
    if run_id is None:
        _all()
        return
    try:
        trace = client().trace(run_id)
    except ApiError as e:
        if e.status != 404:
            raise
        choose_run(None)
        notice("That run is no longer there.")
        st.rerun()
    st.button(
        "All runs", icon=":material/arrow_back:", type="tertiary", key="all-runs", on_click=choose_run, args=(None,)
    )
    draw_trace(trace, choose_run)


def choose_run(run_id: str | None) -> None:
    """The address names the run that is open, so that a reload, or a link, shows it."""
    if run_id is None:
        st.query_params.pop("run", None)
    else:
        st.query_params["run"] = run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    strategy: str | None = None
    chat: str | None = None
    days: tuple[date, ...] = ()
    words: str = ""

    def starts(self) -> datetime | None:
        return _midnight(self.days[0]) if self.days else None

    def ends(self) -> datetime | None:
        """The beginning of the day after the last one."""
        return _midnight(self.days[-1] + timedelta(days=1)) if self.days else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), zone())


def _all() -> None:
    st.title("Traces", anchor=False)
    chosen = _filters()
    shown = PAGE * int(st.session_state.get("runs-pieces", 1))
    page = client().trace_page(
        strategy=chosen.strategy,
        chat=chosen.chat,
        since=chosen.starts(),
        until=chosen.ends(),
        words=chosen.words,
        limit=min(shown, MOST),
    )
    found = page["traces"]
    if not found and not page["strategies"]:
        look.empty_state(
            "No runs yet",
            "Every answer is recorded: what was searched, what a model was asked and said, how each sentence was checked. "
            "Ask something in the chat, then look at it here.",
        )
        return
    if not found:
        look.card("No run is like that", "Widen the days, take a word away, or choose another conversation or way.")
        return
    with st.container(key="runs", gap="small"):
        for run in found:
            _row(run)
    if page["next_cursor"] and shown < MOST:
        st.button("Show more", key="more-runs", on_click=_show_more)
    elif page["next_cursor"]:
        look.muted(f"These are the last {MOST}: narrow the list to see older ones.")


def _show_more() -> None:
    st.session_state["runs-pieces"] = int(st.session_state.get("runs-pieces", 1)) + 1


def _filters() -> _Chosen:
    """What the list is narrowed to."""
    labels = {s["name"]: s["label"] for s in client().strategies()["strategies"]}
    titles = {c["chat_id"]: c["title"] or "Untitled" for c in client().chats()}
    with st.container(key="run-filters", gap="small"):
        words = st.text_input(
            "Words of the question", key="run-words", icon=":material/search:", max_chars=MAX_WORDS, placeholder="any"
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            strategy = st.selectbox(
                "Answered by",
                list(labels),
                index=None,
                format_func=lambda name: labels.get(name, name),
                placeholder="any way",
                key="run-strategy",
            )
            chat = st.selectbox(
                "In the conversation",
                list(titles),
                index=None,
                format_func=lambda chat_id: shortened(titles.get(chat_id) or "Untitled", _TITLE),
                placeholder="any",
                key="run-chat",
            )
            days = st.date_input("Day, or first and last day", value=[], key="run-days", format="YYYY-MM-DD")
    picked = (days,) if isinstance(days, date) else tuple(days or ())
    return _Chosen(strategy=strategy, chat=chat, days=picked, words=(words or "").strip())


def _row(run: replies.TraceLine) -> None:
    tokens = run["prompt_tokens"] + run["completion_tokens"]
    told = run["chat"]
    about = [
        when_text(run["created_at"]),
        way_label(run["strategy"]),
        ENDS.get(run["stop_reason"], run["stop_reason"]),
        seconds_text(run["duration_s"]),
        plural(tokens, "token") if tokens else "",
        f"in “{shortened(told['title'], _TITLE)}”" if told and told["title"] else "",
    ]
    with st.container(gap=None):
        st.button(
            inert_markdown(shortened(run["question"], 160)),
            key=f"run-{run['run_id']}",
            type="tertiary",
            on_click=choose_run,
            args=(run["run_id"],),
        )
        look.muted(" · ".join(part for part in about if part))
