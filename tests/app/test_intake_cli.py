"""`openbook ingest` of URLs and archives, and `openbook jobs` that pauses: through a running server."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import REPO, RunningServer, openbook_server
from tests.support.web import Reply, Web, web_server
from tests.support.zips import zip_of


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[RunningServer]:
    with openbook_server(tmp_path_factory.mktemp("data"), env={"OPENBOOK_URL_ALLOW": "127.0.0.0/8"}) as running:
        yield running


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as found:
        yield found


def openbook(server: RunningServer, *arguments: str, code: int = 0) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBOOK_")} | {"COLUMNS": "300"}
    command = [sys.executable, "-m", "app.cli", *arguments, "--data-dir", str(server.data_dir)]
    done = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_urls_an_archive_and_a_list_are_taken_in_and_each_part_is_reported(
    served: RunningServer, web: Web, tmp_path: Path
) -> None:
    web.pages["/a"] = Reply(b"<!doctype html><title>Alpha</title><p>The pump was checked in May.</p>")
    web.pages["/b"] = Reply(b"<!doctype html><title>Beta</title><p>The valve was replaced in June.</p>")
    (tmp_path / "pack.zip").write_bytes(zip_of({"one.md": "# One\n\nThe first note.", "bad.pdf": b"%PDF-1.7 no"}))
    (tmp_path / "links.txt").write_text(f"# a comment\n\n{web.url('/b')}\n{web.url('/gone')}\n")
    said = openbook(
        served, "ingest", web.url("/a"), str(tmp_path / "pack.zip"), "--urls", str(tmp_path / "links.txt"), "-c", "mix"
    )
    lines = {re.split(r"\s{2,}", line)[1]: line for line in said.splitlines() if "  " in line}
    assert lines[web.url("/a")].startswith("ready")
    assert lines[web.url("/b")].startswith("ready")
    assert "404" in lines[web.url("/gone")]
    assert lines["pack.zip"].startswith("partial")
    assert lines["pack.zip/one.md"].startswith("ready")
    assert lines["pack.zip/bad.pdf"].startswith("failed")
    failed = json.loads(openbook(served, "jobs", "list", "-c", "mix", "--state", "failed", "--json"))
    assert {job["file"] for job in failed["jobs"]} == {web.url("/gone"), "pack.zip/bad.pdf"}
    assert failed["counts"]["ready"] == 3


def test_a_collection_is_paused_and_resumed(served: RunningServer) -> None:
    with served.client() as client:
        client.create_collection("calm")
    assert "paused 0 jobs of calm" in openbook(served, "jobs", "pause", "--collection", "calm")
    with served.client() as client:
        job = client.upload("calm", [("a.md", io.BytesIO(b"# A\n\nSome words."))])[0]["job_id"]
    assert f"{job}  paused" in openbook(served, "jobs", "list", "-c", "calm")
    assert f"{job}  queued" in openbook(served, "jobs", "resume", job)
    assert "resumed" in openbook(served, "jobs", "resume", "--collection", "calm")
    assert "name one job, or --collection" in openbook(served, "jobs", "pause", code=2)
    assert "no collection 'none'" in openbook(served, "jobs", "pause", "-c", "none", code=1)


def test_a_url_is_not_watched_and_nothing_is_not_taken_in(served: RunningServer) -> None:
    assert "cannot be watched" in openbook(served, "ingest", "--watch", "https://example.org/", "-c", "x", code=1)
    assert "name files, folders or URLs" in openbook(served, "ingest", "-c", "x", code=2)


def test_a_folder_with_links_in_circles_pipes_and_names_that_are_no_utf8_is_taken_in(
    served: RunningServer, tmp_path: Path
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "a.txt").write_text("Apples are red.")
    (folder / "loop").symlink_to(folder)
    (folder / "self").symlink_to("self")
    os.mkfifo(folder / "pipe.txt")
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.txt")).write_text("Coffee is black.")
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe8.txt")).write_text("Coffee is brown.")
    said = openbook(served, "ingest", str(folder), "-c", "odd")
    assert sorted(line.split()[:2] for line in said.splitlines() if line.startswith("ready")) == [
        ["ready", "a.txt"], ["ready", "caf%E8.txt"], ["ready", "caf%E9.txt"],
    ]  # fmt: skip
    assert "neither a file nor a folder" in openbook(served, "ingest", str(folder / "pipe.txt"), "-c", "odd", code=1)


def test_ingest_does_not_wait_for_what_is_paused_and_says_how_it_goes_on(served: RunningServer, tmp_path: Path) -> None:
    with served.client() as client:
        client.create_collection("held")
    openbook(served, "jobs", "pause", "-c", "held")
    (tmp_path / "a.txt").write_text("Apples are red.")
    said = openbook(served, "ingest", str(tmp_path / "a.txt"), "-c", "held")
    assert "paused     a.txt  go on with `openbook jobs resume --collection held`" in said


def test_a_new_collection_has_no_jobs_of_one_of_its_name_that_was_deleted(
    served: RunningServer, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("Apples are red.")
    openbook(served, "ingest", str(tmp_path / "a.txt"), "-c", "twice")
    with served.client() as client:
        client.delete_collection("twice")
        client.create_collection("twice")
        assert client.jobs(collection="twice") == []
