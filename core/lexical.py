"""How rare words are and how many of them a text has. Knows terms, not how text became terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence


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
