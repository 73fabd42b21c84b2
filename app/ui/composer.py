"""Where a question is written, with what it is asked of and how it is answered beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from app import replies
from app.ui import look
from app.ui.boundary import explain
from app.ui.files_view import draw_arriving, draw_files
from app.ui.inert import inert_markdown
from app.ui.state import client, limits, notice
from app.ui.two_answers_view import LABEL, draw_two_choice, two_wanted
from core.errors import OpenbookError
from core.ids import COLLECTION_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a question is asked of, and how. ``ways``: of which two are drawn, for two unnamed answers (none: of all); None where
    one is wanted, by ``strategy``."""

    collections: list[str]  # none: all that this person may read, at the time of the question
    strategy: str
    only_files: bool = False  # of the conversation's own files alone
    policy: str | None = None  # what becomes of an unsupported sentence; None: as the server's settings say
    ways: list[replies.WayToAnswer] | None = None


NOT_THERE, NOT_AVAILABLE = "not there now", "not available now"

_POLICIES = {
    "mark": "is shown, and marked",
    "repair": "is rewritten from them, or left out",
    "strict": "is left out",
}


def draw_composer(
    chat: replies.Chat | None,
    collections: Sequence[replies.Collection],
    strategies: replies.Strategies,
    on_submit: Callable[[], None],
) -> Scope:
    """Draws it at the foot of the page and returns what is chosen; ``on_submit`` runs before the next draw."""
    with st.bottom, st.container(key="composer", gap="xsmall"):
        if chat is not None and chat.get("shared_at"):
            look.muted("Shared, read-only, with the people of this server. What you ask here is shared too.")
        draw_arriving(chat)
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            names = [c["name"] for c in collections]
            only_files = draw_files(chat)
            picked = _pick_collections(chat, names)
            strategy, ways = _pick_strategy(chat, strategies)
            scope = Scope(
                collections=picked,
                only_files=only_files,
                strategy=strategy,
                policy=st.session_state.get("answer-policy"),
                ways=ways,
            )
        st.session_state["scope"] = scope
        st.chat_input(
            "Ask your documents …",
            key="question",
            submit_mode="stop",
            accept_file="multiple",
            max_upload_size=max(1, limits().max_upload_bytes // 2**20),
            max_chars=limits().max_question_characters,
            on_submit=on_submit,
        )
    return scope


def _pick_collections(chat: replies.Chat | None, names: Sequence[str]) -> list[str]:
    """What is asked: nothing picked means all, those that are added later too, and stays nothing picked. What is picked and not
    there just now stays picked: all of the others are asked, and where there is none, the server says what is missing."""
    before = list(chat["collections"]) if chat else [name for name in _last() if name in names]
    key = f"collections-{chat['chat_id'] if chat else 'new'}"
    chosen = list(st.session_state.get(key, before))
    missing = [name for name in dict.fromkeys([*before, *chosen]) if name not in names]
    if not names and not missing:
        return []
    with st.popover(_collections_label(chosen, names), icon=":material/folder_open:", type="tertiary"):
        picked = st.multiselect(
            "Ask of these collections",
            [*names, *missing],
            default=before,
            key=key,
            placeholder="All collections",
            on_change=_keep_collections if chat else None,
            args=(chat["chat_id"], key) if chat else None,
        )
        for name in missing:
            st.caption(f"{inert_markdown(name)}: {NOT_THERE}; it was deleted, or you may not read it")
    return [name for name in picked if name in names] or list(picked)


def _keep_collections(chat_id: str, key: str) -> None:
    _keep(chat_id, collections=list(st.session_state[key]))


def _keep_strategy(chat_id: str, key: str) -> None:
    _keep(chat_id, strategy=st.session_state[key])


def _keep(chat_id: str, *, collections: list[str] | None = None, strategy: str | None = None) -> None:
    """Only what a person has changed: a conversation that is merely looked at stays as it is."""
    try:
        client().update_chat(chat_id, collections=collections, strategy=strategy)
    except OpenbookError as e:
        notice(explain(e))


def _last() -> list[str]:
    last = st.session_state.get("scope")
    return last.collections if isinstance(last, Scope) else []


def _collections_label(chosen: Sequence[str], names: Sequence[str]) -> str:
    there = [name for name in chosen if name in names] if chosen or len(names) != 1 else list(names)
    gone = [name for name in chosen if name not in names]
    if not there and not gone:
        return "All collections"
    # A proper name is harmless as it stands; escaped, a screen reader would read the backslashes out.
    first, *others = [name if COLLECTION_NAME.fullmatch(name) else inert_markdown(name) for name in there or gone]
    said = f"{first} and {len(others)} more" if others else first
    if not gone:
        return said
    return f"{said}, {len(gone)} {NOT_THERE}" if there else f"{said} ({NOT_THERE})"


def _pick_strategy(
    chat: replies.Chat | None, strategies: replies.Strategies
) -> tuple[str, list[replies.WayToAnswer] | None]:
    """The strategy; and where two answers are wanted, of which ways they are drawn. That of a conversation stays its own while it is
    not available (its model loads, say): the server says so to a question."""
    all_ways = {s["name"]: s for s in strategies["strategies"]}
    names = [name for name, s in all_ways.items() if s["available"]]
    before = (chat["strategy"] if chat else "") or strategies["default"]
    if chat is None and before not in names:
        before = next(iter(names), before)
    key = f"strategy-{chat['chat_id'] if chat else 'new'}"
    chosen = st.session_state.get(key, before)
    names += [name for name in dict.fromkeys([before, chosen]) if name not in names]

    def label_of(name: str) -> str:
        way = all_ways.get(name)
        return inert_markdown(way["label"] if way else name)

    def says(name: str) -> str:
        way = all_ways.get(name)
        if way and way["available"]:
            return inert_markdown(way["description"])
        reason = (way["reason"] if way else "") or "this server has no such way to answer"
        return f"Not available now: {inert_markdown(reason)}"

    label = (
        label_of(chosen)
        if (way := all_ways.get(chosen)) and way["available"]
        else f"{label_of(chosen)} ({NOT_AVAILABLE})"
    )
    label = LABEL if two_wanted() else label
    with st.popover(label, icon=":material/tune:", type="tertiary"):
        ways = draw_two_choice(strategies)
        picked = st.radio(
            "How to answer",
            names,
            index=names.index(before),
            format_func=label_of,
            captions=[says(name) for name in names],
            key=key,
            disabled=ways is not None,
            on_change=_keep_strategy if chat else None,
            args=(chat["chat_id"], key) if chat else None,
        )
        way = all_ways.get(picked or before)
        if (way and way["needs_lm"]) or ways is not None:
            # Kept over conversations, since it is how careful a person wants to be.
            usual = strategies.get("answer_policy", "mark")
            st.selectbox(
                "A sentence that the passages do not support",
                list(_POLICIES),
                index=list(_POLICIES).index(usual) if usual in _POLICIES else 0,
                format_func=lambda name: _POLICIES[name],
                key="answer-policy",
            )
        for s in strategies["strategies"]:
            if s["name"] not in names:
                st.caption(f"{inert_markdown(s['label'])}: {inert_markdown(s['reason'] or 'not available')}")
    return picked or before, ways
