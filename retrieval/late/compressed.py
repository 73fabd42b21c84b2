"""A retriever by late interaction: candidates by centroids, then MaxSim over decompressed tokens.

    all that is allowed ──centroids──▶ best by estimate ──centroid interaction──▶ fewer ──exact──▶ k

The stages are PLAID's (Santhanam et al., "PLAID: An efficient engine for late interaction retrieval", CIKM 2022), the first one's
estimate is WARP's. No other index takes part: what no dense or term search would find can be found here. Where the
filter leaves no more than a stage would pass on, that stage is left out, so a narrow filter is searched exactly.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.late_interaction import inner_products
from core.types import Allowed, Vectors
from retrieval.late.checks import check_passages, check_question
from retrieval.late.codec import Codec, Codes, Packed
from retrieval.late.pooling import pool_neighbours
from retrieval.late.segment import Positions, Segment, make_segment

PROBES = 32  # centroids looked up per query token; PLAID has 1 to 4 of sixteen times as many
NEAR = 1024  # passages that the first stage passes on, at least
EXACT = 256  # passages whose tokens are decompressed, at least
_PER_HIT = 4  # of either, per hit that is asked for

# Rows, tokens of each, and their compressed form: what a file of an index holds.
Content = tuple[NDArray[np.int64], NDArray[np.int64], Codes, Packed]


@dataclass(frozen=True, slots=True)
class _State:
    segments: tuple[Segment, ...]
    owner: NDArray[np.int32]  # by row: the number of the segment that has it, 0 if none has

    def positions(self, segment: Segment, allowed: Allowed | None = None) -> Positions:
        """Those of a segment that count, and are allowed."""
        counts = self.owner[segment.rows] == segment.number
        if allowed is not None:
            inside = segment.rows < len(allowed.rows)
            counts &= inside
            counts[inside] &= allowed.rows[segment.rows[inside]]
        return np.flatnonzero(counts)


class CompressedLateIndex:
    """A ``core.protocols.LateIndex``. One thread adds; any number search and remove meanwhile.

    Args:
        codec: trained; what it compresses is all that is kept.
        pooling: tokens that become one, see ``retrieval.late.pooling``.
    """

    def __init__(self, codec: Codec, pooling: int = 1) -> None:
        self.codec = codec
        self.pooling = pooling
        self._lock = threading.Lock()
        self._numbers = 0
        self._state = _State((), np.zeros(1024, dtype=np.int32))

    # ------------------------------------------------------------ what it holds

    def __len__(self) -> int:
        return int(np.count_nonzero(self._state.owner))

    @property
    def n_tokens(self) -> int:
        """Compressed tokens, those of removed passages included until they are cleared away."""
        return sum(len(s.codes) for s in self._state.segments)

    @property
    def nbytes(self) -> int:
        """In memory, with the lists that a file does not hold."""
        return sum(s.nbytes for s in self._state.segments) + self._state.owner.nbytes

    def rows(self) -> NDArray[np.int64]:
        """Every row that it has, ascending."""
        return np.flatnonzero(self._state.owner)

    def holds(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of ``rows`` it has."""
        owner = self._state.owner
        found = rows < len(owner)
        found[found] = owner[rows[found]] > 0
        return found

    # ------------------------------------------------------------ changing

    def add(self, rows: NDArray[np.int64], tokens: Sequence[Vectors]) -> None:
        """Compresses and takes in passages, visible when it returns; a row that is there already is replaced.

        Raises:
            InvalidRequest: shapes that do not fit, or a row twice in one call.
        """
        check_passages(rows, tokens, self.codec.dim)
        if not len(rows):
            return
        pooled = [pool_neighbours(vectors, self.pooling) for vectors in tokens]
        codes, packed = self.codec.encode(np.concatenate(pooled))
        lengths = np.array([len(vectors) for vectors in pooled], dtype=np.int64)
        self.add_compressed((rows.astype(np.int64), lengths, codes, packed))

    def add_compressed(self, content: Content) -> None:
        """Takes in what ``content`` of an index with the same codec returned."""
        if not len(content[0]):
            return
        segment = self._segment(content)
        with self._lock:
            owner = _grown(self._state.owner, int(segment.rows.max()) + 1)
            owner[segment.rows] = segment.number
            self._state = _State((*self._state.segments, segment), owner)
        while self._merge_two():
            pass

    def remove(self, rows: Sequence[int]) -> None:
        """Hides rows at once; unknown ones are ignored. Their room is given back when segments are merged."""
        wanted = np.asarray(rows, dtype=np.int64)
        with self._lock:
            owner = self._state.owner
            owner[wanted[wanted < len(owner)]] = 0

    def content(self) -> Content:
        """All that counts, in one piece, for a file."""
        state = self._state
        return _joined([s.take(state.positions(s)) for s in state.segments], self.codec)

    def _merge_two(self) -> bool:
        """Joins the last two segments where the newer is not much smaller: so there are few, and adding stays cheap."""
        before = self._state
        if len(before.segments) < 2 or 2 * len(before.segments[-1].rows) < len(before.segments[-2].rows):
            return False
        *rest, older, newer = before.segments
        parts = [s.take(before.positions(s)) for s in (older, newer)]
        merged = self._segment(_joined(parts, self.codec))
        with self._lock:
            owner = self._state.owner.copy()
            # What was removed while they were joined stays removed.
            mine = merged.rows[np.isin(owner[merged.rows], (older.number, newer.number))]
            owner[mine] = merged.number
            self._state = _State((*rest, merged), owner)
        return True

    def _segment(self, content: Content) -> Segment:
        self._numbers += 1
        return make_segment(self._numbers, *content, len(self.codec.centroids))

    # ------------------------------------------------------------ searching

    def search(self, query: Vectors, k: int, allowed: Allowed) -> list[tuple[int, float]]:
        """(row, MaxSim per query token), best first, ties by smaller row.

        Args:
            query: (n_query_tokens, dim).

        Raises:
            InvalidRequest: ``k`` is less than 1, or the query has another dimension.
        """
        asked = self.codec.project(check_question(query, k, self.codec.dim))
        centroid_scores: Vectors = inner_products(asked, self.codec.centroids)  # (n_query_tokens, n_centroids)
        state = self._state
        candidates = [(s, state.positions(s, allowed)) for s in state.segments]
        if _count(candidates) > (wanted := max(NEAR, _PER_HIT * k)):
            candidates = _best(candidates, [s.estimated(centroid_scores, PROBES)[p] for s, p in candidates], wanted)
        if _count(candidates) > (wanted := max(EXACT, _PER_HIT * k)):
            candidates = _best(candidates, [s.by_centroids(centroid_scores, p) for s, p in candidates], wanted)
        scores = [s.max_sims(self.codec, asked, centroid_scores, p) / len(asked) for s, p in candidates]
        rows = np.concatenate([s.rows[p] for s, p in candidates] or [np.empty(0, np.int64)])
        values = np.concatenate(scores or [np.empty(0, np.float32)]).astype(np.float64)
        order = np.lexsort((rows, -values))[:k]
        return list(zip(rows[order].tolist(), values[order].tolist(), strict=True))


def _count(candidates: Sequence[tuple[Segment, Positions]]) -> int:
    return sum(len(positions) for _, positions in candidates)


def _best(
    candidates: Sequence[tuple[Segment, Positions]], scores: Sequence[NDArray[np.float32]], wanted: int
) -> list[tuple[Segment, Positions]]:
    """The ``wanted`` candidates with the best scores."""
    everything = np.concatenate(scores)
    least = np.partition(everything, len(everything) - wanted)[len(everything) - wanted]
    room = wanted - int(np.count_nonzero(everything > least))  # for those that equal the last
    found = []
    for (segment, positions), mine in zip(candidates, scores, strict=True):
        taken = mine > least
        level = np.flatnonzero(mine == least)[:room]
        taken[level] = True
        room -= len(level)
        found.append((segment, positions[taken]))
    return found


def _joined(parts: Sequence[Content], codec: Codec) -> Content:
    nothing: Content = (
        np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint16),
        np.empty((0, codec.bytes_per_token - 2), np.uint8),
    )  # fmt: skip
    rows, lengths, codes, packed = zip(nothing, *parts, strict=True)
    return np.concatenate(rows), np.concatenate(lengths), np.concatenate(codes), np.concatenate(packed)


def _grown(owner: NDArray[np.int32], needed: int) -> NDArray[np.int32]:
    """A copy with room for ``needed`` rows."""
    found = np.zeros(max(needed + needed // 4, len(owner)), dtype=np.int32)
    found[: len(owner)] = owner
    return found
