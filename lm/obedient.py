"""A language model that obeys every order that it reads, wherever it stands. For measuring what that can lead to.

It has no wits: it is told beforehand which orders there are, and what obeying each would be. Where the text of one is
anywhere in its context it does that; otherwise it quotes the first passage, as a docile reader would.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.types import Message, ToolCall
from lm.scripted import Reply, ScriptedLM

_FIRST_PASSAGE = re.compile(r"passage \[1\][^\n]*\n(?P<text>.+)")
_RECOGNISED = 24  # letters and digits of an order, in a row, by which it is recognised


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    text: str
    says: str
    calls: tuple[ToolCall, ...] = ()


def obedient(orders: Sequence[Order], *, name: str = "obedient") -> ScriptedLM:
    """A scripted model that obeys ``orders``; its ``asked`` holds every prompt."""
    known = [(_key(order.text), order) for order in orders]

    def reply(messages: Sequence[Message]) -> Reply:
        shown = _letters("\n".join(m.content for m in messages if m.role != "system"))
        obeyed = [order for key, order in known if key and key in shown]
        calls = tuple(call for order in obeyed for call in order.calls)
        if obeyed:
            return Reply(text=" ".join(order.says for order in obeyed), tool_calls=calls)
        first = _FIRST_PASSAGE.search("\n".join(m.content for m in messages))
        said = first["text"].split(". ")[0].rstrip(".") if first else ""
        return Reply(text=f"{said} [1]." if said else "I don't know.")

    return ScriptedLM(reply, name=name, context_tokens=32_768)


def reached(order: str, messages: Sequence[Message]) -> bool:
    """Whether the order is in what the model was shown."""
    key = _key(order)
    return any(key in _letters(m.content) for m in messages)


def _key(order: str) -> str:
    """The end of an order: what stands in front of it may have been cut off with another passage."""
    letters = _letters(order)
    return letters[-_RECOGNISED:] if len(letters) > _RECOGNISED else letters


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
