"""Separates a reasoning model's thinking from its answer, where the two come in one text."""

from __future__ import annotations

_OPEN, _CLOSE = "<think>", "</think>"


def begins_in_thought(prompt: str) -> bool:
    """Whether a chat template has opened the thought already, so that the model begins within it."""
    return prompt.rstrip().endswith(_OPEN)


class ThinkingFilter:
    """Takes out ``<think>…</think>`` at the very beginning of a text; the same words later on are part of the answer.

    Args:
        begun: the text begins within the thought.
    """

    def __init__(self, *, begun: bool = False) -> None:
        self._held = ""
        self._thought = ""
        self._state = "thinking" if begun else "start"

    @property
    def thought(self) -> str:
        """What was thought, without the white space around it; of one that has not ended, what there is of it."""
        open_ended = self._held if self._state == "thinking" else ""
        return (self._thought or open_ended).strip().removeprefix(_OPEN).strip()

    def feed(self, piece: str) -> str:
        """Takes the next piece; returns what of it belongs to the answer."""
        if self._state == "answer":
            return piece
        self._held += piece
        if self._state == "start":
            begun = self._held.lstrip()
            if begun.startswith(_OPEN):
                self._state = "thinking"
            elif not _OPEN.startswith(begun):
                self._state = "answer"
                return self._held
        if self._state == "thinking" and (at := self._held.find(_CLOSE)) >= 0:
            self._state = "after"
            self._thought, self._held = self._held[:at], self._held[at + len(_CLOSE) :]
        if self._state == "after" and (rest := self._held.lstrip()):
            self._state = "answer"
            return rest
        return ""

    def flush(self) -> str:
        """The text is over: what was held back only because it might have been the beginning of a thought."""
        return self._held if self._state == "start" else ""
