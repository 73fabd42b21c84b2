"""Where a question is written, with what it is asked of and how it is answered beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from app import replies
from app.ui import look
from app.ui.files_view import draw_arriving, draw_files
from app.ui.inert import inert_markdown
from app.ui.state import client, limits
from app.ui.two_answers_view import LABEL, draw_two_choice, two_wanted
from core.ids import COLLECTION_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a question is asked of, and how. ``ways``: of which two are drawn, for two unnamed answers (none: of all); None where
    one is wanted, by ``strategy``."""

    collections: list[str]
    strategy: str
    only_files: bool = False  # of the conversation's own files alone
    policy: str | None = None  # what becomes of an unsupported sentence; None: as the server's settings say
    ways: list[replies.WayToAnswer] | None = None


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
            picked = _pick_collections(chat, names) if names else []
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
    if chat is not None and (scope.collections, scope.strategy) != (chat["collections"], chat["strategy"]):
        client().update_chat(chat["chat_id"], collections=scope.collections, strategy=scope.strategy)
    return scope


def _pick_collections(chat: replies.Chat | None, names: Sequence[str]) -> list[str]:
    before = [name for name in (chat["collections"] if chat else _last(names)) if name in names] or list(names)
    key = f"collections-{chat['chat_id'] if chat else 'new'}"
    # Nothing picked means all: those that are added later, too.
    default = before if len(before) < len(names) else []
    chosen = [name for name in st.session_state.get(key, default) if name in names] or list(names)
    with st.popover(_collections_label(chosen, names), icon=":material/folder_open:", type="tertiary"):
        picked = st.multiselect(
            "Ask of these collections",
            names,
            default=default if key not in st.session_state else None,
            key=key,
            placeholder="All collections",
        )
    return list(picked) or list(names)


def _last(names: Sequence[str]) -> list[str]:
    last = st.session_state.get("scope")
    return last.collections if isinstance(last, Scope) else list(names)


def _collections_label(chosen: Sequence[str], names: Sequence[str]) -> str:
    if len(chosen) == len(names) and len(names) > 1:
        return "All collections"
    # A proper name is harmless as it stands; escaped, a screen reader would read the backslashes out.
    first = chosen[0] if COLLECTION_NAME.fullmatch(chosen[0]) else inert_markdown(chosen[0])
    return first if len(chosen) == 1 else f"{first} and {len(chosen) - 1} more"


def _pick_strategy(
    chat: replies.Chat | None, strategies: replies.Strategies
) -> tuple[str, list[replies.WayToAnswer] | None]:
    """The strategy; and where two answers are wanted, of which ways they are drawn."""
    known = {s["name"]: s for s in strategies["strategies"] if s["available"]}
    before = (chat["strategy"] if chat else "") or strategies["default"]
    if before not in known:
        before = strategies["default"] if strategies["default"] in known else next(iter(known))
    names = list(known)
    key = f"strategy-{chat['chat_id'] if chat else 'new'}"
    chosen = st.session_state.get(key, before)
    label = known[chosen if chosen in known else before]["label"]
    with st.popover(LABEL if two_wanted() else inert_markdown(label), icon=":material/tune:", type="tertiary"):
        ways = draw_two_choice(strategies)
        picked = st.radio(
            "How to answer",
            names,
            index=names.index(before),
            format_func=lambda name: inert_markdown(known[name]["label"]),
            captions=[inert_markdown(known[name]["description"]) for name in names],
            key=key,
            disabled=ways is not None,
        )
        if known[picked or before]["needs_lm"] or ways is not None:
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
            if not s["available"]:
                st.caption(f"{inert_markdown(s['label'])}: {inert_markdown(s['reason'] or 'not available')}")
    return picked or before, ways
