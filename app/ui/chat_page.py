"""The conversation: history in the sidebar, messages, and the answer that is being given."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from typing import TypedDict

import streamlit as st

from app import replies
from app.client import EventStream
from app.ui import look
from app.ui.answer_view import VERBATIM, draw_answer, draw_partial, streaming_html
from app.ui.approval_view import draw_approval
from app.ui.beginning import nothing_asked, nothing_to_ask
from app.ui.boundary import explain, guarded
from app.ui.compare_view import (
    begin_rival,
    draw_pair,
    draw_rival,
    draw_vote,
    open_pair,
    rival_under_way,
    settle_rival,
)
from app.ui.composer import Scope, draw_composer
from app.ui.elsewhere import draw_unanswered
from app.ui.files_view import Sent, bring_files, send_files
from app.ui.follow_ups import draw_follow_ups, follow_ups
from app.ui.history import draw_history, searched_for
from app.ui.inert import inert_html
from app.ui.live import LiveAnswer, Place, Snapshot
from app.ui.message_actions import draw_answer_actions, draw_edit, draw_question_actions, editing
from app.ui.passage import Passage, from_citation, show_passage
from app.ui.shared_view import draw_shared_chat
from app.ui.signals import heard
from app.ui.state import (
    begin,
    choose_chat,
    client,
    current_chat_id,
    lives,
    notice,
    open_chat,
    open_shared,
    own_client,
    take_notice,
)
from app.ui.two_answers_view import Prepare, asked_twice, pair_is_kept, say_if_same, while_unseen
from app.ui.who import signs_in
from core.errors import NotFound, OpenbookError

TICK_S = 0.12  # how often a waiting script looks whether it should stop
# Nobody is told which: that would be to say that there is one.
NOT_THERE = (
    "There is no such conversation for you: it was deleted, is not shared (any more), or was answered from collections that you "
    "may not read."
)


class AnswerChoices(TypedDict):
    """How a question is answered, as the client's calls take it."""

    strategy: str
    collections: list[str]
    answer_policy: str | None
    only_files: bool
    model: str | None


@guarded
def chat_page() -> None:
    chat_id = current_chat_id()
    settle_rival(chat_id or "")
    chat = open_chat(chat_id) if chat_id else None
    of_others = open_shared(chat_id) if chat_id and chat is None and signs_in() else None
    if chat_id and chat is None and of_others is None:
        choose_chat(None)
        notice(NOT_THERE if signs_in() else "That conversation is no longer there.")
    collections = client().collections()
    shared = client().shared_chats(searched_for()) if signs_in() else []
    draw_history(client().chats(searched_for()), shared, chat_id if chat or of_others else None)
    signals = heard()
    if said := take_notice():
        look.card("That did not work", said, kind="error")
    if of_others is not None:
        draw_shared_chat(of_others, signals)
        return
    nothing_yet = not any(c["documents"] for c in collections) and chat is None

    live = lives().get(chat["chat_id"]) if chat else None
    if live is not None and signals.stopped:
        live.stop()
    messages = list(chat.get("messages", [])) if chat else []
    if live is not None and chat is not None and _is_kept(live, messages):
        lives().pop(chat["chat_id"])
        say_if_same(live)
        live = None
    strategies = client().strategies()
    draw_composer(chat, collections, strategies, _ask)

    if nothing_yet:
        nothing_to_ask(collections)
    elif not messages and live is None:
        nothing_asked()
    # While an answer is being given, its question is drawn from here: the server may or may not have kept it yet.
    for message in messages[: live.before] if live is not None and live.now.state == "running" else messages:
        failed_now = live is not None and live.now.state == "failed" and message is messages[-1]
        _draw_message(message, chat, strategies, told_below=failed_now)
    if (passage := st.session_state.pop("passage", None)) is not None:
        show_passage(passage)
    elif signals.run_id:
        _open_cited(signals.run_id, signals.marker, messages, live)
    waiting = bool(messages) and messages[-1]["role"] == "user"
    if waiting and live is not None and live.place.twice and live.now.state in ("done", "stopped"):
        draw_unanswered(st.session_state["chat_id"], messages[-1], _ask_unanswered)  # it is kept in a moment
    elif waiting and live is not None and live.place.twice and live.now.state == "failed" and not live.looked_again:
        live.looked_again = True  # one of the two may have been kept after the messages were asked for
        st.rerun()
    elif live is not None:
        unasked = live.now.state == "failed" or (live.now.state == "stopped" and not live.now.run_id)
        if unasked and len(messages) <= live.before:
            _question(live.question)  # it was refused, or stopped before it was asked, so nobody kept it
        _draw_live(live, replaced=len(messages) - live.before)
    elif waiting:
        draw_unanswered(st.session_state["chat_id"], messages[-1], _ask_unanswered)


def _ask() -> None:
    """The composer's callback: begins the answer before the page is drawn, so that the history already has it."""
    said = st.session_state.get("question")
    question, files = (said or "", ()) if said is None or isinstance(said, str) else (said.text or "", said.files)
    if question.strip():
        _begin(question.strip(), files=files)
    elif files:
        _attach(files)


def _attach(files: Sequence[Sent]) -> None:
    """Files without a question: into the conversation that is open, or a new one."""
    scope = st.session_state.get("scope")
    if not isinstance(scope, Scope):
        return
    try:
        send_files(client(), _chat_now(scope)["chat_id"], files)
    except OpenbookError as e:
        notice(explain(e))


def _edit(message_id: str, question: str) -> None:
    _begin(question, Place(edits=message_id))


def _again(message_id: str, strategy: str, model: str) -> None:
    _begin("", Place(again=message_id), strategy, model=model)
    st.rerun()


def _compare(message_id: str) -> None:
    scope, chat_id = st.session_state.get("scope"), st.session_state.get("chat_id")
    if isinstance(scope, Scope) and chat_id:
        begin_rival(
            chat_id,
            message_id,
            collections=scope.collections,
            answer_policy=scope.policy,
            only_files=scope.only_files,
        )
        st.rerun()


def _begin(
    question: str, place: Place | None = None, strategy: str = "", files: Sequence[Sent] = (), model: str = ""
) -> None:
    """Begins an answer in the conversation that is open, or in a new one.

    Args:
        question: as ``place`` says: of an answer that is given again it is the one that was asked.
        strategy: the one that is picked, if empty.
        files: that come with the question, and are read before it is asked.
        model: the server's own, if empty.
    """
    scope, place = st.session_state.get("scope"), place or Place()
    if not isinstance(scope, Scope):
        return
    try:
        _start(question, place, dataclasses.replace(scope, strategy=strategy or scope.strategy), files, model)
    except OpenbookError as e:
        notice(explain(e))


def _chat_now(scope: Scope) -> replies.Chat:
    """The conversation that is open, or a new one."""
    chat_id = st.session_state.get("chat_id")
    chat = open_chat(chat_id) if chat_id else None
    if chat is None:
        chat = client().create_chat(scope.collections, strategy=scope.strategy)
        choose_chat(chat["chat_id"])
    return chat


def _start(question: str, place: Place, scope: Scope, files: Sequence[Sent], model: str) -> None:
    chat = _chat_now(scope)
    chat_id = chat["chat_id"]
    running = lives().get(chat_id)
    if running is not None:
        running.stop()
    messages = chat.get("messages", [])
    before = len(messages)
    if place.edits or place.again:
        before = _index(messages, place.edits or place.again)
        if messages[before]["role"] == "assistant":
            before -= 1
    question = question or messages[before]["content"]
    speaker = own_client()

    kept: list[str] = []  # its message id, where it is kept before it is asked

    def keep_and_bring(report: Callable[[str], None]) -> None:
        kept.append(speaker.keep_question(chat_id, question, collections=scope.collections))
        bring_files(speaker, chat_id, files, report)

    def ask() -> EventStream:
        how = _how(scope, model)
        if place.again or kept:
            return speaker.regenerate_stream(chat_id, place.again or kept[0], **how)
        if place.edits:
            return speaker.edit_stream(chat_id, place.edits, question, **how)
        return speaker.chat_stream(chat_id, question, **how)

    prepare: Prepare | None = None
    in_two_ways = scope.ways is not None and not place.again
    if files or chat.get("files"):
        prepare = functools.partial(bring_files, speaker, chat_id, files)
    if files and not (in_two_ways or place.edits or place.again):
        prepare = keep_and_bring  # reading them takes its time and may fail: it is not to be lost with that
    if scope.ways is not None and not place.again:
        place = dataclasses.replace(place, twice=True)
        twice = asked_twice(speaker, chat_id, question, scope, place.edits)
        lives()[chat_id] = begin(LiveAnswer(speaker, twice, question, before, place, while_unseen(prepare)))
        return
    lives()[chat_id] = begin(LiveAnswer(speaker, ask, question, before, place, prepare))


def _how(scope: Scope, model: str) -> AnswerChoices:
    return {
        "strategy": scope.strategy,
        "collections": scope.collections,
        "answer_policy": scope.policy,
        "only_files": scope.only_files,
        "model": model or None,
    }


def _index(messages: Sequence[replies.Message], message_id: str) -> int:
    for i, message in enumerate(messages):
        if message["message_id"] == message_id:
            return i
    raise NotFound("another version of this conversation is shown by now: look at it, and try again")


def _is_kept(live: LiveAnswer, messages: Sequence[replies.Message]) -> bool:
    """Whether the server's own record has what this answer came to, so that it can be drawn from there."""
    now = live.now
    if now.state not in ("done", "stopped"):
        return False
    if live.place.twice:
        return pair_is_kept(live, messages)
    if not now.run_id:  # stopped before the server said anything
        return bool(live.place.edits or live.place.again) or len(messages) >= live.before + 2
    return any(m["role"] == "assistant" and m.get("run_id") == now.run_id for m in messages)


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


def _draw_message(
    message: replies.Message,
    chat: replies.Chat | None,
    strategies: replies.Strategies,
    *,
    told_below: bool = False,
) -> None:
    """``told_below``: why it failed is said under it already, with a button to ask again."""
    chat_id = chat["chat_id"] if chat else ""
    if message["role"] == "user":
        if editing(message["message_id"]):
            with st.chat_message("user"):
                draw_edit(message, _edit)
            return
        _question(message["content"])
        draw_question_actions(chat_id, message)
        return
    with st.chat_message("assistant", avatar=":material/auto_stories:"):
        if open_pair(message):
            draw_pair(chat_id, message)
            return
        if message["answer"] and not message["partial"]:
            draw_answer(message["answer"], _open)
            draw_vote(message, {s["name"]: s["label"] for s in strategies["strategies"]})
        else:
            draw_partial(message["content"], message["message_id"], "" if told_below else message.get("problem") or "")
        draw_answer_actions(chat_id, message, strategies, _again, None if rival_under_way(chat_id) else _compare)
        draw_rival(chat_id, message["message_id"])
        messages = chat.get("messages", []) if chat else []
        if message["answer"] and messages[-1] is message and chat_id not in lives():
            asked = {m["content"] for m in messages if m["role"] == "user"}
            draw_follow_ups(follow_ups(message["answer"], asked), _begin, message["message_id"])


def _draw_live(live: LiveAnswer, *, replaced: int) -> None:
    """``replaced``: how many messages were shown where this question and its answer now are."""
    now = live.now
    if now.state == "running":
        _question(live.question)
        # The browser leaves what it showed before until the script ends, which is when the answer has: an empty place
        # sweeps it away at once. A message has two at most: itself, and what can be done with it.
        said = st.empty().container()
        for _ in range(2 * max(0, replaced)):
            st.empty()
        with said, st.chat_message("assistant", avatar=":material/auto_stories:"):
            now = _follow(live)
            if now.answer is not None:
                draw_answer(now.answer, _open)
        if now.answer is not None or (live.place.twice and now.state != "running"):
            st.rerun()  # the server has kept it: now with what can be done with it
    elif now.state in ("stopped", "done"):  # the server has not kept it yet
        with st.chat_message("assistant", avatar=":material/auto_stories:"):
            draw_partial(now.text, now.run_id) if now.answer is None else draw_answer(now.answer, _open)
        if (now.answer is not None or live.place.twice) and not live.looked_again:
            # It ended after the messages were asked for: now with what can be done with it.
            live.looked_again = True
            st.rerun()
    if now.state == "failed":
        if not live.looked_again:
            live.looked_again = True
            st.rerun()  # with what was kept meanwhile, and with the files that could not be read
        look.card("The answer failed", now.error, kind="error")
        st.button("Ask again", icon=":material/refresh:", key="ask-again", on_click=_ask_again, args=(live,))


def _ask_again(live: LiveAnswer) -> None:
    """Once more in the same place; what was kept of the failed answer is one of the new one's versions then."""
    chat = open_chat(st.session_state.get("chat_id") or "")
    messages = chat.get("messages", []) if chat else []
    run_id = live.now.run_id
    kept = [m["message_id"] for m in messages if run_id and m["role"] == "assistant" and m.get("run_id") == run_id]
    kept += [m["message_id"] for m in messages[live.before :] if m["role"] == "user" and m is messages[-1]]
    asked = [m["message_id"] for m in messages if m["role"] == "user"] if live.place.twice else []
    if asked and messages[live.before :]:
        _begin(live.question, Place(edits=asked[-1]))
        return
    _begin(live.question, Place(again=kept[-1]) if kept else live.place)


def _ask_unanswered(message_id: str) -> None:
    _begin("", Place(again=message_id))


def _follow(live: LiveAnswer) -> Snapshot:
    """Draws the answer as it grows, until it has ended. An end of the script ends only the drawing: Streamlit ends it for the
    stop button, which is heard by itself, but for every lost connection too."""
    place, question, below = st.empty(), st.empty(), st.empty()
    # Hidden by the style sheet while the composer shows a stop button of its own, which it does only as long as the run
    # lasts that the question began: any other rerun (a theme, a closing list) takes that one away.
    with below.container(key="stop-answer"):
        st.button("Stop", icon=":material/stop:", key="stop-live", on_click=live.stop)
    questions, drawn = question.container(), 0
    scope = st.session_state.get("scope")
    verbatim = isinstance(scope, Scope) and scope.strategy in VERBATIM
    now = live.now
    while now.state == "running":
        for asked in now.asked[drawn:]:  # each once: a word on one reruns the script
            with questions:
                draw_approval(asked, live.say)
            drawn += 1
        place.html(streaming_html(now, time.monotonic() - live.started, verbatim=verbatim))
        time.sleep(TICK_S / 2)  # at most some eight draws a second, however fast the tokens come
        now = live.wait(now.version, TICK_S / 2)
    place.empty()
    question.empty()
    below.empty()
    if now.state == "stopped":
        with place.container():
            draw_partial(now.text, now.run_id)
    return now
