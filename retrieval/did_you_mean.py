"""A query with its misspelt words put right, by the words of the passages that the person may see.

Words at a distance of one are written down and looked up. For those further off (and in scripts without a known alphabet)
the term index finds, with a Levenshtein automaton over its dictionary, some allowed passages with a word spelt alike, and the
words are read from those, as that person. Either way a candidate must stand in an allowed passage: nothing is
suggested that a search of the same person would not find. Nothing is kept in memory or in step.

A suggestion is shown, never applied. A word that is there, in any form that finds something, is left alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from core.types import Allowed
from retrieval.sparse.analyse import words_of

ReadTexts: TypeAlias = Callable[[Sequence[int]], Sequence[str]]  # rows → what is read of those that may be read

MIN_LETTERS = 4
TWO_FROM_LETTERS = 7  # shorter words have too many others at a distance of two
MAX_WORDS = 12  # looked at in one query
_SAMPLE = 16  # passages read per word: the common candidates are in them
_CANDIDATES = 6
_COUNTED = 64  # beyond so many passages a word is common, and so is another
# Letters of scripts written with spaces; a word with a digit or within an identifier is not a matter of spelling.
_WORD = re.compile(rf"(?<![\w@./:\\+#])[^\W\d_]{{{MIN_LETTERS},}}(?![\w@/:\\+#]|\.\w)")
_ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz",  # words are without Latin accents
    "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґ",
    "αβγδεζηθικλμνξοπρστυφχψωάέήίόύώϊϋΐΰ",
)
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


class Spelling(Protocol):
    """What is asked of a term index; ``TantivyIndex`` has it."""

    def finds(self, query: str, allowed: Allowed) -> bool | None: ...

    def among_words(self, words: Iterable[str]) -> list[str]: ...

    def passages_with(self, word: str, allowed: Allowed, at_most: int) -> int: ...

    def spelt_alike(self, word: str, distance: int, allowed: Allowed, at_most: int) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Correction:
    """``terms`` are (as written, as suggested), in the order of the query."""

    query: str
    terms: tuple[tuple[str, str], ...]


def did_you_mean(query: str, spelling: Spelling, allowed: Allowed, read: ReadTexts) -> Correction | None:
    """The query with its misspelt words replaced; None where none is, or nothing alike is there.

    Args:
        allowed: the rows that this person may see.
        read: the texts of rows, asked for as the same person; it may leave some out.
    """
    if not allowed.count:
        return None
    known: dict[str, str | None] = {}
    parts: list[str] = []
    terms: list[tuple[str, str]] = []
    end = 0
    for found in list(_WORD.finditer(query))[:MAX_WORDS]:
        written = found.group()
        if written not in known:
            known[written] = _corrected(written, spelling, allowed, read)
        better = known[written]
        if better is None:
            continue
        better = _cased_as(written, better)
        parts += [query[end : found.start()], better]
        terms.append((written, better))
        end = found.end()
    return Correction("".join((*parts, query[end:])), tuple(dict.fromkeys(terms))) if terms else None


def _corrected(written: str, spelling: Spelling, allowed: Allowed, read: ReadTexts) -> str | None:
    words = words_of(written)
    if len(words) != 1 or _UNSPACED.search(written):
        return None
    word = words[0]
    if spelling.passages_with(word, allowed, 1) or spelling.finds(written, allowed) is not False:
        return None  # it is there, or another form of it, or it is a stop word
    alphabet = next((letters for letters in _ALPHABETS if set(word) <= set(letters)), "")
    if alphabet:
        near = _most_common(spelling.among_words(one_off(word, alphabet)), spelling, allowed)
    else:
        near = _read_alike(word, 1, spelling, allowed, read)
    if near is None and len(word) >= TWO_FROM_LETTERS:
        return _read_alike(word, 2, spelling, allowed, read)
    return near


def _read_alike(word: str, distance: int, spelling: Spelling, allowed: Allowed, read: ReadTexts) -> str | None:
    rows = spelling.spelt_alike(word, distance, allowed, _SAMPLE)
    seen = Counter(w for text in read(rows) for w in set(words_of(text)))
    alike = {w: n for w, n in seen.items() if _may_replace(w, word, distance)}
    likely = sorted(alike, key=lambda w: (edit_distance(w, word, distance), -alike[w], w))[:_CANDIDATES]
    return _most_common(likely, spelling, allowed)


def _most_common(candidates: Sequence[str], spelling: Spelling, allowed: Allowed) -> str | None:
    """The one in most allowed passages, the first in the alphabet of equals; None if none is in any."""
    count = {w: spelling.passages_with(w, allowed, _COUNTED) for w in sorted(candidates)}
    best = max(count, key=lambda w: count[w], default=None)
    return best if best is not None and count[best] else None


def one_off(word: str, alphabet: str) -> list[str]:
    """Every word at a distance of one (see ``edit_distance``), in no particular order and without repetition."""
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    made = {a + b[1:] for a, b in cuts if b}
    made |= {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}
    made |= {a + c + b[1:] for a, b in cuts if b for c in alphabet}
    made |= {a + c + b for a, b in cuts for c in alphabet}
    return list(made - {word})


def _may_replace(candidate: str, word: str, distance: int) -> bool:
    return (
        abs(len(candidate) - len(word)) <= distance
        and len(set(candidate) ^ set(word)) <= 2 * distance  # quick, and true of all that are near
        and candidate.isalpha()
        and edit_distance(candidate, word, distance) <= distance
    )


def edit_distance(a: str, b: str, at_most: int) -> int:
    """Letters added, lost, changed, or swapped with their neighbour, each 1 (optimal string alignment; Damerau 1964).

    Returns:
        The distance, or ``at_most + 1`` for anything beyond.
    """
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        row = [i]
        for j, y in enumerate(b, start=1):
            cost = min(row[j - 1] + 1, last[j] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > at_most and min(last) > at_most:
            return at_most + 1
        before, last = last, row
    return min(last[-1], at_most + 1)


def _cased_as(written: str, word: str) -> str:
    if written.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if written[:1].isupper() else word
