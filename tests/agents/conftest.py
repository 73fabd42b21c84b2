"""What most tests of strategies work with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.offload import Offload
from tests.contract.strategy_suite import HARBOUR, ORCHARD
from tests.support.passages import PassageRetriever


@pytest.fixture
def offload() -> Iterator[Offload]:
    pool = Offload(2)
    yield pool
    pool.close()


@pytest.fixture
def library() -> PassageRetriever:
    return PassageRetriever([ORCHARD, HARBOUR])
