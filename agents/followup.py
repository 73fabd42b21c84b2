"""Makes a follow-up question standalone, by rule: "And in 2022?" needs what was asked before.

The rule adds the words of the previous question that a follow-up lacks, and of those before it as long as they lean
on what went before, too; the search then finds what all are about. A year of an earlier question gives way to one of the
new. It resolves no pronoun, and knows when a question leans in English and, by its openings and a few pronouns, in German.
With a language model ``agents.rag`` asks that to rewrite the question instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agents.lexical import terms
from core.lexical import STOP_WORDS
from core.text import words
from core.types import Message

_LEANING = frozenset(
    [
        "it",
        "its",
        "they",
        "them",
        "their",
        "theirs",
        "he",
        "him",
        "his",
        "she",
        "her",
        "hers",
        "this",
        "that",
        "these",
        "those",
        "there",
        "such",
        "one",
        "ones",
        "same",
        "other",
        "others",
        "another",
        "else",
        "former",
        "latter",
        "both",
    ]
)
_OPENING = re.compile(
    r"^\W*(?:and|but|or|so|also|what about|how about|why not|why\?|when\?|where\?|who\?|"
    r"und|aber|oder|auch|was ist mit|wie (?:ist|sieht) es (?:mit|bei|in|im)|warum\?|wann\?|wo\?|wer\?)(?!\w)",
    re.IGNORECASE,
)
# "How many trees are there in Alby?" points at nothing.
_EXISTS = re.compile(r"\b(?:is|are|was|were)\s+there\b|\bthere\s+(?:is|are|was|were)\b", re.IGNORECASE)
# German ones, that are no English words. "Sie" may be the person who is asked.
_LEANING_GERMAN = re.compile(r"\b(?:ihn|ihm|dieser|diese|dieses|diesem|diesen)\b", re.IGNORECASE)
# After a comma these point at what stands before it: "Kunden, deren Vertrag …", "ausbauen, damit ich …".
_LEANING_BEFORE_COMMA = re.compile(r"\b(?:dessen|deren|davon|dafür|damit|dazu|darüber|dabei)\b", re.IGNORECASE)
_COMMA = re.compile(r",(?!\d)")  # "3,5" has none
# "Er wurde 1990 gebaut", but neither "the Er YAG laser" nor, in English, "the er".
_HE = re.compile(r"\ber\b|^\W*Er (?=[a-zäöü])")
_LEANING_LAST = re.compile(r"\b(?:es|sie)\s*\?\s*$")  # "Was kostet es?"
# Function words of German that are no English words ("die", "war", "hat").
_GERMAN = frozenset(
    """der das den dem des ein eine einen einem einer eines und oder aber auch wie wer wen wem wann wo warum welche welcher
    welches ist sind waren wird wurde wurden haben hatte kann muss soll darf gibt im um zu zum
    zur von vom mit für auf bei aus nach es sie er""".split()  # noqa: SIM905
)
_GERMAN_OR_ENGLISH = frozenset(["was", "war", "hat", "will", "die", "an", "in", "so"])
_SAYING_LITTLE = STOP_WORDS | _LEANING | _GERMAN
_YEAR = re.compile(r"\b(?:1\d{3}|20\d{2})\b")
_MIN_TERMS = 2
_MOST_WORDS = 12  # added


def leans_on_history(question: str) -> bool:
    """Whether ``question`` cannot be understood by itself, as far as its words tell."""
    if _OPENING.search(question):
        return True
    if _LEANING_GERMAN.search(question) or _LEANING_LAST.search(question):
        return True
    if _LEANING_BEFORE_COMMA.search(_COMMA.split(question, maxsplit=1)[0]):
        return True
    if _HE.search(question) and _is_german(question):
        return True
    said = words(_EXISTS.sub(" ", question))
    return any(w in _LEANING for w in said) or len(terms(question)) < _MIN_TERMS


def _is_german(question: str) -> bool:
    """Whether a word besides "er" says so, or one that is a word of both languages where none is English alone."""
    said = set(words(question)) - {"er"}
    return bool(said & _GERMAN) or (bool(said & _GERMAN_OR_ENGLISH) and not said & (STOP_WORDS - _GERMAN_OR_ENGLISH))


def standalone_by_rule(question: str, history: Sequence[Message]) -> str:
    """``question``, with the content words behind it of the questions that it leans on, the latest first."""
    if not leans_on_history(question):
        return question
    known = set(terms(question))
    of_a_year = _YEAR.search(question) is not None
    added: list[str] = []
    for before in _leaned_on(history):
        for word in re.findall(r"[^\s?!,;:()\"“”]+", before):
            if word.casefold() in _SAYING_LITTLE or (of_a_year and _YEAR.fullmatch(word)):
                continue
            mine = set(terms(word))
            if mine and not mine <= known:
                known |= mine
                added.append(word.rstrip("."))
        of_a_year = of_a_year or _YEAR.search(before) is not None
    return f"{question} ({' '.join(added[:_MOST_WORDS])})" if added else question


def _leaned_on(history: Sequence[Message]) -> list[str]:
    """The person's questions from the latest back to the first that stands by itself."""
    asked: list[str] = []
    for message in reversed(history):
        if message.role == "user":
            asked.append(message.content)
            if not leans_on_history(message.content):
                break
    return asked
