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

from core.late_interaction import best_of_each
from core.types import Vectors
from retrieval.late.pooling import POOLING, pool_neighbours

VERSION = 1  # of what a packed passage is: part of every name that it is kept under

Packed: TypeAlias = NDArray[np.uint8]  # (n, ⌈dim / 2⌉): two values in a byte, the first one high

_LEVELS = 16
_STEP_OF_SIGMA = 0.3352  # Max 1960, table II, 16 levels
_BLOCK_TOKENS = 8192  # unpacked at once: 12 MB at 384 dimensions
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
    found = np.zeros(len(passages), np.float64)
    if not len(query):
        return found
    asked = np.ascontiguousarray(turn(query).T) * _step(query.shape[1])
    some = [i for i, packed in enumerate(passages) if len(packed)]
    for block in _blocks(some, [len(passages[i]) for i in some]):
        similar = _levels(np.concatenate([passages[i] for i in block]), query.shape[1]) @ asked
        found[block] = best_of_each(similar, [len(passages[i]) for i in block]).mean(axis=1)
    return found


def _blocks(items: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
    """``items`` in runs of at most ``_BLOCK_TOKENS``, or of one."""
    found: list[list[int]] = []
    used = 0
    for item, length in zip(items, lengths, strict=True):
        if not found or used + length > _BLOCK_TOKENS:
            found.append([])
            used = 0
        found[-1].append(item)
        used += length
    return found


def _levels(packed: Packed, dim: int) -> Vectors:
    """(n, dim) turned, in steps of the quantiser."""
    found: Vectors = _PAIRS.take(packed).view(np.float32)[:, :dim]
    return found


def _step(dim: int) -> np.float32:
    return np.float32(_STEP_OF_SIGMA / math.sqrt(dim))


def _hadamard(size: int) -> NDArray[np.float32]:
    """(size, size) orthogonal, for a power of two; Sylvester's construction."""
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix / np.float32(math.sqrt(size))
