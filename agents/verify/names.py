"""Names of the claim must be named in the evidence. A name is a run of capitalised words; case is all that is known.

A sentence's first word counts only where it belongs to a longer name or is an acronym. Text without capitals (most
scripts, careless writing) has no names for this rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from agents.lexical import KEPT_TEXTS, stem
from agents.verify.dates import MONTH_NAMES
from agents.verify.findings import Finding
from core.lexical import STOP_WORDS
from core.text import fold, strip_marks, words

_CAPITAL = r"[^\W\d_a-zß-öø-ÿ]"
_PART = rf"(?:(?:{_CAPITAL}\.)+(?=\W|$)|{_CAPITAL}[\w’'&-]*)"
_RUN = re.compile(rf"{_PART}(?:\s+(?:(?:of|the|de|la|del|van|von|der|al|bin|and|&)\s+)?{_PART})*")
_JOINERS = frozenset(["of", "the", "de", "la", "del", "van", "von", "der", "al", "bin", "and", "&"])
_NOT_NAMES = frozenset(
    [
        "i",
        "i'm",
        "i've",
        "i'd",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        *MONTH_NAMES,
        "mr",
        "mrs",
        "ms",
        "dr",
    ]
)


def names(text: str) -> list[str]:
    """The names of ``text`` in order, as written."""
    found: list[str] = []
    for m in _RUN.finditer(text):
        if not m.group()[0].isupper():
            continue
        run = m.group().rstrip(".'’-&")
        parts = run.split()
        if _opens_sentence(text, m.start()):
            first = fold(parts[0])
            if len(parts) == 1 and not _is_acronym(parts[0]):
                continue
            if first in STOP_WORDS or (len(parts) > 1 and first.endswith(("ly", "ing", "ed"))):
                parts = parts[1:]
        parts = [p for p in parts if fold(p).rstrip(".") not in _NOT_NAMES]
        while parts and parts[0] in _JOINERS:
            parts = parts[1:]
        if parts and not (len(parts) == 1 and fold(parts[0]) in STOP_WORDS):
            found.append(" ".join(parts))
    return found


def _opens_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(" \t\n\"'“‘«([*-")
    return not before or before[-1] in ".!?:;…"


def _is_acronym(word: str) -> bool:
    return len(word) > 1 and word.upper() == word


@lru_cache(maxsize=KEPT_TEXTS)
def _told(text: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """The words of a text without accents, their stems, and the initials of its names."""
    said = frozenset(strip_marks(w) for w in words(text))
    return said, frozenset(stem(w) for w in said), frozenset(_initials(n) for n in names(text))


def check_names(claim: str, evidence: str) -> Iterator[Finding]:
    """One finding per name of the claim."""
    said, stems, initials = _told(evidence)
    for name in names(claim):
        parts = [strip_marks(w) for w in words(name) if w not in _JOINERS and w not in STOP_WORDS]
        absent = [p for p in parts if p not in said and stem(p) not in stems and p.removesuffix("'s") not in said]
        if (
            not absent
            or (_is_acronym(name) and name.replace(".", "").casefold() in initials)
            or _initials(name) in said
        ):
            yield Finding(rule="name", outcome="match", item=name, detail=f"{name} is in the passage")
        else:
            yield Finding(rule="name", outcome="missing", item=name, detail=f"{name} is not in the passage")


def _initials(name: str) -> str:
    parts = [p for p in name.split() if p not in _JOINERS]
    return "".join(p[0] for p in parts).casefold() if len(parts) > 1 else ""
