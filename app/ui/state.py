"""What one person's session of the page remembers between two runs of its script.

Everything else is asked of the API each time: a reload, or another browser, shows the same.
"""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from typing import cast

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import replies
from app.client import ApiError, Client
from app.ui.live import Audience, LiveAnswer

DEFAULT_API_URL = "http://127.0.0.1:8000"
COOKIE = "openbook_session"
KEPT_TEXTS = 8  # documents whose text this session keeps at hand


def client() -> Client:
    """This session's client, as the person whose cookie the browser has sent, if people sign in."""
    return _client(*_line())


def own_client() -> Client:
    """Another one, for what has to outlive a lost connection; whoever asks for it closes it."""
    return Client(*_line())


def _line() -> tuple[str, str | None]:
    return os.environ.get("OPENBOOK_API_URL") or DEFAULT_API_URL, st.context.cookies.get(COOKIE) or None


# Closed when the browser's connection is lost, which it is with each reload; the next draw opens another.
@st.cache_resource(scope="session", on_release=Client.close, show_spinner=False)
def _client(base_url: str, token: str | None) -> Client:
    return Client(base_url, token)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    max_upload_bytes: int = 100 * 2**20
    max_batch_files: int = 1000
    max_question_characters: int = 4000
    chunk_tokens: int = 0  # how long a passage is at most; 0: not said


def limits() -> ServerLimits:
    """The server's own limits, asked once, so that the page states what holds."""
    if "limits" not in st.session_state:
        said = client().system().get("limits") or {}
        known = {field.name for field in fields(ServerLimits)}
        st.session_state["limits"] = ServerLimits(**{key: value for key, value in said.items() if key in known})
    return cast(ServerLimits, st.session_state["limits"])


def way_label(strategy: str) -> str:
    """What a way to answer is called where one picks it; its own name where this server has it no more. Asked once."""
    if "way-labels" not in st.session_state:
        st.session_state["way-labels"] = {s["name"]: s["label"] for s in client().strategies()["strategies"]}
    return str(st.session_state["way-labels"].get(strategy, strategy))


def lives() -> dict[str, LiveAnswer]:
    """Chat id → the answer that is being given in it, or that broke."""
    return cast("dict[str, LiveAnswer]", st.session_state.setdefault("lives", {}))


def begin(live: LiveAnswer) -> LiveAnswer:
    """Starts an answer. It is stopped where its browser has gone for good, and nobody waits for it elsewhere."""
    if "audience" not in st.session_state:
        st.session_state["audience"] = audience = Audience(_is_connected())
        _audiences().add(audience)
    return cast(Audience, st.session_state["audience"]).start(live)


def look_on(run_ids: Collection[str]) -> None:
    """This session waits for runs that another one began."""
    for audience in list(_audiences()):
        audience.look(run_ids)


def _is_connected() -> Callable[[], bool]:
    """What says whether the browser of this session is, for other threads to ask."""
    context = get_script_run_ctx()
    session_id = context.session_id if context is not None else ""
    return lambda: runtime.exists() and runtime.get_instance().is_active_session(session_id)


@st.cache_resource(show_spinner=False)
def _audiences() -> weakref.WeakSet[Audience]:
    """Of all sessions of this page's process."""
    return weakref.WeakSet()


def current_chat_id() -> str | None:
    """The conversation that the address names, so that a reload keeps it."""
    if "chat" in st.query_params:
        st.session_state["chat_id"] = st.query_params["chat"]
    elif st.session_state.get("chat_id"):
        st.query_params["chat"] = st.session_state["chat_id"]  # back from another page
    return cast("str | None", st.session_state.get("chat_id"))


def choose_chat(chat_id: str | None) -> None:
    st.session_state["chat_id"] = chat_id
    if chat_id:
        st.query_params["chat"] = chat_id
    else:
        st.query_params.pop("chat", None)


def document_text(doc_id: str) -> str:
    """The text of a document; the last few are kept, since one is opened many times in a row."""
    kept = cast("OrderedDict[str, str]", st.session_state.setdefault("texts", OrderedDict()))
    if doc_id not in kept:
        kept[doc_id] = client().document_text(doc_id)
        while len(kept) > KEPT_TEXTS:
            kept.popitem(last=False)
    kept.move_to_end(doc_id)
    return kept[doc_id]


def forget_texts() -> None:
    st.session_state.pop("texts", None)


def notice(message: str) -> None:
    """Says something at the next draw, for callbacks, which run before the page does."""
    st.session_state["notice"] = message


def take_notice() -> str | None:
    return cast("str | None", st.session_state.pop("notice", None))


def open_chat(chat_id: str) -> replies.Chat | None:
    """The conversation with its messages, or None if there is none of that name any more."""
    try:
        return client().chat(chat_id)
    except ApiError as e:
        if e.status != 404:
            raise
        return None


def open_shared(chat_id: str) -> replies.SharedChat | None:
    """A conversation that somebody else shares, or None if there is none that this person may read (any more)."""
    try:
        return client().shared_chat(chat_id)
    except ApiError as e:
        if e.status != 404:
            raise
        return None
