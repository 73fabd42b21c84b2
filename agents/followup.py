"""Makes a follow-up question standalone, by rule: "And in 2022?" needs what was asked before.

The rule adds the words of the previous question that a follow-up lacks; the search then finds what both are about. It
resolves no pronoun. With a language model ``agents.rag`` asks that to rewrite the question instead.
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
    r"^\W*(?:and|but|or|so|also|what about|how about|why not|why\?|when\?|where\?|who\?)\b", re.IGNORECASE
)
_MIN_TERMS = 2


def leans_on_history(question: str) -> bool:
    """Whether ``question`` cannot be understood by itself, as far as its words tell."""
    if _OPENING.search(question):
        return True
    said = words(question)
    return any(w in _LEANING for w in said) or len(terms(question)) < _MIN_TERMS


def last_question(history: Sequence[Message]) -> str:
    """The latest thing that the person said; empty if nothing."""
    return next((m.content for m in reversed(history) if m.role == "user"), "")


def standalone_by_rule(question: str, history: Sequence[Message]) -> str:
    """``question``, with the previous one's content words behind it where it leans on them."""
    before = last_question(history)
    if not before or not leans_on_history(question):
        return question
    known = set(terms(question))
    added: list[str] = []
    for word in re.findall(r"[^\s?!,;:()\"“”]+", before):
        if word.casefold() in STOP_WORDS or word.casefold() in _LEANING:
            continue
        mine = set(terms(word))
        if mine and not mine <= known:
            known |= mine
            added.append(word.rstrip("."))
    return f"{question} ({' '.join(added[:12])})" if added else question
