"""A name that a question takes for granted, where a passage that speaks of the same has another in its place.

"When did Amundsen lead the Terra Nova expedition?" against "Scott led the Terra Nova expedition in 1910". Case alone tells
what a name is, so that a question in small letters has none. What stands in the place of what is told by the words next to
it. It knows neither kinds nor aliases: of two names that share a word, initials or most of their letters nothing is said,
and of two names of the same thing that share nothing too much.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from agents.irregular import base
from agents.lexical import stem
from agents.verify.names import names
from core.lexical import STOP_WORDS
from core.text import Span, fold, strip_marks, word_spans

# Passed over when the neighbour of a name is looked for.
_LIGHT = frozenset("a an the did do does was were is are be been has have had that its his her their also".split())  # noqa: SIM905
# A name behind one of these has a place of its own in the sentence, whatever stands behind.
_PLACING = frozenset("in at from to into near by with for against under of on between as through over across".split())  # noqa: SIM905
# Stand beside anything.
_WEAK = frozenset("and or but who whom which what when where while why how".split())  # noqa: SIM905
# "known in English as": no place of a place.
_LANGUAGES = frozenset(
    "arabic chinese dutch english french german greek hebrew hindi italian japanese latin portuguese russian spanish".split()  # noqa: SIM905
)
_ASKS_A_NAME = re.compile(r"\b(?:who|whom|whose|where)\b", re.IGNORECASE)
_MARKS = frozenset(',;:().“”"?!')
_ALIKE = 0.75  # of the letters of two words, from which one may be the other misspelt or declined
_LEAST_LETTERS = 4  # of words that may be so


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A name in a text, and the stems of the words beside it; empty where the sentence or a clause ends."""

    name: str
    parts: frozenset[str]  # its words without function words, folded, without accents
    before: str
    behind: str


def named_in(text: str, known: str = "") -> list[Named]:
    """The names of ``text`` in order.

    Args:
        known: a longer text; the first word of ``text`` is a name by itself only if that has it as one, too.
    """
    spans = word_spans(text)
    called = names(text)
    first = text[slice(*spans[0])] if spans else ""
    if _is_name(first, known) and not (called and called[0].startswith(first)):
        called.insert(0, first)
    found: list[Named] = []
    at = 0
    for name in called:
        start = text.find(name, at)
        if start < 0:
            continue  # "Mr" was left out of it: it does not stand there in one piece
        at = start + len(name)
        found.append(
            Named(
                name=name,
                parts=frozenset(_parts(name)),
                before=_neighbour(text, [s for s in reversed(spans) if s[1] <= start], start),
                behind=_neighbour(text, [s for s in spans if s[0] >= at], at),
            )
        )
    return found


def in_place_of(asked: Named, sentence: Sequence[Named], question: str) -> Named | None:
    """The one name of a sentence that has the place of ``asked``.

    None where the question has it, too, and where a person or a place is asked for and it is the only new name: that may be
    the answer.
    """
    given = {stem(p) for p in _parts(question)}
    new = {n.name: n for n in sentence if not any(stem(p) in given for p in n.parts)}
    rivals = [n for n in new.values() if _same_place(asked, n) and not may_be(asked.name, n.name)]
    if len(rivals) != 1 or (len(new) == 1 and _ASKS_A_NAME.search(question)):
        return None
    return rivals[0]


def stands_in(name: str, text: str) -> bool:
    """Whether ``text`` has any word of ``name``, or one that may be it."""
    there = set(_parts(text))
    return any(_close(p, w) for p in _parts(name) for w in there)


def without_possessive(name: str) -> str:
    return name.removesuffix("'s").removesuffix("’s")


def may_be(name: str, other: str) -> bool:
    """Whether two names may be of the same: one the initials, a form or a misspelling of the other."""
    short, long = sorted((name, other), key=len)
    initials = "".join(p[0] for p in _parts(long.replace("-", " ")))
    return "".join(_parts(short.replace(".", ""))) == initials or any(
        _close(a, b) for a in _parts(name) for b in _parts(other)
    )


def _close(a: str, b: str) -> bool:
    if a == b or stem(a) == stem(b):
        return True
    if a[:1] != b[:1] or min(len(a), len(b)) < _LEAST_LETTERS:
        return False
    same_head = a[:_LEAST_LETTERS] == b[:_LEAST_LETTERS]  # "Norway", "Norwegian"
    return same_head or SequenceMatcher(None, a, b, autojunk=False).ratio() >= _ALIKE


def _same_place(asked: Named, said: Named) -> bool:
    before = asked.before != "" and asked.before == said.before and asked.before not in _WEAK
    behind = asked.behind != "" and asked.behind == said.behind and asked.behind not in _WEAK
    if said.before == "in" and said.parts <= _LANGUAGES:
        return False
    return before or (behind and asked.behind not in _PLACING)


def _parts(name: str) -> list[str]:
    said = (strip_marks(fold(name[a:b])).removesuffix("'s") for a, b in word_spans(name))
    return [w for w in said if w not in STOP_WORDS]


def _neighbour(text: str, spans: Sequence[Span], at: int) -> str:
    """The stem of the nearest word that weighs something, up to a mark."""
    for a, b in spans:
        between = text[b:at] if b <= at else text[at:a]
        if not _MARKS.isdisjoint(between):
            return ""
        word = fold(text[a:b])
        if word not in _LIGHT:
            return base(word)
        at = a if b <= at else b
    return ""


def _is_name(word: str, known: str) -> bool:
    """Whether ``known`` has the word as a name within a sentence, and never in small letters."""
    if not word[:1].isupper() or fold(word) in STOP_WORDS:
        return False
    return any(word in name.split() for name in names(known)) and word.lower() not in known.split()
