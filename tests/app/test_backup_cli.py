"""`openbook backup` and `restore` as a person uses them: while a server runs, and without one."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest

from app.client import ApiError
from tests.support.commands import json_of, openbook
from tests.support.servers import openbook_server


@pytest.mark.slow
def test_a_backup_of_a_running_server_restores_elsewhere(tmp_path: Path, model_cache: Path) -> None:
    data, new, file = tmp_path / "data", tmp_path / "new", tmp_path / "b.tar.gz"
    with openbook_server(data) as server, server.client() as client:
        client.create_collection("notes")
        stop = threading.Event()

        def write() -> None:
            n = 0
            with server.client() as own:
                while not stop.is_set():
                    n += 1
                    try:
                        own.upload("notes", [(f"{n}.md", io.BytesIO(f"# Number {n}\n\nA note on topic{n}.".encode()))])
                    except ApiError:
                        return

        writer = threading.Thread(target=write)
        writer.start()
        while len(client.documents("notes", limit=1000)["documents"]) < 5:
            stop.wait(0.1)
        report = json_of(openbook("backup", file, "--json", data_dir=data))
        known = {d["doc_id"]: d for d in client.documents("notes", limit=1000)["documents"]}
        stop.set()
        writer.join()
        assert report["missing"] == []
        assert report["originals"] >= 5

        again = openbook("backup", file, data_dir=data)
        assert again.returncode == 1
        assert "--overwrite" in again.stderr
        running = openbook("restore", file, "--replace", data_dir=data)
        assert running.returncode == 1
        assert "stop it" in running.stderr
        assert server.api_url in running.stderr
        assert openbook("backup", file, "--overwrite", data_dir=data).returncode == 0
        assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")] == []

    restored = json_of(openbook("restore", file, "--data-dir", new, "--json"))
    assert restored["aside"] is None
    found = json_of(openbook("documents", "list", "-c", "notes", "--json", data_dir=new))["documents"]
    assert {d["doc_id"] for d in found} >= set(known)
    hits = json_of(openbook("search", "topic3", "-c", "notes", "--k", "1", "--json", data_dir=new))["hits"]
    assert "topic3" in hits[0]["text"]
    # Without a server the command takes the lock itself, and what it writes is the same again.
    once_more = json_of(openbook("backup", tmp_path / "c.tar", "--json", data_dir=new))
    assert once_more["change"] == restored["change"]
    assert "openbook.db" in openbook("backup", tmp_path / "d.tar", data_dir=tmp_path / "empty").stderr
