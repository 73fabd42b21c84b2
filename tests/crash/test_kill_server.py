"""SIGKILL at random moments of real uploads and deletions, against a journal of what was acknowledged.

Nothing acknowledged is lost, nothing deleted comes back, nothing is half visible. ``bench.kills`` does it by the
thousand.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.kills import kill_and_check
from tests.support.servers import openbook_server


@pytest.mark.slow
def test_two_kills_lose_nothing_that_was_acknowledged(tmp_path: Path, model_cache: Path) -> None:
    with openbook_server(tmp_path / "data") as server:
        journal = kill_and_check(server.api_url, server.data_dir, kills=2, seed=7)
    assert journal.accepted
    assert journal.ready
    assert journal.kills.total() == 2


@pytest.mark.slow
@pytest.mark.parametrize("round_", range(29))
def test_two_hundred_kills_lose_nothing_that_was_acknowledged(tmp_path: Path, model_cache: Path, round_: int) -> None:
    with openbook_server(tmp_path / "data") as server:
        journal = kill_and_check(server.api_url, server.data_dir, kills=7, seed=100 + round_)
    assert journal.accepted
    assert journal.kills["api"] and journal.kills["worker"]
