"""What a conversation remembers of its failed attempts: the reflections of strategy reflexion, for its next questions there.

They are read from the recorded runs, so what a purge or a deletion takes from those is gone from here too, and nobody is given notes
of a conversation that is not theirs.
"""

from __future__ import annotations

from agents.reflexion import KEPT, is_reflection
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
        if trace["strategy"] == "reflexion":
            found += [s["thought"] for s in trace["steps"] if s["kind"] == "reflect" and is_reflection(s["thought"])]
    return tuple(dict.fromkeys(found))[-KEPT:]
