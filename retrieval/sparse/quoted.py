"""What a query asks for beside its terms: phrases in double quotes, and identifiers to be found whole.

A phrase is had by a passage if its words, as written but for case and accents, stand next to each other in its text, in
its title or in one heading. Stop words and single letters count in it, endings too. A query that is one phrase, or several,
finds passages that have them all and nothing else. Within a longer query a phrase is a wish, and passages that have it come
first: questions quote titles and sayings, and the passage that answers often has them in another form (measured: as a
condition, they cost up to 1.5 points of nDCG on XQuAD's questions). So do passages that have an identifier whole, for
a query that is nothing but identifiers ("§ 4.2", "CVE-2026-27628", "src/core/errors.py").

Knows text and no index.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from retrieval.sparse.analyse import identifiers_of, words_of

Phrase: TypeAlias = tuple[str, ...]  # words, in the form of ``words_of``

MAX_PHRASES = 16
# A sign opens after a space or bracket and closes before a space or punctuation: the 5" of a screen is not a quotation.
_QUOTED = re.compile(
    r"(?<![^\s(\[{])(?:\"(?=\S)([^\"\n]*)(?<=\S)\"|“([^“”\n]*)”|„([^„“”\n]*)[“”]|«([^«»\n]*)»)(?=$|[\s)\]}.,;:!?])"
)
_JOINED = re.compile(r"\w[^\w\s]+\w|\d|_|\w(?:\+\+|#)")


@dataclass(frozen=True, slots=True)
class Asked:
    """``whole`` are identifiers as words, ``literal`` those of them that are compound terms; all is empty in most queries."""

    required: tuple[Phrase, ...] = ()
    preferred: tuple[Phrase, ...] = ()
    whole: tuple[Phrase, ...] = ()
    literal: tuple[str, ...] = ()

    @property
    def phrases(self) -> bool:
        """Whether any words are to stand next to each other: then there is something to find even without a term."""
        return bool(self.required or self.preferred or self.whole)

    @property
    def first(self) -> bool:
        """Whether passages that have something whole are to come first."""
        return bool(self.preferred or self.whole or self.literal)

    @property
    def wishes(self) -> tuple[tuple[Phrase, float], ...]:
        """Phrases, each with what having it is worth, in units of the most that a query's terms can give."""
        # One word, and paths and the like, are no compound terms: standing there says all there is to say of them.
        compounds = {tuple(words_of(term)) for term in self.literal}
        return tuple((p, 1.0) for p in self.preferred) + tuple((p, 1.0 if p in compounds else 2.0) for p in self.whole)


def read_query(query: str) -> Asked:
    """Phrases and identifiers of a query. Never raises; whatever is no whole quotation is text."""
    if phrases := phrases_of(query):
        return Asked(preferred=phrases) if words_of(_QUOTED.sub(" ", query)) else Asked(required=phrases)
    if not _JOINED.search(query):
        return Asked()
    pieces = [(piece, words_of(piece)) for piece in query.split()]
    pieces = [(piece, words) for piece, words in pieces if words]
    if len(pieces) > MAX_PHRASES or not all(_JOINED.search(piece) for piece, _ in pieces):
        return Asked()
    return Asked(
        whole=tuple(dict.fromkeys(tuple(words) for _, words in pieces if len(words) > 1 or _mixed(words[0]))),
        literal=tuple(dict.fromkeys(identifier for piece, _ in pieces for identifier in identifiers_of(piece))),
    )


def _mixed(word: str) -> bool:
    """Whether it has letters and digits, as "c3535" has; 2019 is a number."""
    return any(c.isdigit() for c in word) and any(c.isalpha() for c in word)


def phrases_of(query: str) -> tuple[Phrase, ...]:
    """The quoted phrases of ``query``, without repetition; at most 16."""
    if not any(sign in query for sign in '"“„«'):
        return ()
    quoted = (next(group for group in found.groups() if group is not None) for found in _QUOTED.finditer(query))
    phrases = dict.fromkeys(tuple(words) for text in quoted if (words := words_of(text)))
    return tuple(phrases)[:MAX_PHRASES]


def is_identifiers(query: str) -> bool:
    """Whether the query is nothing but identifiers."""
    asked = read_query(query)
    return bool(asked.whole or asked.literal)


def name_of(phrase: Phrase) -> str:
    """How a phrase, or an identifier found whole, is called among terms: in quotes, which no term has."""
    return f'"{" ".join(phrase)}"'
