"""Separates a reasoning model's thinking from its answer, for servers that leave the two in one text."""

from __future__ import annotations

_OPEN, _CLOSE = "<think>", "</think>"


class ThinkingFilter:
    """Drops ``<think>…</think>`` at the very beginning of a text; the same words later on are part of the answer."""

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"

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
            self._held = self._held[at + len(_CLOSE) :]
        if self._state == "after" and (rest := self._held.lstrip()):
            self._state = "answer"
            return rest
        return ""

    def flush(self) -> str:
        """The text is over: what was held back only because it might have been the beginning of a thought."""
        return self._held if self._state == "start" else ""
