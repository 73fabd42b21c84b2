"""TF-IDF with cosine similarity, weighted ltc on both sides (SMART notation: Salton and Buckley 1988)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from retrieval.sparse.counted import CountedIndex
from retrieval.sparse.passage import PassageReader
from retrieval.sparse.term_bag import Floats, TermCounts


def ltc_weight(tf: Floats, df: int, N: int) -> Floats:
    """(1 + ln tf) · ln(N / df), before the division by the vector's length; 0 for a term in every passage."""
    weight: Floats = (1.0 + np.log(tf)) * math.log(N / df)
    return weight


def norms(counts: TermCounts) -> Floats:
    """Euclidean lengths of the passages' weight vectors: (n,)."""
    squares = np.zeros(counts.n, dtype=np.float64)
    for term, (positions, tf) in counts.postings.items():
        squares[positions] += ltc_weight(tf, counts.df(term), counts.n) ** 2
    lengths: Floats = np.sqrt(squares)
    return lengths


def cosine(counts: TermCounts, lengths: Floats, terms: Sequence[str]) -> Floats:
    """Cosine of the query's and each passage's weights: (n,); 0 where either has no weight at all."""
    scores = np.zeros(counts.n, dtype=np.float64)
    square = 0.0
    for term, count in Counter(terms).items():
        if term not in counts.postings:
            continue  # an unknown term lengthens every comparison alike
        weight = float(ltc_weight(np.array([count], dtype=np.float64), counts.df(term), counts.n)[0])
        square += weight**2
        positions, tf = counts.postings[term]
        scores[positions] += weight * ltc_weight(tf, counts.df(term), counts.n)
    divisor = lengths * math.sqrt(square)
    return np.divide(scores, divisor, out=np.zeros_like(scores), where=divisor > 0)


class TfidfIndex(CountedIndex):
    """TF-IDF in memory, exact in float64. Additions show at the next search, which counts everything anew."""

    def __init__(self, reader: PassageReader | None = None) -> None:
        def idf(counts: TermCounts, term: str) -> float:
            return math.log(counts.n / counts.df(term))

        super().__init__(lambda counts: partial(cosine, counts, norms(counts)), reader, idf)

    def _share(self, counts: TermCounts, terms: Mapping[str, int], term: str) -> float:
        """The query's weight of the term over the length of the query's vector."""
        weights = {
            t: float(ltc_weight(np.array([n], dtype=np.float64), counts.df(t), counts.n)[0]) for t, n in terms.items()
        }
        length = math.sqrt(sum(w**2 for w in weights.values()))
        return weights[term] / length if length else 0.0
