"""A run that would do something outside waits for its person, over a real server with a real MCP server beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli.main import app
from app.client import ApiError, Client
from app.waiting import wait_for_lm
from tests.support.jobs import settled
from tests.support.servers import REPO, openbook_server

pytestmark = pytest.mark.slow  # a server of its own

QUESTION = "Who planted the orchard?"
SCRIPT = {
    "replies": [
        {"when": "with other arguments", "text": "none", "times": 0},
        {"when": "What would happen if", "text": "Everybody could read it.", "times": 0},
        {"when": "from 0 (not at all", "text": "7", "times": 0},
        {"when": "note was added", "tool_calls": [{"name": "finish", "arguments": {"answer": "Maria Keller [1]."}}], "times": 0},
        {"when": "was not done", "tool_calls": [{"name": "finish", "arguments": {"answer": "Maria Keller [1]."}}], "times": 0},
        {
            "when": "The orchard was planted in 1987",
            "tool_calls": [{"name": "notes_add_note", "arguments": {"text": "planted by Keller"}}],
            "times": 0,
        },
        {"tool_calls": [{"name": "search", "arguments": {"query": QUESTION}}], "times": 0},
    ]
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("waits")


@pytest.fixture(scope="module")
def client(folder: Path, model_cache: Path) -> Iterator[Client]:
    (folder / "script.json").write_text(json.dumps(SCRIPT), "utf-8")
    (folder / "report.md").write_text("The orchard was planted in 1987 by Maria Keller.\n", "utf-8")
    notes = {"command": [sys.executable, "-m", "tests.support.notes_server", str(folder / "notes.txt")]}
    settings = {
        "OPENBOOK_LM_RUNTIME": "scripted",
        "OPENBOOK_LM_SCRIPT": str(folder / "script.json"),
        "OPENBOOK_MCP_SERVERS": json.dumps({"notes": {**notes, "env": {"PYTHONPATH": str(REPO)}}}),
        "OPENBOOK_APPROVAL_S": "60",
    }
    with openbook_server(folder / "data", env=settings) as running, running.client() as found:
        found.create_collection("orchard")
        for job in found.upload("orchard", [folder / "report.md"]):
            settled(found, job["job_id"])
        wait_for_lm(found, timeout_s=60)
        yield found


def asking(client: Client) -> tuple[threading.Thread, list[dict[str, Any]]]:
    said: list[dict[str, Any]] = []
    thread = threading.Thread(
        target=lambda: said.append(dict(client.ask(QUESTION, ["orchard"], strategy="react"))), daemon=True
    )
    thread.start()
    return thread, said


def waiting(client: Client) -> dict[str, Any]:
    for _ in range(300):
        for run in client.runs():
            if run["state"] == "waiting":
                return dict(run)
        time.sleep(0.1)
    raise AssertionError(f"no run waits: {client.runs()}")


def test_a_yes_over_the_api_lets_it_be_done_once_and_the_trace_replays_without_doing_it(
    client: Client, folder: Path
) -> None:
    thread, said = asking(client)
    run = waiting(client)
    (asked,) = run["pending"]
    assert (asked["tool"], asked["arguments"]) == ("notes_add_note", {"text": "planted by Keller"})
    assert (asked["predicted"], asked["worth"]) == ("Everybody could read it.", 0.7)
    assert not (folder / "notes.txt").exists()
    client.approve_run(run["run_id"], yes=True)
    thread.join(60)
    assert said[0]["answer"].startswith("Maria Keller")
    assert (folder / "notes.txt").read_text("utf-8") == "planted by Keller\n"
    with pytest.raises(ApiError, match="does not wait for that"):
        client.approve_run(run["run_id"], yes=True)
    assert client.replay(said[0]["run_id"], {})["identical"]
    assert (folder / "notes.txt").read_text("utf-8") == "planted by Keller\n"


def test_a_no_on_the_command_line_lets_it_go_on_without(client: Client, folder: Path) -> None:
    before = (folder / "notes.txt").read_text("utf-8") if (folder / "notes.txt").exists() else ""
    thread, said = asking(client)
    run_id = waiting(client)["run_id"]
    where = ["--data-dir", str(folder / "data")]
    listed = CliRunner().invoke(app, ["runs", "list", *where])
    assert "waiting" in listed.stdout and "expected: Everybody could read it. (worth 0.7 of 1)" in listed.stdout
    denied = CliRunner().invoke(app, ["runs", "deny", run_id, *where])
    assert denied.stdout.startswith("no: notes_add_note")
    thread.join(60)
    assert said[0]["answer"].startswith("Maria Keller")
    after = (folder / "notes.txt").read_text("utf-8") if (folder / "notes.txt").exists() else ""
    assert after == before


def test_the_command_that_asks_says_what_its_run_waits_for(client: Client, folder: Path) -> None:
    env = {**os.environ, "OPENBOOK_MCP_SERVERS": '{"notes": {"command": ["as the server is set"]}}'}
    command = [sys.executable, "-m", "app.cli", "ask", QUESTION, "-c", "orchard", "-s", "react"]
    asking = subprocess.Popen(
        [*command, "--data-dir", str(folder / "data")],
        cwd=REPO,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    run_id = waiting(client)["run_id"]
    time.sleep(3)
    client.approve_run(run_id, yes=False)
    said, told = asking.communicate(timeout=60)
    assert said.startswith("Maria Keller")
    assert f"openbook runs approve {run_id}" in told and "would call notes_add_note" in told


def test_a_reader_who_leaves_takes_the_question_along(client: Client) -> None:
    with client.ask_stream(QUESTION, ["orchard"], strategy="react") as events:
        asked = next(data for name, data in events if name == "approval")
        assert asked["tool"] == "notes_add_note" and asked["seconds"] == 60
    for _ in range(100):
        if not client.runs():
            return
        time.sleep(0.1)
    raise AssertionError(client.runs())
