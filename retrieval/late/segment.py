"""Some passages' compressed tokens, in one piece that never changes, with the lists by which they are found.

A segment knows positions 0 … n - 1; which rows these are and which of them still count is the index's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.types import Vectors
from retrieval.late.codec import Codec, Codes, Packed

_BLOCK_TOKENS = 4096  # compared at once: 12 MB at 768 bits of a token

Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Segment:
    """``lists`` and ``list_starts`` are made from the rest: the positions that have a token of each centroid."""

    number: int  # tells segments of one index apart
    rows: NDArray[np.int64]  # (n,)
    starts: NDArray[np.int64]  # (n + 1,): tokens of position i are starts[i] … starts[i + 1]
    codes: Codes  # (n_tokens,)
    packed: Packed  # (n_tokens, bytes)
    lists: NDArray[np.int32]
    list_starts: NDArray[np.int64]  # (n_centroids + 1,)

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in (self.rows, self.starts, self.codes, self.packed, self.lists, self.list_starts))

    def estimated(self, centroid_scores: Vectors, probes: int) -> NDArray[np.float32]:
        """(n,): what the nearest centroids of each query token alone say of every passage.

        Σ_i of the best probed centroid of query token i that has a token of the passage; where none has, of the last
        probed one, which is an upper bound of what it was missed by. Imputation as in XTR (Lee et al. 2023) and WARP
        (Scheerer et al. 2025).

        Args:
            centroid_scores: (n_query_tokens, n_centroids).
            probes: centroids looked up per query token.
        """
        n_centroids = centroid_scores.shape[1]
        probes = min(probes, n_centroids)
        best = np.argpartition(-centroid_scores, probes - 1, axis=1)[:, :probes]
        total = np.zeros(len(self.rows), dtype=np.float32)
        for scores, probed in zip(centroid_scores, best, strict=True):
            ascending = probed[np.argsort(scores[probed])]
            mine = np.full(len(self.rows), scores[ascending[0]], dtype=np.float32)
            for centroid in ascending.tolist():  # a better one overwrites
                mine[self.lists[self.list_starts[centroid] : self.list_starts[centroid + 1]]] = scores[centroid]
            total += mine
        return total

    def by_centroids(self, centroid_scores: Vectors, positions: Positions) -> NDArray[np.float32]:
        """(n_positions,): MaxSim with every token at its centroid (PLAID's centroid interaction, Santhanam et al. 2022)."""
        by_centroid = np.ascontiguousarray(centroid_scores.T)
        return self._in_blocks(positions, lambda tokens: by_centroid[self.codes[tokens]])

    def max_sims(
        self, codec: Codec, query: Vectors, centroid_scores: Vectors, positions: Positions
    ) -> NDArray[np.float32]:
        """(n_positions,): MaxSim over the decompressed tokens, exactly.

        Args:
            query: (n_query_tokens, reduced).
            centroid_scores: (n_query_tokens, n_centroids).
        """
        weights, constant = codec.bit_weights(query)
        by_centroid = np.ascontiguousarray((centroid_scores + constant[:, None]).T)
        transposed = np.ascontiguousarray(weights.T)

        def similar(tokens: Positions) -> NDArray[np.float32]:  # (n, n_query_tokens)
            found: NDArray[np.float32] = codec.bits_of(self.packed[tokens]) @ transposed
            found += by_centroid[self.codes[tokens]]
            return found

        return self._in_blocks(positions, similar)

    def take(self, positions: Positions) -> tuple[NDArray[np.int64], NDArray[np.int64], Codes, Packed]:
        """Rows, number of tokens of each, codes and residuals of some of the passages."""
        tokens, lengths = self._tokens(positions)
        return self.rows[positions], lengths, self.codes[tokens], self.packed[tokens]

    def _tokens(self, positions: Positions) -> tuple[Positions, NDArray[np.int64]]:
        """Where the tokens of these passages lie, passage by passage, and how many each has."""
        first, lengths = self.starts[positions], self.starts[positions + 1] - self.starts[positions]
        before = np.cumsum(lengths) - lengths
        return np.arange(int(lengths.sum())) + np.repeat(first - before, lengths), lengths

    def _in_blocks(
        self, positions: Positions, similar: Callable[[Positions], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Σ over query tokens of the largest ``similar`` of each passage's tokens."""
        parts = [np.empty(0, dtype=np.float32)]
        for some in self._blocks(positions):
            tokens, lengths = self._tokens(some)
            best = np.maximum.reduceat(similar(tokens), np.cumsum(lengths) - lengths, axis=0)
            parts.append(best.sum(axis=1))
        return np.concatenate(parts)

    def _blocks(self, positions: Positions) -> Iterator[Positions]:
        """``positions`` in order, some thousand tokens at a time."""
        reached = np.cumsum(self.starts[positions + 1] - self.starts[positions])
        begin = 0
        while begin < len(positions):
            before = int(reached[begin - 1]) if begin else 0
            end = max(begin + 1, int(np.searchsorted(reached, before + _BLOCK_TOKENS, side="right")))
            yield positions[begin:end]
            begin = end


def make_segment(
    number: int, rows: NDArray[np.int64], lengths: NDArray[np.int64], codes: Codes, packed: Packed, n_centroids: int
) -> Segment:
    """
    Args:
        lengths: (n,) tokens of each passage, at least one.
        codes, packed: of all tokens, passage by passage.
    """
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    n = len(rows)
    pairs = np.unique(codes.astype(np.int64) * n + np.repeat(np.arange(n), lengths)) if n else np.empty(0, np.int64)
    list_starts = np.searchsorted(pairs, np.arange(n_centroids + 1, dtype=np.int64) * n)
    lists = (pairs % max(n, 1)).astype(np.int32)
    return Segment(number, rows, starts, codes, packed, lists, list_starts.astype(np.int64))
