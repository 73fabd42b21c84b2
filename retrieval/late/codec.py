"""Token vectors in few bytes: a nearest centroid and what is left, quantised. Knows vectors, not passages.

As in ColBERTv2 (Santhanam et al., "ColBERTv2: Effective and efficient retrieval via lightweight late interaction",
NAACL 2022, section 3.3), with two differences. The quantiser's levels are equally far apart (Max, "Quantizing for minimum distortion", 1960), which
makes a residual linear in its bits: an inner product with it is one with the bits, and nothing is decompressed to be
compared. And vectors are first turned to their principal directions, of which fewer can be kept: that is what an encoder
of more dimensions needs (with MiniLM's 384, keeping fewer lost more than it saved).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import faiss
import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest
from core.types import Vectors

Bits = Literal[1, 2, 4]
Codes = NDArray[np.uint16]  # (n,): the centroid of each token
Packed = NDArray[np.uint8]  # (n, bytes_per_token - 2): its residual

# Δ/σ of the uniform quantiser of a normal distribution with the least mean squared error; Max 1960, table II.
_STEP_OF_SIGMA: dict[Bits, float] = {1: 1.596, 2: 0.9957, 4: 0.3352}

MAX_CENTROIDS = 4096  # assigning a token costs 2 · dim · centroids operations: beyond this more than encoding it
_POINTS_PER_CENTROID = 32
_ITERATIONS = 6
_SEED = 20


def centroids_for(n_tokens: int) -> int:
    """4 · √n as a power of two, at most ``MAX_CENTROIDS`` (ColBERTv2 has 16 · √n, which takes a GPU to make)."""
    wanted = 2 ** round(math.log2(max(1.0, 4 * math.sqrt(n_tokens))))
    return int(max(1, min(wanted, MAX_CENTROIDS, n_tokens // 2)))


def sample_size(n_tokens: int) -> int:
    """How many of so many tokens a codec is trained on."""
    return min(n_tokens, _POINTS_PER_CENTROID * centroids_for(n_tokens))


@dataclass(frozen=True, slots=True)
class Codec:
    """Compresses token vectors of one encoder."""

    bits: Bits
    projection: Vectors  # (dim, reduced): orthonormal columns
    centroids: Vectors  # (n_centroids, reduced)
    step: Vectors  # (reduced,): Δ of each dimension
    trained_on: int  # tokens there were to compress then

    @property
    def dim(self) -> int:
        """Of what is given to ``project``."""
        return int(self.projection.shape[0])

    @property
    def reduced(self) -> int:
        return int(self.projection.shape[1])

    @property
    def bytes_per_token(self) -> int:
        return 2 + -(-self.reduced * self.bits // 8)

    def project(self, vectors: Vectors) -> Vectors:
        """(n, dim) → (n, reduced). Inner products stay what they were as far as these directions hold them."""
        found: Vectors = vectors.astype(np.float32, copy=False) @ self.projection
        return found

    def encode(self, vectors: Vectors) -> tuple[Codes, Packed]:
        """Compresses (n, dim)."""
        projected = self.project(vectors)
        codes = nearest(self.centroids, projected)
        residual = projected - self.centroids[codes]
        top = (1 << self.bits) - 1
        levels = np.clip(np.rint(residual / self.step + top / 2), 0, top).astype(np.uint8)  # (n, reduced)
        shifts = np.arange(self.bits - 1, -1, -1, dtype=np.uint8)
        planes = (levels[:, :, None] >> shifts) & 1  # (n, reduced, bits), the highest first
        return codes, np.packbits(planes.reshape(len(levels), -1), axis=1)

    def bits_of(self, packed: Packed) -> NDArray[np.float32]:
        """(n, reduced · bits) of 0 and 1."""
        count = self.reduced * self.bits
        return np.unpackbits(packed, axis=1, count=count).astype(np.float32)

    def bit_weights(self, query: Vectors) -> tuple[Vectors, NDArray[np.float32]]:
        """How a projected query meets residuals: q · r = bits · w + c.

        r_d = Δ_d · (Σ_b 2^b · bit_db - (2^bits - 1) / 2), so w_db = q_d · Δ_d · 2^b and c = -Σ_d q_d · Δ_d · (2^bits - 1) / 2.

        Args:
            query: (n_query_tokens, reduced).

        Returns:
            w (n_query_tokens, reduced · bits) and c (n_query_tokens,).
        """
        scaled = query * self.step
        powers = 2.0 ** np.arange(self.bits - 1, -1, -1, dtype=np.float32)
        weights = (scaled[:, :, None] * powers).reshape(len(query), -1).astype(np.float32)
        return weights, -scaled.sum(axis=1) * np.float32(((1 << self.bits) - 1) / 2)

    def decode(self, codes: Codes, packed: Packed) -> Vectors:
        """(n, reduced): centroid and residual, what ``search`` compares with a projected query."""
        planes = self.bits_of(packed).reshape(len(codes), self.reduced, self.bits)
        powers = 2.0 ** np.arange(self.bits - 1, -1, -1, dtype=np.float32)
        residual = (planes @ powers - ((1 << self.bits) - 1) / 2) * self.step
        found: Vectors = (self.centroids[codes] + residual).astype(np.float32)
        return found


def train(sample: Vectors, *, n_tokens: int, bits: Bits = 2, reduced: int = 384) -> Codec:
    """A codec for token vectors like these.

    Args:
        sample: (n, dim), at least one; ``sample_size(n_tokens)`` are enough.
        n_tokens: how many are to be compressed, which decides how many centroids there are.
        reduced: dimensions that are kept; all of them where there are no more.

    Raises:
        InvalidRequest: an empty sample, or numbers out of range.
    """
    if sample.ndim != 2 or not len(sample):
        raise InvalidRequest(f"a codec is trained on (n, dim) token vectors, at least one: got {sample.shape}")
    if bits not in _STEP_OF_SIGMA or reduced < 1:
        raise InvalidRequest(f"bits={bits} and reduced={reduced}: use 1, 2 or 4 bits of 1 dimension or more")
    vectors = sample.astype(np.float32, copy=False)
    # Not centred: inner products are to be kept, not distances from the mean.
    _, directions = np.linalg.eigh(vectors.T @ vectors)  # ascending
    projection = np.ascontiguousarray(directions[:, ::-1][:, :reduced], dtype=np.float32)
    projected = np.ascontiguousarray(vectors @ projection)
    centroids = _k_means(projected, min(centroids_for(n_tokens), len(projected)))
    residual = projected - centroids[nearest(centroids, projected)]
    sigma = np.sqrt(np.mean(np.square(residual), axis=0, dtype=np.float64))
    step = np.maximum(_STEP_OF_SIGMA[bits] * sigma, 1e-6).astype(np.float32)
    return Codec(bits, projection, centroids, step, max(1, n_tokens))


def nearest(centroids: Vectors, vectors: Vectors) -> Codes:
    """The centroid that is nearest to each vector, by Euclidean distance."""
    if not len(vectors):
        return np.empty(0, np.uint16)
    index = faiss.IndexFlatL2(centroids.shape[1])
    index.add(centroids)
    found: Codes = index.search(np.ascontiguousarray(vectors), 1)[1][:, 0].astype(np.uint16)
    return found


def _k_means(vectors: Vectors, k: int) -> Vectors:
    """(k, dim) centroids; the same ones for the same vectors."""
    if k >= len(vectors):
        return vectors
    made = faiss.Kmeans(
        vectors.shape[1], k, niter=_ITERATIONS, seed=_SEED, min_points_per_centroid=1, max_points_per_centroid=256
    )
    made.train(vectors)
    found: Vectors = np.ascontiguousarray(made.centroids, dtype=np.float32).reshape(k, -1)
    return found
