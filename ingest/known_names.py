"""Names that were found somewhere in a document, and wherever else they stand in it.

A model that knows "Jane Doe" in one sentence may miss her in the next. A name of several words is therefore one wherever
it stands; a single word ("Will", "Rose") only where the model said so, or in a title, a heading or metadata. It knows words, not models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_WORD = re.compile(r"\w+")
_MOST = 500  # names that begin with the same word: each is looked at wherever the word stands
_LEAST = 3  # letters of a single word that is taken for a name elsewhere


@dataclass(frozen=True, slots=True)
class KnownNames:
    """``found`` are spans of ``text``; ``by_word`` has the names by their first word, the longest first."""

    text: str
    found: tuple[tuple[int, int], ...]
    by_word: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, found: Sequence[tuple[int, int]]) -> KnownNames:
        """Of the names that were found in ``text``, at these code points."""
        known = cls(text, tuple(found))
        known._learn(text, found)
        return known

    def also(self, text: str, found: Sequence[tuple[int, int]]) -> KnownNames:
        """With the names of another text beside."""
        more = KnownNames(self.text, self.found, {word: list(names) for word, names in self.by_word.items()})
        more._learn(text, found)
        return more

    def spans(self, text: str, *, alone: bool = False) -> list[tuple[int, int]]:
        """Where they stand in ``text``, in order, apart from each other.

        Args:
            alone: whether single words count as well.
        """
        spans = list(self.found) if text == self.text else []
        for word in _WORD.finditer(text) if self.by_word else ():
            for name in self.by_word.get(word.group(), ()):
                end = word.start() + len(name)
                ends = end == len(text) or not text[end].isalnum()
                if (alone or _WORD.fullmatch(name) is None) and ends and text.startswith(name, word.start()):
                    spans.append((word.start(), end))
                    break
        apart: list[tuple[int, int]] = []
        for start, end in sorted(spans):
            if apart and start < apart[-1][1]:
                apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
            else:
                apart.append((start, end))
        return apart

    def _learn(self, text: str, found: Sequence[tuple[int, int]]) -> None:
        for name in {text[start:end] for start, end in found}:
            first = _WORD.match(name)
            if first is None or (first.group() == name and sum(map(str.isalpha, name)) < _LEAST):
                continue
            names = self.by_word.setdefault(first.group(), [])
            if len(names) < _MOST and name not in names:
                names.append(name)
        for names in self.by_word.values():
            names.sort(key=len, reverse=True)
