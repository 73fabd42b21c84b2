"""Token vectors in a form that is stored and compared: pooled, turned, four bits a dimension. Knows vectors, not passages.

A passage's vectors are packed by themselves, with nothing learnt from others, so that they can be stored when they are made
and never have to be made anew because there are more of them. (``retrieval.late.codec`` needs half of the room and is
trained on what it compresses: it is for an index that finds, which has centroids anyway.) The token vectors of a
passage that was read just now are packed, too: stored or read, its score is the same.

A turn by a Hadamard matrix makes the values of normalised vectors much like a normal distribution of σ = 1/√dim, for which
the best step of a uniform quantiser is known (Max, "Quantizing for minimum distortion", 1960). As in QuaRot (Ashkboos et
al. 2024), without its random signs. Inner products of turned vectors are those of the vectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.late_interaction import best_of_each, inner_products
from core.types import Vectors
from retrieval.late.pooling import POOLING, pool_neighbours

VERSION = 1  # of what a packed passage is: part of every name that it is kept under

Packed: TypeAlias = NDArray[np.uint8]  # (n, ⌈dim / 2⌉): two values in a byte, the first one high

_LEVELS = 16
_STEP_OF_SIGMA = 0.3352  # Max 1960, table II, 16 levels
_UNPACKED_ROWS = 128  # at once: 200 kB at 384 dimensions, which stay in the processor's cache until they are compared
# Both values of a byte, as one number of eight bytes: numpy looks up numbers ten times as fast as rows.
_HIGH_LOW = (
    np.stack([np.arange(256) >> 4, np.arange(256) & 15], axis=1).astype(np.float32) - np.float32(_LEVELS - 1) / 2
)
_PAIRS = np.ascontiguousarray(_HIGH_LOW).view(np.float64)[:, 0]


def pack(vectors: Vectors) -> Packed:
    """
    Args:
        vectors: (n, dim), L2-normalised rows, a row for each token.

    Returns:
        (⌈n / POOLING⌉, ⌈dim / 2⌉)
    """
    turned = turn(pool_neighbours(vectors, POOLING))
    top = _LEVELS - 1
    levels = np.clip(np.rint(turned / _step(vectors.shape[1]) + top / 2), 0, top).astype(np.uint8)
    if levels.shape[1] % 2:
        levels = np.pad(levels, ((0, 0), (0, 1)))
    packed: Packed = levels[:, ::2] << 4 | levels[:, 1::2]
    return packed


def packed_width(dim: int) -> int:
    """Bytes of one vector."""
    return -(-dim // 2)


def unpack(packed: Packed, dim: int) -> Vectors:
    """(n, dim), turned: to be compared with what ``turn`` gives."""
    return _levels(packed, dim) * _step(dim)


def unpack_pooled(packed: Packed, dim: int) -> Vectors:
    """(n, dim): the pooled vectors themselves, as near as four bits are. A turn is its own inverse: its matrix is symmetric."""
    return turn(unpack(packed, dim))


def turn(vectors: Vectors) -> Vectors:
    """(n, dim) by a fixed orthogonal matrix: Hadamard blocks of the largest power of two that divides dim."""
    dim = vectors.shape[1]
    size = dim & -dim
    blocks = vectors.astype(np.float32, copy=False).reshape(len(vectors), dim // size, size)
    found: Vectors = (blocks @ _hadamard(size)).reshape(len(vectors), dim)
    return found


def mean_max_sims(query: Vectors, passages: Sequence[Packed]) -> NDArray[np.float64]:
    """MaxSim of the query with each passage, by the number of the query's tokens; about in [-1, 1].

    Args:
        query: (n_query_tokens, dim), as the encoder gives them.
        passages: one without tokens has 0.

    Returns:
        (n_passages,)
    """
    if not len(query):
        return np.zeros(len(passages), np.float64)
    found: NDArray[np.float64] = max_sims(query, passages).mean(axis=1).astype(np.float64)
    return found


def max_sims(query: Vectors, passages: Sequence[Packed]) -> NDArray[np.float32]:
    """(n_passages, n_query_tokens): each token's best match in each passage; 0 in one without tokens."""
    found = np.zeros((len(passages), len(query)), np.float32)
    some = [i for i, packed in enumerate(passages) if len(packed)]
    if not len(query) or not some:
        return found
    asked = turn(query) * _step(query.shape[1])
    every = np.concatenate([passages[i] for i in some])
    room = np.empty((min(_UNPACKED_ROWS, len(every)), every.shape[1]), np.float64)
    similar = np.empty((len(every), len(query)), np.float32)
    for start in range(0, len(every), len(room)):
        block = every[start : start + len(room)]
        similar[start : start + len(block)] = inner_products(_levels(block, query.shape[1], room[: len(block)]), asked)
    found[some] = best_of_each(similar, [len(passages[i]) for i in some])
    return found


def _levels(packed: Packed, dim: int, room: NDArray[np.float64] | None = None) -> Vectors:
    """(n, dim) turned, in steps of the quantiser.

    Args:
        room: where they are written, of the shape of ``packed``; None is new memory.
    """
    # A byte is always in range, and "clip" lets numpy write into ``room`` without a copy of its own.
    found: Vectors = _PAIRS.take(packed, out=room, mode="clip").view(np.float32)[:, :dim]
    return found


def _step(dim: int) -> np.float32:
    return np.float32(_STEP_OF_SIGMA / math.sqrt(dim))


def _hadamard(size: int) -> NDArray[np.float32]:
    """(size, size) orthogonal, for a power of two; Sylvester's construction."""
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix / np.float32(math.sqrt(size))
