"""Separates a reasoning model's thinking from its answer, where the two come in one text."""

from __future__ import annotations

_OPEN, _CLOSE = "<think>", "</think>"


def begins_in_thought(prompt: str) -> bool:
    """Whether a chat template has opened the thought already, so that the model begins within it."""
    return prompt.rstrip().endswith(_OPEN)


def closes_thought(text: str) -> bool:
    """Whether a text closes a thought that it has not opened: its prompt did, and whoever asked did not know."""
    return _CLOSE in text and _OPEN not in text


def knows_thought(template: str) -> bool:
    """Whether a chat template speaks of thoughts: a model that it is made for may think before it answers."""
    return _OPEN in template or _CLOSE in template


class Room:
    """How many tokens are left of one answer.

    Args:
        answer: tokens of the answer itself.
        thought: more, for a thought before it.
    """

    def __init__(self, answer: int, thought: int = 0) -> None:
        self._answer = answer
        self.most = answer + thought  # in all
        self._taken = 0
        self._thought = 0

    def take(self, *, thinking: bool) -> bool:
        """Counts one token; True if it was the last.

        Args:
            thinking: whether it belongs to a thought.
        """
        self._taken += 1
        if thinking:
            self._thought = self._taken  # and all before it
        return self._taken >= self.most or self._taken - self._thought >= self._answer


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
    def thinking(self) -> bool:
        """Whether a thought has begun, and the answer after it has not."""
        return self._state in ("thinking", "after")

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

    def flush(self, *, whole: bool = False) -> str:
        """The text is over: what was held back only because it might have been the beginning of a thought.

        Args:
            whole: it ended by itself, so that a thought which it neither opened nor closed was none.
        """
        none = whole and self._state == "thinking" and not self._held.lstrip().startswith(_OPEN)
        if self._state != "start" and not none:
            return ""
        self._state = "answer"
        return self._held
