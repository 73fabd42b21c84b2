"""One query, some indexes, one ranked list of rows: the part of retrieval that knows neither people nor documents."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from core.errors import InvalidRequest, NotReady
from core.legible import reads
from core.protocols import DenseIndex, Encoder, LateIndex, SparseIndex
from core.types import WHOLE, Allowed, Having, StagePart, Vectors
from retrieval.fuse import Ranked, convex, rrf
from retrieval.fusion_weights import FusionWeights, Trust
from retrieval.late.reading import read_query as read_tokens
from retrieval.search_record import Fusion, SearchRecord, Stage
from retrieval.sparse.quoted import is_identifiers, read_query
from retrieval.tiers import tiered, whole_parts

MAX_K = 1000
# What an encoder makes of "CVE-2026-27628" says little; with so small a weight, passages that have it whole stay first.
IDENTIFIER_ALPHA = 0.2
# Of a query that no encoder here can read: its vectors only say what comes after that which shares a word with it.
SPELT_ALPHA = 0.1
_BELOW = 1e-6  # how far each row that was not fused stands below the one before it; the least that is fused is worth 0

RankerName = Literal["bm25", "tfidf", "dense", "late", "hybrid"]
RANKERS: tuple[RankerName, ...] = ("bm25", "tfidf", "dense", "late", "hybrid")


@dataclass(frozen=True, slots=True)
class RankedRow:
    """``parts`` has rank and score of every stage that found the row."""

    row: int
    score: float
    parts: dict[str, StagePart] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorSpace:
    """An encoder with the index of what it encoded."""

    encoder: Encoder
    index: DenseIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpace:
    """An encoder with the index of the tokens that it read."""

    encoder: Encoder
    index: LateIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """How rows are ranked. ``depth`` is how many rows of each list are fused, however many are asked for; ``alpha`` the
    weight of dense."""

    name: RankerName = "hybrid"
    fusion: Literal["convex", "rrf"] = "convex"
    alpha: float = 0.5
    rrf_k: int = 60
    depth: int = 1000
    passages: tuple[str, ...] = ()  # what is imagined as an answer: see ``query_vector``

    @property
    def source(self) -> str:
        """The stage that gives the final order."""
        return "fused" if self.name == "hybrid" else self.name

    @property
    def weights(self) -> FusionWeights:
        return FusionWeights(fusion=self.fusion, alpha=self.alpha, rrf_k=self.rrf_k, depth=self.depth)

    def fused_by(self, weights: FusionWeights | None) -> Ranking:
        """The same with other weights; None changes nothing."""
        if weights is None:
            return self
        return replace(self, fusion=weights.fusion, alpha=weights.alpha, rrf_k=weights.rrf_k, depth=weights.depth)

    def near(self, passages: Sequence[str]) -> Ranking:
        """The same, looking near what was imagined as an answer. Raises InvalidRequest where no vectors are searched."""
        if self.name not in ("dense", "hybrid"):
            raise InvalidRequest(
                f"hyde looks near imagined passages, which {self.name} cannot: choose dense or hybrid", code="no-hyde"
            )
        return replace(self, passages=tuple(passages))

    def rank(
        self,
        query: str,
        k: int,
        allowed: Allowed,
        *,
        sparse: SparseIndex | None,
        dense: Sequence[VectorSpace] = (),
        late: TokenSpace | None = None,
        record: SearchRecord | None = None,
    ) -> list[RankedRow]:
        """The best ``k`` allowed rows, best first; the best ten are the same whether ten are asked for or a thousand. A query in
        quotes finds that alone wherever a term index takes part, and rows that have a phrase within a longer query, or the identifiers
        that it consists of, come first.

        Args:
            sparse: needed by bm25 and tfidf; hybrid goes on without one that is being rebuilt.
            dense: needed by dense and hybrid; more than one where documents were encoded by different encoders.
            late: needed by late.
            record: is told what each stage found, and how long it took.

        Raises:
            NotReady: hybrid, without a term index that could tell who has a quoted phrase.
        """
        note = _Note(record, allowed)
        fetched = max(k, self.depth) if self.name == "hybrid" else k
        if self.name == "hybrid" and read_query(query).required:
            if sparse is None:
                raise NotReady(
                    "the term index is being built anew, and a phrase in quotes needs it: try again in a moment, or leave "
                    "the quotes out"
                )
            allowed = sparse.narrowed(query, allowed)
        found: dict[str, Ranked] = {}
        if sparse is not None and self.name not in ("dense", "late"):
            stage = "tfidf" if self.name == "tfidf" else "bm25"
            found[stage] = note(stage, lambda: sparse.search(query, fetched, allowed))
        if dense and self.name in ("dense", "hybrid"):
            found["dense"] = note("dense", lambda: _nearest(query, fetched, allowed, dense, self.passages))
        if late is not None and self.name == "late":
            found["late"] = note("late", lambda: late.index.search(read_tokens(late.encoder, query), k, allowed))
        if self.name != "hybrid":
            ranked = found.get(self.name, ())
            having = _having(query, ranked, sparse, allowed)
            whole = whole_parts(having)
            return [
                RankedRow(
                    row,
                    score,
                    {self.name: StagePart(rank=rank, score=score), **({WHOLE: whole[row]} if row in whole else {})},
                )
                for rank, (row, score) in enumerate(tiered(ranked, having.tiers, 0.0)[:k], start=1)
            ]
        how = self.fused_by(self.weights.within(trust_in_vectors(query, dense)))
        deeper: dict[int, dict[str, StagePart]] = {}
        having = Having()

        def join() -> list[tuple[int, float]]:
            nonlocal having
            joined = how._fused(found, deeper)
            having = replace(_having(query, joined, sparse, allowed), worth=how._most(len(found)))
            return tiered(joined, having.tiers, having.worth) if having.tiers else joined

        fused = note("fused", join)
        if record is not None:
            weights = {"bm25": 1.0 - how.alpha, "dense": how.alpha}
            record.fusion = Fusion(kind=how.fusion, weights=weights, rrf_k=how.rrf_k, depth=how.depth, having=having)
        top = fused[:k]
        parts: dict[int, dict[str, StagePart]] = {row: deeper.get(row, {}) for row, _ in top}
        for row, part in whole_parts(having).items():
            if row in parts:
                parts[row][WHOLE] = part
        for stage, ranked in (*((stage, ranked[: how.depth]) for stage, ranked in found.items()), ("fused", top)):
            for rank, (row, score) in enumerate(ranked, start=1):
                if row in parts:
                    parts[row][stage] = StagePart(rank=rank, score=score)
        return [RankedRow(row, score, parts[row]) for row, score in top]

    def _most(self, n_lists: int) -> float:
        """The most that the lists together can give to a row."""
        return 1.0 if self.fusion == "convex" else n_lists / (self.rrf_k + 1)

    def _fused(self, found: Mapping[str, Ranked], deeper: dict[int, dict[str, StagePart]]) -> list[tuple[int, float]]:
        """The first ``depth`` of each list fused; below them what lies deeper, by its better rank.

        A list that is read deeper is scaled by another last score, so to fuse all that was asked for would give ten other
        hits to whoever asks for more.

        Args:
            deeper: is given, of each row below, the rank and score by which it stands where it does.
        """
        match self.fusion:
            case "convex":
                fused = convex(found.get("bm25", ()), found.get("dense", ()), self.alpha, self.depth)
            case "rrf":
                fused = rrf(found, self.rrf_k, self.depth)
        known = {row for row, _ in fused} if any(len(ranked) > self.depth for ranked in found.values()) else set()
        for at in range(self.depth, max(map(len, found.values()), default=0)):
            for stage, ranked in found.items():
                if at < len(ranked) and (row := ranked[at][0]) not in known:
                    known.add(row)
                    deeper[row] = {stage: StagePart(rank=at + 1, score=ranked[at][1])}
                    fused.append((row, -_BELOW * len(deeper)))
        return fused


def trust_in_vectors(query: str, dense: Sequence[VectorSpace]) -> Trust:
    """What vectors of these encoders can say of a query: little of an identifier, next to nothing of what none can read."""
    if dense and not any(reads(space.encoder.tokenizer, query) for space in dense):
        return Trust(alpha=SPELT_ALPHA, ranks=False)
    return Trust(alpha=IDENTIFIER_ALPHA) if is_identifiers(query) else Trust()


def _having(query: str, ranked: Ranked, sparse: SparseIndex | None, allowed: Allowed) -> Having:
    return Having() if sparse is None else sparse.having(query, [row for row, _ in ranked], allowed)


class _Note:
    """Runs a stage, and notes down what came of it if somebody wants to know."""

    def __init__(self, record: SearchRecord | None, allowed: Allowed) -> None:
        self._record = record
        if record is not None:
            record.begin()
            record.allowed = allowed

    def __call__(self, name: str, stage: Callable[[], list[tuple[int, float]]]) -> list[tuple[int, float]]:
        if self._record is None:
            return stage()
        began = time.perf_counter()
        ranked = stage()
        self._record.stages.append(Stage(name=name, candidates=len(ranked), seconds=time.perf_counter() - began))
        self._record.lists[name] = ranked
        return ranked


def query_vector(encoder: Encoder, query: str, passages: Sequence[str] = ()) -> Vectors:
    """(1, dim), L2-normalised: the query's own vector, or with ``passages`` the mean (q + Σ d_i) / (n + 1) of it and theirs.

    Gao et al. 2022 (HyDE). The query is encoded as a query, the passages as documents.
    """
    own = encoder.encode_queries([query])
    if not passages:
        return own
    mean = np.concatenate([own, encoder.encode_documents(passages)]).mean(axis=0, keepdims=True)
    scaled: Vectors = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
    return scaled


def _nearest(
    query: str, k: int, allowed: Allowed, spaces: Sequence[VectorSpace], passages: Sequence[str]
) -> list[tuple[int, float]]:
    """(row, cosine), best first. Cosines of two encoders are compared as they are, for want of anything better."""
    found = [hit for s in spaces for hit in s.index.search(query_vector(s.encoder, query, passages), k, allowed)[0]]
    if len(spaces) > 1:
        found.sort(key=lambda hit: (-hit[1], hit[0]))
    return found[:k]


def check_query(query: str, k: int) -> None:
    """Raises InvalidRequest for an empty query or a ``k`` out of bounds."""
    if not query.strip():
        raise InvalidRequest("the query is empty: write what you are looking for", code="empty-query")
    if not 1 <= k <= MAX_K:
        raise InvalidRequest(f"k = {k} is out of range: ask for 1 to {MAX_K} hits", code="bad-k")


def check_ranker(name: str) -> RankerName:
    """Raises InvalidRequest for a retriever that there is not."""
    for known in RANKERS:
        if name == known:
            return known
    raise InvalidRequest(f"unknown retriever {name!r}: choose {', '.join(RANKERS)}", code="unknown-retriever")
