"""The rank-bm25 package behind our contract: an outside implementation, for comparison and small collections.

Its BM25Okapi scores every passage for every query and is made anew after every change (114 ms and 1.4 s at 100,000
passages, both in proportion to their number), so it is a setting, never the default: for up to about 10,000 passages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rank_bm25 import BM25Okapi

from retrieval.sparse.bm25_reference import okapi_idf
from retrieval.sparse.counted import CountedIndex, Scorer
from retrieval.sparse.passage import PassageReader
from retrieval.sparse.term_bag import Floats, TermCounts


class RankBm25Index(CountedIndex):
    """BM25Okapi (k1 = 1.5, b = 0.75, epsilon = 0.25 are the package's own) over our terms."""

    def __init__(self, k1: float = 1.5, b: float = 0.75, reader: PassageReader | None = None) -> None:
        def prepare(counts: TermCounts) -> Scorer:
            # The package divides by the number of terms: it cannot be made of passages without any.
            scorer = BM25Okapi(counts.passages, k1=k1, b=b) if counts.postings else None

            def score(terms: Sequence[str]) -> Floats:
                if scorer is None or not terms:
                    return np.zeros(counts.n, dtype=np.float64)
                return np.asarray(scorer.get_scores(terms), dtype=np.float64)

            return score

        super().__init__(prepare, reader, okapi_idf)
