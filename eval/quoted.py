"""Where an answer stands in a text, word for word. Knows nothing of questions."""

from __future__ import annotations

import re

from core.text import Span
from eval.metrics.squad import UNSPACED

TELLING = 4  # characters that an answer must have to say where it stands


def only_place(text: str, answer: str) -> Span | None:
    """The one span of ``text`` that says ``answer`` word for word; None where none does, or several do.

    White space counts as one space however it is written: the lines of a stored text are broken where its page was, inside sentences.
    Where the answer begins or ends within a word or a number of the text, it does not stand there; scripts
    without spaces have no such edges, and Korean, which writes its particles onto a word, shows none.
    """
    parts = answer.split()
    if sum(map(len, parts)) + max(0, len(parts) - 1) < TELLING:
        return None
    pattern = re.compile(r"\s+".join(map(re.escape, parts)))
    found: Span | None = None
    match = pattern.search(text)
    while match is not None:
        start, end = match.span()
        if not _within_a_word(text, start) and not _within_a_word(text, end):
            if found is not None:
                return None
            found = start, end
        match = pattern.search(text, start + 1)
    return found


def _within_a_word(text: str, at: int) -> bool:
    """Whether a word, or a number such as 1,308.5, goes on across ``at``."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if _in_word(before) and _in_word(after):
        return True
    # A comma or point with digits on both sides belongs to the number, whichever side of it the cut is.
    separates_before = before in ".," and after.isdigit() and at > 1 and text[at - 2].isdigit()
    separates_after = after in ".," and before.isdigit() and at + 1 < len(text) and text[at + 1].isdigit()
    return separates_before or separates_after


def _in_word(c: str) -> bool:
    return (c.isalnum() or c == "_") and not UNSPACED.match(c) and not "\uac00" <= c <= "\ud7a3"
