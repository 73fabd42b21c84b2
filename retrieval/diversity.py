"""Spreads what was found over more than the best document and the best phrase. Wraps any retriever.

The order of stages is fixed: filters and identity within each index, ranking, fusion, parents, near-duplicates, then
(if there is one) reranking, and last what is here: so many hits of one document, then maximal marginal relevance.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.late_interaction import inner_products
from core.protocols import Retriever
from core.types import WHOLE, Hit, Principal, StagePart, Vectors, Where
from retrieval.fuse import minmax
from retrieval.ranking import MAX_K
from retrieval.search_record import Cut, SearchRecord, Stage, found_id
from retrieval.store import Store
from retrieval.tiers import without_tiers

MMR_POOL = 100  # hits that MMR chooses from, or k if that is more
_DEEPER = 4

ReadVectors = Callable[[Principal, Sequence[Hit]], tuple[Vectors, NDArray[np.int64]]]


def stored_vectors(store: Store) -> ReadVectors:
    """Reads what the encoders made of the passages of hits; one without a vector has zeros, and is like nothing."""

    def read(principal: Principal, hits: Sequence[Hit]) -> tuple[Vectors, NDArray[np.int64]]:
        ids = [found_id(hit) for hit in hits]
        found = store.vectors_of(principal, ids, list({hit.chunk.doc_id for hit in hits}))
        revisions = sorted({revision for revision, _ in found.values()})
        dim = max((len(vector) // 4 for _, vector in found.values()), default=1)
        vectors = np.zeros((len(ids), dim), dtype=np.float32)
        encoders = np.full(len(ids), -1, dtype=np.int64)
        for i, chunk_id in enumerate(ids):
            if chunk_id in found:
                revision, packed = found[chunk_id]
                vectors[i, : len(packed) // 4] = np.frombuffer(packed, dtype="<f4")
                encoders[i] = revisions.index(revision)
        return vectors, encoders

    return read


def mmr(
    relevance: Sequence[float],
    similarity: NDArray[np.float32],
    lambda_: float,
    k: int,
    tiers: Sequence[float] | None = None,
) -> list[tuple[int, float]]:
    """Maximal marginal relevance: argmax over what is not chosen of λ · Sim1(i, q) − (1 − λ) · max over chosen j of Sim2(i, j).

    Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering documents and producing
    summaries", SIGIR 1998. The maximum over nothing chosen is 0. Ties go to the earlier one.

    Args:
        relevance: Sim1 of each candidate, (n,).
        similarity: Sim2 of each pair, (n, n).
        lambda_: 1 is relevance alone, 0 novelty alone.
        tiers: of each candidate, (n,); all of a higher one are chosen before any of a lower. None: all are alike.

    Returns:
        (index, its value when it was chosen) of ``k`` candidates, or of all if there are fewer, in order of choice.
    """
    gain = lambda_ * np.asarray(relevance, dtype=np.float64)
    closest = np.full(len(gain), -np.inf)
    open_ = np.ones(len(gain), dtype=np.bool_)
    tier = np.zeros(len(gain)) if tiers is None else np.asarray(tiers, dtype=np.float64)
    chosen: list[tuple[int, float]] = []
    while len(chosen) < min(k, len(gain)):
        value = gain - (1.0 - lambda_) * (closest if chosen else 0.0)
        value[~open_ | (tier < tier[open_].max())] = -np.inf
        best = int(np.argmax(value))
        chosen.append((best, float(value[best])))
        open_[best] = False
        closest = np.maximum(closest, similarity[best])
    return chosen


def cap(hits: Sequence[Hit], most: int, cuts: list[Cut] | None = None) -> list[Hit]:
    """The hits without those that are of a document with ``most`` better ones; ``cuts`` gets what is left out."""
    counts: Counter[str] = Counter()
    kept: list[Hit] = []
    for hit in hits:
        counts[hit.chunk.doc_id] += 1
        if counts[hit.chunk.doc_id] <= most:
            kept.append(hit)
        elif cuts is not None:
            last = next(h for h in reversed(kept) if h.chunk.doc_id == hit.chunk.doc_id)
            cuts.append(Cut(code="per-document", hit=hit, by=found_id(last), value=float(most)))
    return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class DiverseRetriever:
    """A ``core.protocols.Retriever`` that chooses among the hits of another.

    Args:
        mmr_lambda: 1 leaves the order as it is.
        max_per_document: 0 is no bound.
        vectors: the stored vectors of hits, (n, dim), and which encoder's each is, (n,); only MMR asks for them.
    """

    inner: Retriever
    mmr_lambda: float
    max_per_document: int
    vectors: ReadVectors
    record: SearchRecord | None = None

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        """At most ``k`` hits. After MMR they are in the order of choice, and scores need not fall with ranks."""
        cuts: list[Cut] = []
        depth = k if self.mmr_lambda >= 1.0 else max(k, MMR_POOL)
        if self.max_per_document:
            depth = min(_DEEPER * depth, MAX_K)
        while True:
            hits = self.inner.search(query, depth, where)
            began = time.perf_counter()
            cuts.clear()
            kept = cap(hits, self.max_per_document, cuts) if self.max_per_document else hits
            if len(kept) >= k or len(hits) < depth or depth == MAX_K:
                break
            depth = min(_DEEPER * depth, MAX_K)
        if self.max_per_document and self.record is not None:
            self._note("per document", len(kept), began)
            began = time.perf_counter()
        if self.mmr_lambda < 1.0 and kept:
            kept = self._spread(kept, k, where.principal, cuts)
            if self.record is not None:
                self._note("mmr", len(kept), began)
        if self.record is not None:
            self.record.cuts.extend(cuts)
        return [replace(hit, rank=rank) for rank, hit in enumerate(kept[:k], start=1)]

    def _note(self, name: str, candidates: int, began: float) -> None:
        if self.record is not None:
            seconds = time.perf_counter() - began
            self.record.stages.append(Stage(name=name, candidates=candidates, seconds=seconds))

    def _spread(self, hits: Sequence[Hit], k: int, principal: Principal, cuts: list[Cut]) -> list[Hit]:
        vectors, encoders = self.vectors(principal, hits)
        similarity = inner_products(vectors, vectors)  # (n, n)
        # What two encoders made cannot be compared.
        similarity[encoders[:, None] != encoders[None, :]] = 0.0
        # With its tier in the score, one passage with an identifier would leave all others the relevance of the last.
        relevance = [score for _, score in minmax([(i, hit.score) for i, hit in enumerate(without_tiers(hits))])]
        tiers = [hit.parts[WHOLE].score if WHOLE in hit.parts else 0.0 for hit in hits]
        chosen = mmr(relevance, similarity, self.mmr_lambda, k, tiers)
        order = [i for i, _ in chosen]
        last = min(hits[i].score for i in order)
        for i in sorted(set(range(len(hits))) - set(order)):
            if self.record is None or hits[i].score <= last:
                break
            like = max(order, key=lambda j, i=i: similarity[i, j])  # type: ignore[misc]
            cuts.append(Cut(code="mmr", hit=hits[i], by=found_id(hits[like]), value=float(similarity[i, like])))
        return [
            replace(hits[i], source="mmr", parts={**hits[i].parts, "mmr": StagePart(rank=rank, score=value)})
            for rank, (i, value) in enumerate(chosen, start=1)
        ]
