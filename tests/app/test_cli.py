"""The command line as a person uses it: real processes, with and without a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from app.cli.main import app
from tests.support.commands import json_of, openbook
from tests.support.servers import RunningServer

COMMANDS = [
    ["serve"],
    ["worker"],
    ["ingest"],
    ["search"],
    ["tune"],
    ["ask"],
    ["check"],
    ["calibrate"],
    ["doctor"],
    ["mcp"],
    ["collections", "list"],
    ["collections", "create"],
    ["collections", "delete"],
    ["documents", "list"],
    ["documents", "delete"],
    ["documents", "tag"],
    ["verify"],
    ["repair"],
    ["backup"],
    ["bench"],
    ["redteam"],
    ["reindex"],
    ["rollback"],
    ["collections", "drop-previous"],
    ["restore"],
    ["jobs", "list"],
    ["jobs", "cancel"],
    ["jobs", "retry"],
    ["eval", "retrieval"],
    ["eval", "qa"],
    ["eval", "faithfulness"],
    ["eval", "compare"],
    ["eval", "toolcalls"],
    ["eval", "gate"],
    ["trace", "show"],
    ["trace", "replay"],
    ["trace", "diff"],
]


def leaves(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            yield from leaves(below, *path, name)
    else:
        yield path, command


def test_every_command_takes_a_data_directory() -> None:
    found = dict(leaves(get_command(app)))
    assert len(found) > 40 and ("eval", "compare") in found
    without = [
        " ".join(path)
        for path, command in found.items()
        if not any("--data-dir" in option.opts for option in command.params)
    ]
    assert without == []


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "deep").mkdir(parents=True)
    (folder / "rocket.md").write_text("# Rockets\n\nThe Saturn V was 110.6 metres tall.\n")
    (folder / "deep" / "bread.txt").write_text("A loaf of sourdough bakes for 45 minutes.\n")
    (folder / "deep" / "empty.txt").write_text("")
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: list[str]) -> None:
    from typer.testing import CliRunner

    from app.cli.main import app

    shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert f"Example: openbook {' '.join(command)}" in shown.output


def test_ingest_search_and_ask_work_without_a_server(tmp_path: Path, notes: Path, model_cache: Path) -> None:
    data = tmp_path / "data"
    report = json_of(openbook("ingest", notes, "-c", "notes", "--json", data_dir=data))
    states = {job["file"]: job["state"] for job in report["jobs"]}
    assert states == {"rocket.md": "ready", "deep/bread.txt": "ready", "deep/empty.txt": "failed"}
    assert {"job_id", "file", "state", "reason", "doc_id", "pages", "chunks", "seconds"} <= set(report["jobs"][0])

    found = openbook("search", "Satrun rocket", "-c", "notes", data_dir=data).stdout
    assert "did you mean: Saturn rocket" in found and "110.6 metres" in found

    answer = json_of(openbook("ask", "How tall was the Saturn V?", "-c", "notes", "--json", data_dir=data))
    assert "110.6" in answer["answer"]
    assert set(answer) >= {
        "answer", "abstained", "reason", "strategy", "run_id", "sentences", "citations", "hits", "usage", "steps", "seconds",
    }  # fmt: skip


@pytest.mark.slow
def test_search_in_json_without_a_server_has_hits_and_what_may_have_been_meant(
    tmp_path: Path, notes: Path, model_cache: Path
) -> None:
    data = tmp_path / "data"
    openbook("ingest", notes, "-c", "notes", data_dir=data)
    hits = json_of(openbook("search", "sourdough", "-c", "notes", "--k", "1", "--json", data_dir=data))["hits"]
    assert hits[0]["title"] and "45 minutes" in hits[0]["text"]
    assert json_of(openbook("search", "Satrun", "-c", "notes", "--json", data_dir=data))["did_you_mean"] == {
        "query": "Saturn", "terms": [{"from": "Satrun", "to": "Saturn"}],
    }  # fmt: skip
    assert json_of(openbook("search", "Saturn", "-c", "notes", "--json", data_dir=data))["did_you_mean"] is None


def test_commands_go_through_the_server_that_holds_the_data_directory(server: RunningServer, notes: Path) -> None:
    data = server.data_dir
    assert (
        json_of(openbook("ingest", notes / "rocket.md", "-c", "cli", "--json", data_dir=data))["jobs"][0]["state"]
        == "ready"
    )
    with server.client() as client:
        assert client.search("Saturn", ["cli"], k=1)
    documents = json_of(openbook("documents", "list", "-c", "cli", "--json", data_dir=data))["documents"]
    assert json_of(openbook("documents", "delete", documents[0]["doc_id"], "--json", data_dir=data))["deleted"]
    assert json_of(openbook("jobs", "list", "-c", "cli", "--json", data_dir=data))["jobs"]
    assert json_of(openbook("collections", "delete", "cli", "--yes", "--json", data_dir=data)) == {"deleted": "cli"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["search", "x", "-c", "nowhere"], 1, "no collection"),
        (["ask", "", "-c", "nowhere"], 1, "empty"),
        (["ingest", "/no/such/file", "-c", "c"], 1, "no such file"),
        (["ingest", "README.md", "-c", "Not A Name"], 1, "1 to 63"),
        (["search", "x"], 2, "--collection"),
        (["search", "x", "-c", "c", "--retriever", "bm52"], 2, "bm25"),
        (["frobnicate"], 2, "frobnicate"),
        (["jobs", "list", "--state", "bogus"], 2, "none of queued, parsing"),
        (["jobs", "retry", "jnone"], 1, "no job"),
    ],
    ids=lambda v: " ".join(v)[:30] if isinstance(v, list) else None,
)
def test_a_mistake_is_one_clear_line_and_the_right_exit_code(
    tmp_path: Path, model_cache: Path, arguments: list[str], code: int, words: str
) -> None:
    done = openbook(*arguments, data_dir=None if arguments == ["frobnicate"] else tmp_path / "data")
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    if code == 1:
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_an_unknown_setting_is_wrong_usage_and_names_the_known_ones(tmp_path: Path) -> None:
    done = openbook("collections", "list", data_dir=tmp_path, OPENBOOK_CHUNKERR="fixed")
    assert done.returncode == 2
    assert "chunkerr" in done.stderr
    assert "chunker" in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_says_what_is_there(tmp_path: Path) -> None:
    report = json_of(openbook("doctor", "--json", data_dir=tmp_path))
    assert report["ok"]
    assert {"Python", "CPU", "Memory", "Disk", "GPU", "Weights", "OCR"} <= {f["topic"] for f in report["findings"]}
