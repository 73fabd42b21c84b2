"""How much of a claim's words the evidence has, and where it has most of them.

Word overlap is the plainest of baselines and a strong one. It does not know order beyond three words, roles or
synonyms: "dog bites man" covers "man bites dog".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from agents.lexical import KEPT_TEXTS, sentence_terms, stem, terms
from core.text import words

_MAX_WINDOW = 3  # adjoining sentences that may jointly support a claim
# Somebody speaking of himself or to somebody says more than a document does.
_PERSONS = frozenset(
    ["i", "me", "my", "mine", "i'm", "i've", "i'd", "i'll", "we", "us", "our", "we're", "you", "your", "you're"]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Shares of the claim's words, in [0, 1]. Terms are stems without function words."""

    terms: float  # that occur anywhere in the evidence
    window: float  # terms in its best run of at most three sentences
    words: float  # function words included
    trigrams: float  # runs of three words that the evidence has too
    sentence: float  # terms in its best sentence
    likely: str  # that sentence; empty if no term is shared
    absent: tuple[str, ...]  # terms that the evidence lacks
    n_terms: int
    speaks: bool  # says "I", "we" or "you" where the evidence does not


@dataclass(frozen=True, slots=True)
class _Told:
    """What of a text does not depend on the claim."""

    sets: tuple[frozenset[str], ...]  # of each sentence its terms; at least one
    windows: tuple[frozenset[str], ...]  # of each run of sentences
    everything: frozenset[str]
    words: frozenset[str]
    stems: frozenset[str]  # function words included
    trigrams: frozenset[tuple[str, str, str]]


@lru_cache(maxsize=KEPT_TEXTS)
def _told(text: str) -> _Told:
    sets = tuple(s for _, s in sentence_terms(text)) or (frozenset[str](),)
    given = words(text)
    return _Told(
        sets=sets,
        windows=tuple(frozenset[str]().union(*sets[i : i + _MAX_WINDOW]) for i in range(len(sets))),
        everything=frozenset[str]().union(*sets),
        words=frozenset(given),
        stems=frozenset(stem(w) for w in given),
        trigrams=frozenset(zip(given, given[1:], given[2:], strict=False)),
    )


def cover(claim: str, evidence: str) -> Coverage:
    wanted = list(dict.fromkeys(terms(claim)))
    said = words(claim)
    told = _told(evidence)
    sets = told.sets

    def share(present: frozenset[str]) -> float:
        return sum(t in present for t in wanted) / len(wanted) if wanted else 0.0

    shares = [share(s) for s in sets]
    best = max(range(len(sets)), key=lambda i: (shares[i], -len(sets[i])))
    mine = list(zip(said, said[1:], said[2:], strict=False))
    return Coverage(
        terms=share(told.everything),
        window=max(map(share, told.windows)),
        words=sum(stem(w) in told.stems for w in said) / len(said) if said else 0.0,
        trigrams=sum(t in told.trigrams for t in mine) / len(mine) if mine else share(told.everything),
        sentence=shares[best],
        likely=evidence[slice(*sentence_terms(evidence)[best][0])] if shares[best] > 0 else "",
        absent=tuple(t for t in wanted if t not in told.everything),
        n_terms=len(wanted),
        speaks=any(w in _PERSONS and w not in told.words for w in said),
    )
