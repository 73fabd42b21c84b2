"""Every vector index keeps the contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.types import Vectors
from retrieval.dense.auto import AutoIndex
from retrieval.dense.exact import ExactIndex
from retrieval.dense.hnsw import HnswIndex
from tests.contract.dense_index_suite import DIM, DenseIndexSuite, SizedDenseIndex


class TestExact(DenseIndexSuite):
    @pytest.fixture
    def index(self) -> SizedDenseIndex:
        return ExactIndex(DIM)


class TestHnsw(DenseIndexSuite):
    exact = False

    @pytest.fixture
    def index(self) -> SizedDenseIndex:
        return HnswIndex(DIM, threads=1)


class TestAutoWithoutAGraph(DenseIndexSuite):
    @pytest.fixture
    def index(self) -> SizedDenseIndex:
        return AutoIndex(DIM)


class TestAutoWithAGraph(DenseIndexSuite):
    """Half of each addition is in a graph that has been through a file, half in the delta."""

    exact = False

    @pytest.fixture
    def index(self, tmp_path: Path) -> SizedDenseIndex:
        return _Regenerating(tmp_path / "graph")


class _Regenerating(AutoIndex):
    def __init__(self, file: Path) -> None:
        super().__init__(DIM)
        self._file = file

    def add(self, rows: NDArray[np.int64], vectors: Vectors) -> None:
        half = len(rows) // 2
        if len(set(rows.tolist())) == len(vectors):
            super().add(rows[:half], vectors[:half])
            rows, vectors = rows[half:], vectors[half:]
        graph = HnswIndex(DIM, threads=1)
        graph.build(self.parts())
        graph.save(self._file)
        super().add(rows, vectors)
        self.adopt(HnswIndex.load(self._file, threads=1))
