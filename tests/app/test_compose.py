"""docker-compose.yml and Dockerfile, checked without an engine: by shape, and by what the commands name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from core.settings import NOT_SETTINGS, Settings

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((REPO / "docker-compose.yml").read_text())
    return loaded


def test_it_has_api_and_page_and_a_model_server_only_under_the_gpu_profile(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"api", "ui", "vllm"}
    assert compose["services"]["vllm"]["profiles"] == ["gpu"]
    assert all("profiles" not in compose["services"][name] for name in ("api", "ui"))


def test_ports_are_published_on_loopback_only(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))


def test_every_setting_it_names_exists(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for key in service.get("environment", {}):
            if key.startswith("OPENBOOK_"):
                assert key.removeprefix("OPENBOOK_").lower() in {*Settings.model_fields, *NOT_SETTINGS}


def test_people_sign_in_since_it_listens_for_others(compose: dict[str, Any]) -> None:
    api = compose["services"]["api"]
    assert "0.0.0.0" in api["command"] and api["environment"]["OPENBOOK_IDENTITY"] == "password"


def test_every_named_volume_is_declared(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"]


def test_the_api_command_is_one_the_command_line_knows(compose: dict[str, Any]) -> None:
    from app.cli.main import app

    command = compose["services"]["api"]["command"]
    assert command[0] == "openbook"
    shown = CliRunner().invoke(app, [command[1], "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert all(option in shown.output for option in command[2:] if option.startswith("--"))


def test_the_page_command_names_a_file_that_exists(compose: dict[str, Any]) -> None:
    command = compose["services"]["ui"]["command"]
    assert (REPO / command[command.index("-m") + 1].replace(".", "/") / "__main__.py").is_file()


def test_the_dockerfile_copies_only_what_exists() -> None:
    for line in (REPO / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY "):
            assert (REPO / line.split()[1]).exists()
