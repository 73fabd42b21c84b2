"""A person's own prompts: whose they are, and what is said of those that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents.prompts import Prompts
from app.cli.main import app
from app.prompt_files import own_prompts, prompt_sets, prompts_named, prompts_of
from core.errors import InvalidRequest

NAME = "decompose_user.j2"


def write(folder: Path, text: str, name: str = NAME) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    return folder / name


def test_a_collections_own_prompt_holds_where_it_alone_is_asked(tmp_path: Path) -> None:
    write(tmp_path / "prompts", "For all: {{ question }}")
    write(tmp_path / "prompts" / "filings", "For filings: {{ question }}")
    said = [prompts_of(tmp_path, of).source(NAME)[:11] for of in ([], ["filings"], ["farm"], ["filings", "farm"])]
    assert said == ["For all: {{", "For filings", "For all: {{", "For all: {{"]


def test_without_a_folder_the_shipped_prompts_hold(tmp_path: Path) -> None:
    assert prompts_of(tmp_path, ["filings"]).hash(NAME) == Prompts().hash(NAME)


def test_a_file_that_is_no_prompt_is_named_with_those_there_are(tmp_path: Path) -> None:
    path = write(tmp_path / "prompts", "x", "rag_usr.j2")
    with pytest.raises(InvalidRequest, match=r"rag_user\.j2") as refused:
        prompts_of(tmp_path)
    assert str(path) in refused.value.message


def test_the_command_lists_which_are_ones_own_and_prints_one(tmp_path: Path) -> None:
    write(tmp_path / "prompts", "Mine: {{ question }}")
    listed = CliRunner().invoke(app, ["prompts", "list", "--json", "--data-dir", str(tmp_path)])
    rows = {row["name"]: row for row in json.loads(listed.stdout)["prompts"]}
    assert [name for name, row in rows.items() if row["own"]] == [NAME]
    assert rows[NAME]["variables"] == ["question"]
    assert rows[NAME]["hash"] != Prompts().hash(NAME)
    shown = CliRunner().invoke(app, ["prompts", "show", NAME, "--data-dir", str(tmp_path)])
    assert shown.stdout == "Mine: {{ question }}"


def test_a_set_of_prompts_has_a_folder_that_no_collection_can_have_and_stands_on_the_shipped_ones(
    tmp_path: Path,
) -> None:
    write(tmp_path / "prompts", "For all: {{ question }}")
    mine = write(tmp_path / "prompts" / "_short", "Short: {{ question }}", "hyde_user.j2")
    write(tmp_path / "prompts" / "secret", "Of a collection: {{ question }}")
    assert prompt_sets(tmp_path) == ["shipped", "short"]
    short = prompts_named(tmp_path, "short")
    assert short.source("hyde_user.j2") == "Short: {{ question }}"
    assert short.source(NAME) == Prompts().source(NAME)
    assert prompts_named(tmp_path, "shipped").overrides == {}
    assert mine in own_prompts(tmp_path)  # so that a backup has it
    for unknown in ("secret", "../secret", "_short", ""):
        with pytest.raises(InvalidRequest, match="there are shipped, short"):
            prompts_named(tmp_path, unknown)


def test_a_set_is_checked_like_ones_own(tmp_path: Path) -> None:
    write(tmp_path / "prompts" / "_short", "Short: {{ qestion }}")
    with pytest.raises(InvalidRequest, match="qestion"):
        prompts_named(tmp_path, "short")
