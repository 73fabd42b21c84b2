from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client import Client
from tests.support.servers import RunningServer, openbook_server
from tests.support.team import Team, team


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[RunningServer]:
    """One real server for the tests that do not need their own; each test makes its own collection."""
    with openbook_server(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with server.client() as found:
        yield found


@pytest.fixture(scope="session")
def signed_in(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[Team]:
    """One real server where people sign in, with its first administrator."""
    with team(tmp_path_factory.mktemp("team"), env={"OPENBOOK_RERANKER": "none", "OPENBOOK_VERIFIER": "rules"}) as made:
        yield made
