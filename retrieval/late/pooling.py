"""Fewer token vectors per passage: neighbours that say much the same become one. Knows vectors, not where they go."""

from __future__ import annotations

import numpy as np

from core.types import Vectors

POOLING = 3  # tokens that become one, unless said otherwise: docs/results/late.md


def pool_neighbours(vectors: Vectors, factor: int) -> Vectors:
    """The normalised mean of each run of ``factor`` tokens.

    Sequential pooling of Clavié, Chaffin and Adams, "Reducing the footprint of multi-vector retrieval with minimal
    performance impact via token pooling" (2024), section 3.

    Args:
        vectors: (n, dim), L2-normalised rows.
        factor: 1 changes nothing.

    Returns:
        (⌈n / factor⌉, dim), L2-normalised rows.
    """
    if factor <= 1 or len(vectors) <= 1:
        return vectors
    starts = np.arange(0, len(vectors), factor)
    sums = np.add.reduceat(vectors, starts, axis=0)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    found: Vectors = (sums / np.maximum(norms, 1e-12)).astype(np.float32)
    return found
