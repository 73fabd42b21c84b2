"""docker-compose.yml and the Dockerfiles, checked without an engine: by shape, and by what the commands name."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from app.ui.__main__ import with_upload_size
from core.settings import NOT_SETTINGS, Settings
from tests.support.compose import environment_of, read_env
from tools.image_requirements import images

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((REPO / "docker-compose.yml").read_text())
    return loaded


OURS = ("api", "worker", "ui")
# Of https://compose-spec.io: what the services use of it. An engine refuses what it does not know.
KEYS = {
    "build", "cap_add", "cap_drop", "command", "depends_on", "deploy", "env_file", "environment", "healthcheck", "image", "init",
    "ipc", "pids_limit", "ports", "profiles", "read_only", "restart", "security_opt", "tmpfs", "user", "volumes",
}  # fmt: skip


def test_it_has_api_worker_and_page_and_a_model_server_only_under_the_gpu_profile(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*OURS, "vllm", "models"}
    assert compose["services"]["vllm"]["profiles"] == compose["services"]["models"]["profiles"] == ["gpu"]
    assert all("profiles" not in compose["services"][name] for name in OURS)
    (device,) = compose["services"]["vllm"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


def test_no_key_is_one_that_no_engine_knows(compose: dict[str, Any]) -> None:
    assert {key for key in compose if not key.startswith("x-")} == {"name", "services", "volumes"}
    for name, service in compose["services"].items():
        assert set(service) <= KEYS, name


def test_each_service_is_bounded_and_no_more_than_it_has_to_be(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"], name
        # The one that gives a volume to the others' user runs once and may do nothing else.
        assert service["user"] == ("0:0" if name == "models" else "10001:10001"), name
        assert service.get("cap_add", []) == (["CHOWN"] if name == "models" else []), name
        if name != "models":
            assert service["deploy"]["resources"]["limits"]["memory"] and service["healthcheck"]["test"], name
            assert any(place.startswith("/tmp:size=") for place in service["tmpfs"]), name
    assert "data:/data:ro" in compose["services"]["worker"]["volumes"]


def test_what_waits_for_another_service_waits_for_one_that_can_say_that_it_is_there(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, how in service.get("depends_on", {}).items():
            healthy = how["condition"] == "service_healthy"
            assert (
                "healthcheck" in compose["services"][name] if healthy else compose["services"][name]["restart"] == "no"
            )


def test_the_lines_for_a_gpu_reach_the_file_and_the_services(compose: dict[str, Any]) -> None:
    asked = set(re.findall(r"\$\{(\w+):-", (REPO / "docker-compose.yml").read_text()))
    given = read_env(REPO / "docker" / "gpu.env")
    assert {name for name in given if not name.startswith("OPENBOOK_")} <= asked
    api = environment_of(compose["services"]["api"], variables=given)
    assert api["OPENBOOK_LM_RUNTIME"] == "openai" and api["OPENBOOK_LM_MODEL"] == given["VLLM_MODEL"]
    assert api["OPENBOOK_ALLOWED_HOSTS"] == "api", "what is not about the GPU stays as it was"


# What people put there, and the services in which it counts.
THEIRS = {
    "OPENBOOK_LM_RUNTIME": ("openai", ["api"]),
    "OPENBOOK_LM_BASE_URL": ("http://model.example:8001/v1", ["api"]),
    "OPENBOOK_LM_MODEL": ("large", ["api"]),
    "OPENBOOK_ALLOWED_HOSTS": ("api,books.example.org", ["api"]),
    "OPENBOOK_PAGE_URL": ("https://books.example.org", ["api"]),
    "OPENBOOK_PAGE_TOKEN": ("0123", ["api", "ui"]),
    "OPENBOOK_MAX_UPLOAD_BYTES": ("524288000", ["api", "ui"]),
    "OPENBOOK_ENCODER_MODEL": ("BAAI/bge-m3", ["api", "worker"]),
    "FORWARDED_ALLOW_IPS": ("10.0.0.2", ["api", "ui"]),
}


@pytest.mark.parametrize("variables", [{}, {"LM_ENV": "docker/gpu.env"}])
@pytest.mark.parametrize("name", THEIRS)
def test_what_stands_in_openbook_env_counts(compose: dict[str, Any], name: str, variables: dict[str, str]) -> None:
    value, services = THEIRS[name]
    for service in services:
        seen = environment_of(compose["services"][service], own={name: value}, variables=variables)
        assert seen[name] == value, service


def test_without_a_file_the_defaults_count_and_people_sign_in_whatever_a_file_says(compose: dict[str, Any]) -> None:
    api = compose["services"]["api"]
    seen = environment_of(api)
    assert seen["OPENBOOK_ALLOWED_HOSTS"] == "api" and seen["OPENBOOK_LM_RUNTIME"] == "openvino"
    assert environment_of(api, own={"OPENBOOK_IDENTITY": "none"})["OPENBOOK_IDENTITY"] == "password"


@pytest.mark.parametrize("service", ["api", "worker"])
def test_a_command_in_a_container_finds_the_data(compose: dict[str, Any], service: str) -> None:
    found = compose["services"][service]
    assert environment_of(found)["OPENBOOK_DATA_DIR"] == found["command"][found["command"].index("--data-dir") + 1]


def test_the_page_takes_uploads_as_large_as_the_api_does(compose: dict[str, Any]) -> None:
    ui = compose["services"]["ui"]
    own = {"OPENBOOK_MAX_UPLOAD_BYTES": str(500 * 2**20 + 1)}
    assert with_upload_size(ui["command"][3:], environment_of(ui, own=own))[-1] == "--server.maxUploadSize=501"
    default = Settings.model_fields["max_upload_bytes"].default
    assert with_upload_size(ui["command"][3:], environment_of(ui))[-1] == f"--server.maxUploadSize={default // 2**20}"
    assert with_upload_size(["--server.maxUploadSize=7"], own) == ["--server.maxUploadSize=7"]
    with pytest.raises(SystemExit, match="give a whole number of bytes"):
        with_upload_size([], {"OPENBOOK_MAX_UPLOAD_BYTES": "500 MB"})


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the images are of Python 3.11, and other versions need other packages"
)
def test_what_each_image_installs_is_of_the_lock_and_as_it_would_be_written_now() -> None:
    for name, text in images().items():
        assert (REPO / "requirements" / name).read_text() == text, "run tools/image_requirements.py"
        assert set(text.splitlines()) <= set((REPO / "requirements" / "lock.txt").read_text().splitlines())
        assert "--hash=sha256:" in text and not re.search(r"^(torch|transformers)==", text, re.MULTILINE)


def together(*files: str) -> dict[str, Any]:
    """The services of several files, as Compose puts them together: what is in both is taken from the later one, mappings key by key."""
    found: dict[str, Any] = {}
    for file in files:
        found = _merged(found, yaml.safe_load((REPO / file).read_text())["services"])
    return found


def _merged(one: Any, other: Any) -> Any:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return other
    return {**one, **{key: _merged(one[key], value) if key in one else value for key, value in other.items()}}


def documented() -> set[tuple[str, ...]]:
    """The files of each command that the guide, or one of the files, names: options of ``docker compose``, not of what it runs."""
    places = [*(REPO / "docs" / "guide").glob("*.md"), *(REPO / "docker").iterdir(), REPO / "docker-compose.yml"]
    options = [m[1] for place in places for m in re.finditer(r"docker compose((?: -\S+ \S+)*)", place.read_text())]
    return {tuple(re.findall(r"(?<= -f )\S+", given)) or ("docker-compose.yml",) for given in options}


def test_every_image_of_ours_is_built_by_a_service_of_each_documented_combination() -> None:
    assert ("docker-compose.yml", "docker/gpu.yml") in documented()
    for files in documented():
        services = together(*files)
        built = {s["image"] for s in services.values() if "build" in s}
        assert {s["image"] for s in services.values() if s["image"].startswith("openbook")} == built, files


def test_ports_are_published_on_loopback_only(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))


def test_every_setting_it_names_exists(compose: dict[str, Any]) -> None:
    files = [read_env(REPO / "docker" / name) for name in ("defaults.env", "cpu.env", "gpu.env")]
    for keys in [*(service.get("environment", {}) for service in compose["services"].values()), *files]:
        for key in keys:
            if key.startswith("OPENBOOK_"):
                assert key.removeprefix("OPENBOOK_").lower() in {*Settings.model_fields, *NOT_SETTINGS}


def test_people_sign_in_since_it_listens_for_others(compose: dict[str, Any]) -> None:
    api = compose["services"]["api"]
    assert "0.0.0.0" in api["command"] and api["environment"]["OPENBOOK_IDENTITY"] == "password"


def test_every_named_volume_is_declared(compose: dict[str, Any]) -> None:
    named = {v.split(":")[0] for s in compose["services"].values() for v in s.get("volumes", [])}
    assert named == set(compose["volumes"])


@pytest.mark.parametrize("service", ["api", "worker"])
def test_the_commands_are_such_as_the_command_line_knows(compose: dict[str, Any], service: str) -> None:
    from app.cli.main import app

    command = compose["services"][service]["command"]
    assert command[0] == "openbook"
    shown = CliRunner().invoke(app, [command[1], "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert all(option in shown.output for option in command[2:] if option.startswith("--"))


def test_the_page_command_names_a_file_that_exists(compose: dict[str, Any]) -> None:
    command = compose["services"]["ui"]["command"]
    assert (REPO / command[command.index("-m") + 1].replace(".", "/") / "__main__.py").is_file()


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.page"])
def test_a_dockerfile_copies_only_what_exists_and_ends_as_somebody_else_than_root(name: str) -> None:
    lines = (REPO / name).read_text().splitlines()
    for line in lines:
        if line.startswith("COPY ") and "--from=" not in line:
            assert (REPO / line.split()[1]).exists()
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001"]
    assert all(
        "--require-hashes" in line or "torch" in line or "editable" in line for line in lines if "pip install" in line
    )


def test_every_image_that_is_built_here_has_a_dockerfile_of_its_own(compose: dict[str, Any]) -> None:
    built = {s["image"]: s["build"]["dockerfile"] for s in compose["services"].values() if "build" in s}
    assert len(set(built.values())) == len(built) == 2
    assert all((REPO / dockerfile).is_file() for dockerfile in built.values())
