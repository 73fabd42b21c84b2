"""Two answers without names, from the start: chosen beside the question, and how the page asks for them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Protocol

import streamlit as st

from app import replies
from app.client import Client, EventStream
from app.ui.inert import inert_markdown
from app.ui.live import LiveAnswer
from app.ui.message_actions import WRITES

LABEL = "Two answers, unnamed"
_ON, _OF = "two-answers", "two-answers-of"  # keys of the session

Prepare = Callable[[Callable[[str], None]], None]


class How(Protocol):
    """What a question is asked of, as the composer's ``Scope`` has it."""

    @property
    def collections(self) -> list[str]: ...
    @property
    def only_files(self) -> bool: ...
    @property
    def policy(self) -> str | None: ...
    @property
    def ways(self) -> list[replies.WayToAnswer] | None: ...


def two_wanted() -> bool:
    return bool(st.session_state.get(_ON))


def draw_two_choice(strategies: replies.Strategies) -> list[replies.WayToAnswer] | None:
    """The switch, and of which ways two are drawn (none: of all); None where it is off."""
    known = {s["name"]: s["label"] for s in strategies["strategies"] if s["available"]}
    models = strategies.get("models", [])
    on = st.toggle(
        LABEL,
        key=_ON,
        disabled=len(known) < 2 and not models,
        help="Each question is answered in two ways, drawn at random. You see both answers at once, say which is better, and only "
        "then which is which",
    )
    if not on:
        return None
    options = [*((name, "") for name in known), *((WRITES, model) for model in models)]
    picked = st.multiselect(
        "Draw two of these ways",
        options,
        format_func=lambda way: _label(known, *way),
        key=_OF,
        placeholder="All, by the server's own model",
    )
    if len(picked) == 1:
        st.caption("One more is needed: two are drawn.")
    return [{"strategy": name, "model": model} if model else {"strategy": name} for name, model in picked]


def _label(known: dict[str, str], name: str, model: str) -> str:
    label = inert_markdown(known.get(name) or name)
    return f"{label}, by {inert_markdown(model)}" if model else label


def asked_twice(speaker: Client, chat_id: str, question: str, how: How, edits: str) -> Callable[[], EventStream]:
    """What asks the question so. ``edits``: the question in whose place it is asked, or nothing."""
    return functools.partial(
        speaker.pair_stream,
        chat_id,
        question,
        ways=how.ways or (),
        instead_of=edits or None,
        collections=how.collections,
        answer_policy=how.policy,
        only_files=how.only_files,
    )


def while_unseen(prepare: Prepare | None) -> Prepare:
    """``prepare``, and then what is said while nothing is shown of either answer."""

    def prepared(report: Callable[[str], None]) -> None:
        if prepare is not None:
            prepare(report)
        report("Two answers are under way, one after the other")

    return prepared


def pair_is_kept(live: LiveAnswer, messages: Sequence[replies.Message]) -> bool:
    """Whether the server has kept what came of a question that was asked so, and ended."""
    return len(messages) >= live.before + 2


def say_if_same(live: LiveAnswer) -> None:
    if live.now.same:
        st.toast(
            "Both ways gave the same answer: there is nothing to choose.", icon=":material/balance:", duration="long"
        )
