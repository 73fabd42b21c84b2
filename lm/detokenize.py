"""Token ids to text, piece by piece. Knows neither the model nor the special tokens: ``decode`` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# A byte-level tokenizer cuts inside characters; an unfinished one decodes to this.
REPLACEMENT = "�"
# A character has at most 4 bytes, so a run of more ids that ends in REPLACEMENT is not an unfinished one.
MAX_HELD = 8


class Detokenizer:
    """Decodes a growing list of ids so that the pieces join to the text of the whole.

    The text of a token depends on its left neighbour (a leading space, a split character), so each piece is the
    difference of two decodings that begin at the same id.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._start = 0  # first id of the window that is decoded
        self._said = 0  # ids before this one are in the text already

    def feed(self, ids: Sequence[int]) -> str:
        """Takes the next ids; returns the text that they complete."""
        text = ""
        for token in ids:  # one by one: only then is a long unfinished end known to be no character
            self._ids.append(token)
            text += self._advance(final=False)
        return text

    def flush(self) -> str:
        """The ids are over: returns what is left, an unfinished character as U+FFFD."""
        return self._advance(final=True)

    def _advance(self, *, final: bool) -> str:
        if self._said == len(self._ids):
            return ""
        before = self._decode(self._ids[self._start : self._said]) if self._said > self._start else ""
        now = self._decode(self._ids[self._start :])
        unfinished = now.endswith(REPLACEMENT) and len(self._ids) - self._said < MAX_HELD
        if not final and (unfinished or len(now) <= len(before)):
            return ""
        # The next window begins where the part already said ended, so that each id is decoded with its neighbour.
        self._start, self._said = self._said, len(self._ids)
        return now[len(before) :]
