"""How much of a claim's words the evidence has, and where it has most of them.

Word overlap is the plainest of baselines and a strong one. It does not know order, roles or synonyms: "dog bites man"
covers "man bites dog".
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from agents.lexical import terms
from core.text import sentence_spans

_MAX_WINDOW = 3  # adjoining sentences that may jointly support a claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Shares of the claim's terms, in [0, 1]."""

    overall: float  # that occur anywhere in the evidence
    sentence: float  # in its best sentence
    window: float  # in its best run of at most three sentences
    bigrams: float  # adjoining pairs of terms that adjoin in the evidence too
    longest_run: float  # the longest run of terms that stands in the evidence in that order, as a share
    n_terms: int
    likely: str  # the best sentence; empty if no word is shared
    absent: tuple[str, ...]  # terms that the evidence lacks


def cover(claim: str, evidence: str) -> Coverage:
    claimed = terms(claim)
    wanted = list(dict.fromkeys(claimed))
    pieces = [evidence[a:b] for a, b in sentence_spans(evidence)]
    piece_terms = [terms(p) for p in pieces]
    sets = [set(t) for t in piece_terms]
    everything = set().union(*sets)
    if not wanted or not pieces:
        return Coverage(
            overall=0.0, sentence=0.0, window=0.0, bigrams=0.0, longest_run=0.0, n_terms=len(wanted), likely="",
            absent=tuple(wanted),
        )  # fmt: skip

    def share(present: set[str]) -> float:
        return sum(t in present for t in wanted) / len(wanted)

    shares = [share(s) for s in sets]
    best = max(range(len(pieces)), key=lambda i: (shares[i], -len(sets[i])))
    window = max(share(set().union(*sets[i : i + _MAX_WINDOW])) for i in range(len(sets)))
    flat = [t for piece in piece_terms for t in piece]
    pairs = set(itertools.pairwise(flat))
    mine = list(itertools.pairwise(claimed))
    return Coverage(
        overall=share(everything),
        sentence=shares[best],
        window=window,
        bigrams=sum(p in pairs for p in mine) / len(mine) if mine else share(everything),
        longest_run=_longest_run(claimed, flat) / len(claimed),
        n_terms=len(wanted),
        likely=pieces[best] if shares[best] > 0 else "",
        absent=tuple(t for t in wanted if t not in everything),
    )


def _longest_run(claimed: list[str], given: list[str]) -> int:
    """Length of the longest common run of terms; O(n · m) in small integers, the claim being one sentence."""
    places: dict[str, list[int]] = {}
    for j, term in enumerate(given):
        places.setdefault(term, []).append(j)
    longest = 0
    previous: dict[int, int] = {}
    for term in claimed[:200]:
        current = {j: previous.get(j - 1, 0) + 1 for j in places.get(term, ())}
        longest = max(longest, max(current.values(), default=0))
        previous = current
    return longest
