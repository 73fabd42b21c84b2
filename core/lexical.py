"""How rare words are and how many of them a text has, and which of English say little. Knows terms, not how text became
terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

_STOP_WORDS = """a about an and any are as at be been being but by can could did do does doing for from had has have
having he her hers him his how i if in into is it its itself me my of on or our ours out over please she should so some
such tell than that the their theirs them then there these they this those to too us was we were what when where which
while who whom whose why will with would you your yours"""
STOP_WORDS = frozenset(_STOP_WORDS.split())  # of English, folded


def rarity(wanted: Sequence[str], texts: Sequence[Collection[str]]) -> dict[str, float]:
    """Inverse document frequency of each wanted term over ``texts``: ln(1 + (N − n + 0.5) / (n + 0.5)), as in BM25."""
    n_texts = len(texts)
    return {
        term: math.log(1 + (n_texts - n + 0.5) / (n + 0.5))
        for term in dict.fromkeys(wanted)
        for n in [sum(term in text for text in texts)]
    }


def coverage(weights: dict[str, float], present: Callable[[str], bool]) -> float:
    """The share of the weight whose terms are ``present``, in [0, 1]; 0 where there is no weight."""
    total = sum(weights.values())
    return sum(w for term, w in weights.items() if present(term)) / total if total else 0.0
