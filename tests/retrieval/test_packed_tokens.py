"""Packed token vectors: what the form keeps, and what of a store goes in and out of it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.late_interaction import max_sim, max_sims
from retrieval.late import packed as packing
from retrieval.late.packed import mean_max_sims, pack, turn, unpack
from retrieval.late.pooling import POOLING, pool_neighbours


def unit_vectors(n: int, dim: int, seed: int = 0) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.parametrize("dim", [384, 768, 16, 10, 5])
def test_a_turn_keeps_every_inner_product(dim: int) -> None:
    vectors = unit_vectors(20, dim)
    assert np.abs(turn(vectors) @ turn(vectors).T - vectors @ vectors.T).max() < 1e-5


def test_four_bits_keep_a_vector_to_one_part_in_a_hundred() -> None:
    vectors = unit_vectors(300, 384)
    back = unpack(pack(vectors), 384)
    pooled = turn(pool_neighbours(vectors, POOLING))
    # Max 1960: a normal distribution in 16 equal steps has a mean squared error of 0.01154 σ².
    assert float(np.square(back - pooled).sum(axis=1).mean()) == pytest.approx(0.01154, rel=0.05)


@pytest.mark.parametrize(
    ("n", "dim", "shape"), [(7, 384, (3, 192)), (1, 384, (1, 192)), (3, 5, (1, 3)), (0, 8, (0, 4))]
)
def test_so_many_bytes_hold_so_many_tokens(n: int, dim: int, shape: tuple[int, int]) -> None:
    assert pack(unit_vectors(n, dim)).shape == shape  # ⌈n / 3⌉ tokens, half a byte a dimension


def test_max_sim_of_many_is_that_of_each() -> None:
    query = unit_vectors(9, 32, 1)
    passages = [unit_vectors(n, 32, n) for n in (4, 1, 0, 17)]
    assert max_sims(query, passages) == pytest.approx([max_sim(query, p) for p in passages], abs=1e-5)
    assert max_sims(query, []).shape == (0,)


def test_packed_passages_score_as_their_vectors_do(monkeypatch: pytest.MonkeyPatch) -> None:
    query = unit_vectors(9, 384, 1)
    passages = [unit_vectors(n, 384, n) for n in (40, 1, 130, 7)]
    exact = max_sims(query, [pool_neighbours(p, POOLING) for p in passages]) / len(query)
    found = mean_max_sims(query, [pack(p) for p in passages])
    assert np.abs(found - exact).max() < 0.01
    monkeypatch.setattr(packing, "_UNPACKED_ROWS", 5)  # block by block it is the same
    assert mean_max_sims(query, [pack(p) for p in passages]) == pytest.approx(found, abs=1e-6)
    assert mean_max_sims(query, [pack(query[:0])]).tolist() == [0.0]
