"""A grid of configurations without repetitions."""

from __future__ import annotations

import pytest

from app.eval_grid import grid
from core.errors import InvalidRequest


def test_a_fusion_stands_with_hybrid_only_and_what_is_cut_anew_is_not_reranked() -> None:
    found = grid(["bm25", "hybrid"], ["convex", "rrf"], [False, True], [None, "fixed"])
    assert [c.label() for c in found] == [
        "bm25",
        "bm25, reranked",
        "hybrid convex",
        "hybrid convex, reranked",
        "hybrid rrf",
        "hybrid rrf, reranked",
        "bm25, fixed",
        "hybrid convex, fixed",
        "hybrid rrf, fixed",
    ]
    for configuration in found:
        configuration.check()


def test_strategies_make_a_grid_of_their_own() -> None:
    assert [c.strategy for c in grid(strategies=["extract", "rag", "extract"])] == ["extract", "rag"]
    with pytest.raises(InvalidRequest, match="grid of them alone"):
        grid(["bm25"], strategies=["extract"])


def test_an_empty_grid_is_an_error() -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        grid([])
