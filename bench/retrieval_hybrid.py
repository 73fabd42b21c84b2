"""The last table of ``bench.retrieval``: the whole search, from the words of a question to ranked rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.timed import COLLECTIONS, allow, table, timed
from core.protocols import Encoder, SparseIndex
from core.types import Vectors
from retrieval.dense.auto import AutoIndex
from retrieval.ranking import Ranking, VectorSpace
from retrieval.vector_cache import encode_cached

K = 8
_KEPT_AT_ONCE = 4096  # texts in one file of the cache, so that a run that is stopped goes on where it was


def encoded(encoder: Encoder, texts: Sequence[str], cache: Path) -> Vectors:
    """(n, dim), told on the way, kept in ``cache``."""
    parts = []
    for start in range(0, len(texts), _KEPT_AT_ONCE):
        parts.append(encode_cached(encoder, texts[start : start + _KEPT_AT_ONCE], cache))
        print(f"encoded {start + len(parts[-1]):,} of {len(texts):,}", flush=True)
    return np.concatenate(parts)


def hybrid_tables(index: SparseIndex, auto: AutoIndex, encoder: Encoder, queries: Sequence[str], n: int) -> list[str]:
    """The hybrid at several depths with and without the filter of who asks, and the encoder apart."""
    encoder.encode_queries(list(queries))  # loads it; every length has been met
    every = allow(n, lambda row: True)
    seven = allow(n, lambda row: (row - 1) // 500 % COLLECTIONS != 2, {1, 2, 4, 5, 6, 7, 8})
    one = allow(n, lambda row: (row - 1) // 500 % COLLECTIONS == 2, {3})
    space = [VectorSpace(encoder=encoder, index=auto)]
    lines = [timed("encoding the question alone", lambda q: encoder.encode_queries([q]), queries)]
    for depth in (100, 200, 1000):
        ranking = Ranking(depth=depth)
        for name, allowed in (("no filter", every), ("7 of 8 collections", seven), ("1 of 8 collections", one)):
            lines.append(
                timed(
                    f"hybrid, depth {depth}, {name}",
                    lambda q, r=ranking, a=allowed: r.rank(q, K, a, sparse=index, dense=space),  # type: ignore[misc]
                    queries,
                )
            )
    return [
        f"## The whole search\n\nFrom the words of the question to {K} ranked rows: encoding, both indexes one after the other, convex"
        f" fusion; vectors searched by {auto.kind}. Passages are not read and nothing is reranked.",
        table(lines, None, ""),
    ]
