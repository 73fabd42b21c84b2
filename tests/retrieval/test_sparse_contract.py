"""Every term index keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.sparse.bm25_reference import Bm25Reference
from retrieval.sparse.rank_bm25 import RankBm25Index
from retrieval.sparse.tantivy import TantivyIndex
from retrieval.sparse.tfidf import TfidfIndex
from tests.contract.sparse_index_suite import CommittingIndex, SparseIndexSuite


class TestTantivyInMemory(SparseIndexSuite):
    @pytest.fixture
    def index(self) -> Iterator[CommittingIndex]:
        index = TantivyIndex(None)
        yield index
        index.close()


class TestTantivyOnDisk(SparseIndexSuite):
    @pytest.fixture
    def index(self, tmp_path: Path) -> Iterator[CommittingIndex]:
        index = TantivyIndex(tmp_path / "bm25")
        yield index
        index.close()


class TestBm25Reference(SparseIndexSuite):
    @pytest.fixture
    def index(self) -> CommittingIndex:
        return Bm25Reference()


class TestRankBm25(SparseIndexSuite):
    @pytest.fixture
    def index(self) -> CommittingIndex:
        return RankBm25Index()


class TestTfidf(SparseIndexSuite):
    @pytest.fixture
    def index(self) -> CommittingIndex:
        return TfidfIndex()
