"""The conversation: history in the sidebar, messages, and the answer that is being given."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import streamlit as st
from streamlit.runtime.scriptrunner import StopException

from app import replies
from app.ui import look
from app.ui.answer_view import VERBATIM, draw_answer, draw_partial, streaming_html
from app.ui.approval_view import draw_approval
from app.ui.boundary import explain, guarded
from app.ui.composer import Scope, draw_composer
from app.ui.history import draw_history
from app.ui.inert import inert_html
from app.ui.live import LiveAnswer, Snapshot
from app.ui.passage import Passage, from_citation, show_passage
from app.ui.signals import heard
from app.ui.state import choose_chat, client, current_chat_id, lives, notice, open_chat, take_notice
from app.ui.thumbs_view import draw_thumbs
from core.errors import OpenbookError

TICK_S = 0.12  # how often a waiting script looks whether it should stop
ELSEWHERE_POLL_S = 2.0
ELSEWHERE_FOR = timedelta(minutes=3)  # how long a question without an answer is taken to be under way


@guarded
def chat_page() -> None:
    chat_id = current_chat_id()
    chat = open_chat(chat_id) if chat_id else None
    if chat_id and chat is None:
        choose_chat(None)
        notice("That conversation is no longer there.")
    collections = client().collections()
    draw_history(client().chats(), chat["chat_id"] if chat else None)
    signals = heard()
    if said := take_notice():
        look.card("That did not work", said, kind="error")
    if not any(c["documents"] for c in collections) and chat is None:
        _nothing_to_ask(collections)
        return

    live = lives().get(chat["chat_id"]) if chat else None
    if live is not None and signals.stopped:
        live.stop()
    messages = list(chat.get("messages", [])) if chat else []
    if live is not None and chat is not None and _is_kept(live, messages):
        lives().pop(chat["chat_id"])
        live = None
    draw_composer(chat, collections, client().strategies(), _ask)

    if not messages and live is None:
        look.empty_state(
            "What would you like to know?",
            "Every sentence of an answer quotes the passage it comes from. Where the documents do not say, "
            "neither does Openbook.",
        )
    # While an answer is being given, its question is drawn from here: the server may or may not have kept it yet.
    for message in messages[: live.before] if live is not None and live.now.state == "running" else messages:
        failed_now = live is not None and live.now.state == "failed" and message is messages[-1]
        _draw_message(message, told_below=failed_now)
    if (passage := st.session_state.pop("passage", None)) is not None:
        show_passage(passage)
    elif signals.run_id:
        _open_cited(signals.run_id, signals.marker, messages, live)
    # The composer shows its stop button only in the run that a question began; later ones need another.
    just_asked = st.session_state.pop("just-asked", False)
    if live is not None:
        if live.now.state == "failed" and len(messages) <= live.before:
            _question(live.question)  # it was refused, so nobody kept it
        _draw_live(live, with_stop=not just_asked)
    elif messages and messages[-1]["role"] == "user":
        _unanswered(messages[-1])


def _ask() -> None:
    """The composer's callback: begins the answer before the page is drawn, so that the history already has it."""
    question = (st.session_state.get("question") or "").strip()
    scope = st.session_state.get("scope")
    if not question or not isinstance(scope, Scope):
        return
    try:
        _begin(question, scope)
    except OpenbookError as e:
        notice(explain(e))


def _begin(question: str, scope: Scope) -> None:
    chat_id = st.session_state.get("chat_id")
    chat = open_chat(chat_id) if chat_id else None
    if chat is None:
        chat = client().create_chat(scope.collections, strategy=scope.strategy)
        choose_chat(chat["chat_id"])
    chat_id = chat["chat_id"]
    running = lives().get(chat_id)
    if running is not None:
        running.stop()
    speaker = client()
    lives()[chat_id] = LiveAnswer(
        speaker,
        lambda: speaker.chat_stream(
            chat_id,
            question,
            strategy=scope.strategy,
            collections=scope.collections,
            answer_policy=scope.policy,
        ),
        question,
        before=len(chat.get("messages", [])),
    ).start()
    st.session_state["just-asked"] = True


def _is_kept(live: LiveAnswer, messages: Sequence[replies.Message]) -> bool:
    """Whether the server's own record has what this answer came to, so that it can be drawn from there."""
    return live.now.state in ("done", "stopped") and len(messages) >= live.before + 2


def _open(passage: Passage) -> None:
    st.session_state["passage"] = passage


def _open_cited(run_id: str, marker: int, messages: Sequence[replies.Message], live: LiveAnswer | None) -> None:
    answers = [m["answer"] for m in messages if m["answer"]]
    found = [c for answer in answers if answer["run_id"] == run_id for c in answer["citations"]]
    if live is not None and live.now.run_id == run_id:
        found += list(live.now.citations.values())
    for citation in found:
        if citation["n"] == marker:
            show_passage(from_citation(citation))
            return


def _question(text: str) -> None:
    with st.chat_message("user"):
        st.html(f'<div class="ob-question">{inert_html(text)}</div>')


def _draw_message(message: replies.Message, *, told_below: bool = False) -> None:
    """``told_below``: why it failed is said under it already, with a button to ask again."""
    if message["role"] == "user":
        _question(message["content"])
        return
    with st.chat_message("assistant", avatar=":material/auto_stories:"):
        if message["answer"] and not message["partial"]:
            draw_answer(message["answer"], _open)
            draw_thumbs(message)
        else:
            draw_partial(message["content"], message["message_id"], "" if told_below else message.get("problem") or "")


def _draw_live(live: LiveAnswer, *, with_stop: bool) -> None:
    now = live.now
    if now.state == "running":
        _question(live.question)
        with st.chat_message("assistant", avatar=":material/auto_stories:"):
            now = _follow(live, with_stop=with_stop)
            if now.answer is not None:
                draw_answer(now.answer, _open)
    elif now.state in ("stopped", "done"):  # the server has not kept it yet
        with st.chat_message("assistant", avatar=":material/auto_stories:"):
            draw_partial(now.text, now.run_id) if now.answer is None else draw_answer(now.answer, _open)
    if now.state == "failed":
        look.card("The answer failed", now.error, kind="error")
        st.button("Ask again", icon=":material/refresh:", key="ask-again", on_click=_ask_again, args=(live,))


def _ask_again(live: LiveAnswer) -> None:
    scope = st.session_state.get("scope")
    if isinstance(scope, Scope):
        try:
            _begin(live.question, scope)
        except OpenbookError as e:
            notice(explain(e))


def _follow(live: LiveAnswer, *, with_stop: bool) -> Snapshot:
    """Draws the answer as it grows, until it has ended. A stop of the script stops the run; a rerun does not."""
    place, question, below = st.empty(), st.empty(), st.empty()
    if with_stop:
        below.button("Stop", icon=":material/stop:", key="stop-live", on_click=live.stop)
    questions, drawn = question.container(), 0
    scope = st.session_state.get("scope")
    verbatim = isinstance(scope, Scope) and scope.strategy in VERBATIM
    now = live.now
    try:
        while now.state == "running":
            for asked in now.asked[drawn:]:  # each once: a word on one reruns the script
                with questions:
                    draw_approval(asked, live.say)
                drawn += 1
            place.html(streaming_html(now, time.monotonic() - live.started, verbatim=verbatim))
            time.sleep(TICK_S / 2)  # at most some eight draws a second, however fast the tokens come
            now = live.wait(now.version, TICK_S / 2)
    except StopException:
        live.stop()
        raise
    place.empty()
    question.empty()
    below.empty()
    if now.state == "stopped":
        with place.container():
            draw_partial(now.text, now.run_id)
    return now


def _unanswered(question: replies.Message) -> None:
    """The last question has no answer here: it is being given elsewhere (another tab, or before a reload)."""
    asked = datetime.fromisoformat(question["created_at"])
    if datetime.now(UTC) - asked < ELSEWHERE_FOR:
        _wait_elsewhere(st.session_state["chat_id"], question["message_id"])
    else:
        st.html('<div class="ob-note">This question was not answered. Ask it again.</div>')


@st.fragment(run_every=ELSEWHERE_POLL_S)
@guarded
def _wait_elsewhere(chat_id: str, message_id: str) -> None:
    chat = open_chat(chat_id)
    if chat is None or chat.get("messages", [])[-1]["message_id"] != message_id:
        st.rerun()
    st.html(
        '<div class="ob-working" role="status"><span class="ob-dot" aria-hidden="true"></span>'
        "The answer is under way …</div>"
    )


def _nothing_to_ask(collections: Sequence[replies.Collection]) -> None:
    look.empty_state(
        "Bring your documents",
        "Openbook answers from what you give it. Make a collection, drop in your PDF, Word, Excel, PowerPoint, "
        "mail, HTML or text files, and ask."
        if not collections
        else "Your collections are empty. Drop some files in, and ask.",
    )
    with st.container(horizontal=True, horizontal_alignment="center"):
        if st.button("Add documents", type="primary", icon=":material/upload_file:", key="go-collections"):
            st.switch_page(st.session_state["pages"]["collections"])
