"""`openbook verify` and `repair` as a person uses them, on a data directory that a real server has made."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.app.test_api import ROCKET, settle
from tests.app.test_verify import flip
from tests.support.commands import json_of, openbook
from tests.support.servers import openbook_server


@pytest.mark.slow
def test_a_flipped_bit_is_found_and_mended_by_reading_the_file_again(tmp_path: Path, model_cache: Path) -> None:
    data = tmp_path / "data"
    with openbook_server(data) as server, server.client() as client:
        client.create_collection("c")
        (job,) = settle(client, client.upload("c", [("rocket.md", io.BytesIO(ROCKET.encode()))]))
        report = json_of(openbook("verify", "--json", data_dir=data))
        assert report["ok"]
        assert report["checked"]["documents"] == 1
        refused = openbook("repair", data_dir=data)
        assert refused.returncode == 1
        assert "stop it" in refused.stderr
    flip(data / "openbook.db", b"Saturn V was 110.6", offset=14)
    found = openbook("verify", data_dir=data)
    assert found.returncode == 1
    assert found.stdout.startswith("text-damaged  'rocket.md'")
    assert "openbook repair" in found.stderr
    mended = openbook("repair", data_dir=data)
    assert mended.returncode == 0, mended.stderr
    assert "read again  rocket.md: ready" in mended.stdout
    assert json_of(openbook("verify", "--json", data_dir=data))["ok"]
    hits = json_of(openbook("search", "Saturn", "-c", "c", "--k", "1", "--json", data_dir=data))["hits"]
    assert "110.6" in hits[0]["text"]
    assert hits[0]["doc_id"] == job["doc_id"]
    nothing = openbook("verify", data_dir=tmp_path / "nowhere")
    assert nothing.returncode == 1
    assert "right --data-dir" in nothing.stderr
