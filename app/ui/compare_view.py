"""Two answers to one question, side by side and without names, and what the vote on them said."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import streamlit as st

from app import replies
from app.ui import look
from app.ui.boundary import explain, guarded
from app.ui.inert import inert_html
from app.ui.live import LiveAnswer
from app.ui.state import begin, client, notice, own_client
from core.errors import OpenbookError

LOOK_S = 0.5

_CHOICES = {"1": "Answer 1 is better", "2": "Answer 2 is better", "equal": "Equally good", "both bad": "Both bad"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A second answer that is being given, unseen, to the question of ``message_id``."""

    message_id: str
    live: LiveAnswer


def _rivals() -> dict[str, Rival]:
    """Chat id → the one that is being given there, or that broke; one for each conversation at a time."""
    return cast("dict[str, Rival]", st.session_state.setdefault("rivals", {}))


def begin_rival(
    chat_id: str, message_id: str, *, collections: Sequence[str], answer_policy: str | None, only_files: bool
) -> None:
    """Has the question answered once more, unseen: an answer that grew before one's eyes would be known for the newer one."""
    speaker = own_client()
    ask = functools.partial(
        speaker.compare_stream,
        chat_id,
        message_id,
        collections=collections,
        answer_policy=answer_policy,
        only_files=only_files,
    )
    _rivals()[chat_id] = Rival(message_id=message_id, live=begin(LiveAnswer(speaker, ask, "", 0)))


def settle_rival(chat_id: str) -> None:
    """Says what became of a second answer that has ended. Before the conversation is read: then the pair is in it."""
    rival = _rivals().get(chat_id)
    if rival is None or rival.live.now.state not in ("done", "stopped"):
        return
    del _rivals()[chat_id]
    # In a corner: the answer that was asked about may be anywhere in the conversation.
    if rival.live.now.state == "stopped":
        st.toast("Stopped: the answer stays as it was.", icon=":material/balance:")
    elif rival.live.now.same:
        st.toast(
            "Another way gave the same answer: there is nothing to choose.", icon=":material/balance:", duration="long"
        )


def rival_under_way(chat_id: str) -> bool:
    rival = _rivals().get(chat_id)
    return rival is not None and rival.live.now.state == "running"


def draw_rival(chat_id: str, message_id: str) -> None:
    """Under the answer that gets a rival: how long it has been under way, with a way to stop it; or why there is none."""
    rival = _rivals().get(chat_id)
    if rival is None or rival.message_id != message_id:
        return
    if rival.live.now.state == "failed":
        look.card("There is no second answer", rival.live.now.error, kind="error")
    else:
        _waiting(chat_id)


@st.fragment(run_every=LOOK_S)
@guarded
def _waiting(chat_id: str) -> None:
    rival = _rivals().get(chat_id)
    if rival is None or rival.live.now.state != "running":
        st.rerun()  # the whole page: it has the pair now, or says why not
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(
            '<div class="ob-working" role="status"><span class="ob-dot" aria-hidden="true"></span>'
            f"Another answer is under way … {time.monotonic() - rival.live.started:.0f} s</div>",
            width="content",
        )
        st.button("Stop", icon=":material/stop:", key=f"stop-rival-{rival.message_id}", on_click=rival.live.stop)


def open_pair(message: replies.Message) -> bool:
    """Whether this answer stands in a pair that waits for a vote."""
    compared = message.get("compared")
    return compared is not None and compared["choice"] is None


def draw_pair(chat_id: str, message: replies.Message) -> None:
    """Both answers as plain text, which says nothing of how they were made, and the four buttons."""
    compared, message_id = message.get("compared"), message["message_id"]
    if compared is None:
        return
    for n, (column, text) in enumerate(zip(st.columns(2), compared["answers"], strict=True), 1):
        with column, st.container(border=True):
            shown = inert_html(text).replace("\n", "<br>") or "(no answer)"
            st.html(f'<div class="ob-hit-title">Answer {n}</div><p class="ob-hit-text ob-pair">{shown}</p>')
    with st.container(horizontal=True, key=f"pair-{message_id}"):
        for choice, label in _CHOICES.items():
            st.button(label, key=f"pair-{choice}-{message_id}", on_click=_vote, args=(chat_id, message_id, choice))
    drawn = "both" if compared.get("from_start") else "one of them"
    look.muted(
        f"They were given in two ways, {drawn} drawn at random. Your vote says which is which, and is kept once."
    )


def draw_vote(message: replies.Message, labels: Mapping[str, str]) -> None:
    """What was voted, and how the two were made."""
    compared = message.get("compared")
    if compared is None or compared["choice"] is None:
        return
    first, second = (inert_html(_way(way, labels)) for way in compared.get("ways", ["", ""]))
    said = {
        "1": f"You preferred <b>{first}</b> to {second}.",
        "2": f"You preferred <b>{second}</b> to {first}.",
        "equal": f"You found {first} and {second} equally good.",
        "both bad": f"You found {first} and {second} both bad.",
    }[compared["choice"]]
    st.html(f'<div class="ob-muted ob-vote">{said}</div>')


def _way(name: str, labels: Mapping[str, str]) -> str:
    """``name`` as votes are kept: a strategy, or "rag by large"."""
    strategy, by, model = name.partition(" by ")
    return (labels.get(strategy) or strategy) + by + model


def _vote(chat_id: str, message_id: str, choice: str) -> None:
    try:
        client().vote_on_answers(chat_id, message_id, choice)
    except OpenbookError as e:
        notice(explain(e))
