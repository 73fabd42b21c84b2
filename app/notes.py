"""What a conversation remembers of its failed attempts: the reflections of strategy reflexion, also as a route of auto, for its next
questions there.

They are read from the recorded runs, so what a purge or a deletion takes from those is gone from here too, and nobody is given notes
of a conversation that is not theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.reflexion import KEPT
from app.services import Services
from core.errors import NotFound
from core.types import Principal

_REFLECTS = ("reflexion", "auto")  # strategies that may make use of notes


def notes_of(services: Services, principal: Principal, chat_id: str, strategy: str) -> tuple[str, ...]:
    """The last reflections of a conversation, oldest first; none where ``strategy`` has no use for them.

    Raises:
        NotFound: the conversation is not this person's.
    """
    if strategy not in _REFLECTS:
        return ()
    found: list[str] = []
    for run_id in services.chats.runs_of(principal, chat_id):
        try:
            trace = services.traces.get(principal, run_id)
        except NotFound:  # it was forgotten
            continue
        found += taught_by(trace)
    return tuple(dict.fromkeys(found))[-KEPT:]


def taught_by(trace: Mapping[str, Any]) -> list[str]:
    """The reflections in the JSON of a trace, which are marked as notes."""
    return [s["thought"] for s in trace["steps"] if s.get("note", _was_note(trace, s))]


def _was_note(trace: Mapping[str, Any], step: Mapping[str, Any]) -> bool:
    """The same of a run that was kept before steps were marked: of what reflexion judged, the model wrote its reflections alone, and
    the repair of a sentence, which is the observation there."""
    wrote = step["usage"]["completion_tokens"] > 0 and bool(step["thought"]) and not step["observation"]
    return bool(trace["strategy"] == "reflexion" and step["kind"] == "reflect" and wrote)
