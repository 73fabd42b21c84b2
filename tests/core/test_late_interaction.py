"""Products in pieces are the products."""

from __future__ import annotations

import numpy as np
import pytest

from core.late_interaction import inner_products


@pytest.mark.parametrize(
    ("n", "m", "dim"), [(1, 1, 384), (0, 5, 16), (5, 0, 16), (31, 207, 384), (200, 70, 384), (3, 9, 1 << 17)]
)
def test_products_in_pieces_are_the_products(n: int, m: int, dim: int) -> None:
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=(k, dim)).astype(np.float32) for k in (n, m))
    expected = left.astype(np.float64) @ right.T.astype(np.float64)
    found = inner_products(left, right)
    assert found.shape == (n, m)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, rtol=0, atol=1e-6 * dim)
