"""Whether a hyphen at a line end divides a word ("us-ing") or belongs to it ("dual-encoder").

The document is its own dictionary: a form that occurs elsewhere in it, whole or hyphenated, decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from ingest.parse.clean import expand_ligatures
from ingest.parse.pdf_lines import HYPHEN

# Words that do not touch a line-end hyphen; "state-of-the-art" counts as itself and as its parts.
_WORD = re.compile(rf"(?<![\w{HYPHEN}-])[^\W\d_]+(?:-[^\W\d_]+)*(?![\w{HYPHEN}-])")
_TAIL = re.compile(r"[^\W_]+(?:-[^\W_]+)*$")
_HEAD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
# Words that rarely end a syllable of a longer one; with five letters or more after them they make a compound.
_COMPOUND_STARTS = frozenset(
    re.findall(
        r"\w+", "self well high low long short large small full half two three four five six open real cross ill year"
    )
)


class Hyphens:
    """Decides for one document. ``texts`` are its pages as pdfium gave them; they are read at the first question."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = texts
        self._words: Counter[str] | None = None

    def __call__(self, before: str, after: str) -> str:
        """What stands between the line that ends in a hyphen and the next: "" or "-"."""
        tail, head = _TAIL.search(expand_ligatures(before).rstrip()), _HEAD.match(expand_ligatures(after).lstrip())
        if tail is None or head is None:
            return "-"
        a, b = tail.group(), head.group()
        last = a.rsplit("-", 1)[-1]
        first = b.split("-", 1)[0]
        if any(c.isdigit() for c in last + first) or (first[0].isupper() and not last.isupper()) or "-" in a:
            return "-"
        words = self._vocabulary()
        whole, divided = words[(a + b).lower()], words[f"{a}-{b}".lower()]
        if whole != divided:
            return "" if whole > divided else "-"
        # Neither form is known. Two parts that are both words of this document make a compound.
        if last.lower() in _COMPOUND_STARTS and len(first) >= 5:
            return "-"
        both = min(len(last), len(first)) >= 4 and words[last.lower()] > 0 and words[first.lower()] > 0
        return "-" if both else ""

    def _vocabulary(self) -> Counter[str]:
        if self._words is None:
            self._words = Counter()
            for text in self._texts:
                for word in _WORD.findall(expand_ligatures(text).lower()):
                    self._words[word] += 1
                    if "-" in word:
                        self._words.update(word.split("-"))
        return self._words
