"""BM25 written as its formulas read, for any k1 and b: what faster engines are checked against.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009. Variants differ in the inverse
document frequency and in a constant factor; each is a function here, under the name of the software that uses it
(compared by Kamphuis et al., "Which BM25 do you mean?", ECIR 2020).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from core.errors import InvalidRequest
from retrieval.sparse.counted import CountedIndex, Scorer
from retrieval.sparse.passage import PassageReader
from retrieval.sparse.term_bag import Floats, TermCounts

Variant = Literal["lucene", "okapi"]


def lucene_idf(N: int, df: int) -> float:
    """ln(1 + (N - df + 0.5) / (df + 0.5)): Lucene's, never negative."""
    return math.log(1.0 + (N - df + 0.5) / (df + 0.5))


def robertson_idf(N: int, df: int) -> float:
    """ln((N - df + 0.5) / (df + 0.5)): Robertson and Spärck Jones; negative for a term in over half the passages."""
    return math.log((N - df + 0.5) / (df + 0.5))


def okapi_idf(counts: TermCounts, term: str, epsilon: float = 0.25) -> float:
    """rank-bm25's BM25Okapi: Robertson's, where negative replaced by epsilon × the mean over all terms."""
    idf = robertson_idf(counts.n, counts.df(term))
    if idf >= 0:
        return idf
    mean = sum(robertson_idf(counts.n, counts.df(t)) for t in counts.postings) / len(counts.postings)
    return epsilon * mean


def saturation(tf: Floats, dl: Floats, avgdl: float, k1: float, b: float) -> Floats:
    """tf / (tf + k1 · (1 - b + b · dl / avgdl)), in [0, 1)."""
    saturated: Floats = tf / (tf + k1 * (1.0 - b + b * dl / avgdl))
    return saturated


def bm25(counts: TermCounts, terms: Sequence[str], k1: float, b: float, variant: Variant) -> Floats:
    """Σ over the query's terms, repetitions included, of idf · saturation; (n,) by position.

    "lucene" leaves out the factor (k1 + 1), which orders nothing, as Lucene does since version 8; "okapi" has it.
    """
    scores = np.zeros(counts.n, dtype=np.float64)
    avgdl = float(counts.lengths.mean()) if counts.n else 1.0
    for term in terms:
        if term not in counts.postings:
            continue
        positions, tf = counts.postings[term]
        part = saturation(tf, counts.lengths[positions], avgdl, k1, b)
        if variant == "lucene":
            scores[positions] += lucene_idf(counts.n, counts.df(term)) * part
        else:
            scores[positions] += okapi_idf(counts, term) * (k1 + 1.0) * part
    return scores


class Bm25Reference(CountedIndex):
    """BM25 in memory, exact in float64. Additions show at the next search, which counts everything anew.

    Args:
        k1: how slowly repetitions saturate, at least 0.
        b: how much longer passages are held back, in [0, 1].
        variant: "lucene", or "okapi" for rank-bm25's formula.
        reader: makes terms and words of passages, and terms of queries.
    """

    def __init__(
        self, k1: float = 1.2, b: float = 0.75, variant: Variant = "lucene", reader: PassageReader | None = None
    ) -> None:
        if k1 < 0 or not 0 <= b <= 1:
            raise InvalidRequest(f"k1 = {k1}, b = {b}: k1 is at least 0 and b lies in [0, 1]")

        def prepare(counts: TermCounts) -> Scorer:
            return lambda terms: bm25(counts, terms, k1, b, variant)

        def idf(counts: TermCounts, term: str) -> float:
            return lucene_idf(counts.n, counts.df(term)) if variant == "lucene" else okapi_idf(counts, term)

        super().__init__(prepare, reader, idf)
