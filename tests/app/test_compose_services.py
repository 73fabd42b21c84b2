"""The services of docker-compose.yml by hand, since no engine is needed for that: each command as it stands there, with what its image
installs and nothing else, and, where the tests run as root, as its user on a file system that can only be read."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from app.client import Client
from tests.support.compose import environment_of, interpolated
from tests.support.jobs import settled
from tests.support.pdfs import pdf
from tests.support.servers import REPO
from tests.support.team import PASSWORD

pytestmark = pytest.mark.slow  # three processes that load models, apart from each other
UPKEEP = REPO / "docs" / "guide" / "upkeep.md"
CAGE = REPO / "tests" / "support" / "cage.sh"
IMAGES = {"Dockerfile": "server.txt", "Dockerfile.page": "page.txt"}
PAGES = [["The lamp of the harbour is lit by Odo Harrow at dusk."], ["It burns for nine hours."]]


def caged() -> bool:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


class Services:
    """``folder`` stands for the volumes and /tmp; addresses and ports of the containers become those of this machine."""

    def __init__(self, folder: Path) -> None:
        self.services = yaml.safe_load((REPO / "docker-compose.yml").read_text())["services"]
        self.folder = folder
        self.places: dict[str, str] = {}
        for name in ("data", "cache"):
            self.places[f"/{name}"] = str(self._folder(name))

    def _folder(self, name: str) -> Path:
        made = self.folder / name
        made.mkdir(mode=0o755)
        if caged():
            os.chown(made, 10001, 10001)
        return made

    def here(self, text: str) -> str:
        """What stands in the file, as it is on this machine; ``${NAME:-value}`` is its value."""
        text = interpolated(str(text), {})
        # All at once: what one of them becomes may look like another one.
        known = "|".join(re.escape(there) for there in sorted(self.places, key=len, reverse=True))
        return re.sub(known, lambda found: self.places[found.group()], text)

    @contextlib.contextmanager
    def running(self, name: str) -> Iterator[Path]:
        """A service; gives its log."""
        service: Mapping[str, Any] = self.services[name]
        temporary = self._folder(f"tmp-{name}")
        self.places["/tmp/"] = f"{temporary}/"
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                self.command(name, service["command"]), env=self.environment(service, temporary), cwd=REPO,
                stdout=out, stderr=out,
            )  # fmt: skip
            try:
                yield log
            finally:
                process.terminate()
                assert process.wait(30) in (0, 143, -15), log.read_text()

    def command(self, name: str, parts: list[str]) -> list[str]:
        """As on this machine, in the place of a service: the programs of the image are modules of this Python."""
        volumes = [v.split(":") for v in self.services[name].get("volumes", [])]
        writable = [self.places[f"/{v[0]}"] for v in volumes if v[2:] != ["ro"]] + [str(self.folder / f"tmp-{name}")]
        openbook = [sys.executable, "-m", "app.cli"]
        if parts[:2] == ["sh", "-c"]:
            parts = ["sh", "-c", re.sub(r"\bopenbook (?=\w)", f"{shlex.join(openbook)} ", parts[2])]
        program = {"openbook": openbook, "python": [sys.executable]}.get(parts[0], [parts[0]])
        found = [*program, *map(self.here, parts[1:])]
        return [str(CAGE), ":".join(writable), *found] if caged() else found

    def environment(self, service: Mapping[str, Any], temporary: Path) -> dict[str, str]:
        image = IMAGES[service["build"]["dockerfile"]]
        return {
            "PATH": os.environ["PATH"], "HOME": str(temporary), "TMPDIR": str(temporary), "COLUMNS": "500",
            "XDG_CACHE_HOME": self.places["/cache"], "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": f"{REPO / 'tests' / 'support' / 'only_these'}:{REPO}", "OPENBOOK_TEST_PYTHON": sys.executable,
            "TEST_ONLY_REQUIREMENTS": str(REPO / "requirements" / image),
            **{k: self.here(v) for k, v in environment_of(service).items() if k.startswith("OPENBOOK_")},
        }  # fmt: skip

    def execute(self, name: str, *command: str, given: bytes | None = None) -> str:
        """As ``docker compose exec`` and ``run`` do; what it prints."""
        done = self.call(name, *command, given=given)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def call(self, name: str, *command: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        service = self.services[name]
        return subprocess.run(
            self.command(name, [*command]), env=self.environment(service, self.folder / f"tmp-{name}"), cwd=self.folder,
            capture_output=True, input=given, check=False,
        )  # fmt: skip

    def healthy(self, name: str) -> bool:
        """What the engine would find."""
        test = self.services[name]["healthcheck"]["test"]
        assert test[:2] == ["CMD", "python"]
        done = subprocess.run([sys.executable, *map(self.here, test[2:])], capture_output=True, check=False)
        return done.returncode == 0

    def wait_for(self, name: str, log: Path, timeout_s: float = 120.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not self.healthy(name):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def services() -> Iterator[Services]:
    folder = Path(tempfile.mkdtemp(prefix="openbook-compose-"))
    folder.chmod(0o755)  # pytest's own folders are shown to nobody else
    try:
        found = Services(folder)
        api, page = free_port(), free_port()
        found.places |= {"http://api:8000": f"http://127.0.0.1:{api}", "0.0.0.0": "127.0.0.1"}
        found.places |= {"8000": str(api), "8501": str(page)}
        yield found
    finally:
        shutil.rmtree(folder)


def test_a_document_is_taken_in_and_asked_about_by_services_that_are_apart(services: Services) -> None:
    url, page = services.here("http://api:8000"), services.here("http://127.0.0.1:8501")
    with services.running("api") as api_log:
        services.wait_for("api", api_log)
        with services.running("worker") as worker_log, services.running("ui") as page_log:
            services.places["/tmp/"] = f"{services.folder / 'tmp-worker'}/"
            services.wait_for("worker", worker_log)
            services.wait_for("ui", page_log)
            link = re.search(r"(http://\S+)/account/join#(\S{43})", api_log.read_text())
            assert link is not None and link.group(1) == page, api_log.read_text()
            another = json.loads(services.execute("api", "openbook", "users", "first-token", "--json"))["token"]
            with Client(url) as nobody:
                token = nobody.accept_invite(another, "admin", PASSWORD)["token"]
            with Client(url, token) as client:
                client.create_collection("harbour")
                path = services.folder / "lamp.pdf"
                path.write_bytes(pdf(PAGES))
                (job,) = client.upload("harbour", [path])
                done = settled(client, job["job_id"])
                assert done["state"] == "ready", (done, worker_log.read_text())
                answer = client.ask("Who lights the lamp of the harbour?", ["harbour"])
                assert "Odo Harrow" in answer["answer"] and answer["citations"][0]["page"] == 1
                assert client.page_image(done["doc_id"] or "", 1).startswith(b"\x89PNG")
            with httpx.Client(base_url=page, follow_redirects=False) as browser:
                asked = browser.get("/", headers={"Accept": "text/html"})
                assert asked.is_redirect and "/account/sign-in" in asked.headers["location"]
                form = {"name": "admin", "password": PASSWORD, "next": "/"}
                came = browser.post("/account/sign-in", data=form, headers={"Origin": page})
                assert came.is_redirect and came.headers["location"] == "/", came.text
                assert browser.get("/").status_code == 200
            for log in (api_log, worker_log, page_log):
                assert "Traceback" not in log.read_text(), log.read_text()
                assert "it is not in this image" not in log.read_text(), log.read_text()


def of_the_guide(begins: str) -> list[str]:
    """The words of the one command of the guide to upkeep that begins so, up to what is redirected."""
    lines = [line.strip() for line in UPKEEP.read_text("utf-8").splitlines() if line.startswith(f"    {begins} ")]
    (line,) = lines
    return shlex.split(line.removeprefix(begins).rpartition(" < ")[0] or line.removeprefix(begins))


def test_a_backup_is_made_and_restored_by_the_commands_of_the_guide(services: Services) -> None:
    backup, restore = of_the_guide("docker compose exec api openbook"), of_the_guide("docker compose run --rm -T api")
    remove = of_the_guide("docker compose exec api rm")
    url = services.here("http://api:8000")

    def named(client: Client) -> set[str]:
        return {c["name"] for c in client.collections()}

    with services.running("api") as log:
        services.wait_for("api", log)
        invite = json.loads(services.execute("api", "openbook", "users", "first-token", "--json"))["token"]
        with Client(url) as nobody:
            token = nobody.accept_invite(invite, "admin", PASSWORD)["token"]
        with Client(url, token) as client:
            client.create_collection("harbour")
            assert "read back and sound" in services.execute("api", "openbook", *backup)
            client.create_collection("later")
        if caged():  # a folder outside, which the service may not write to
            outside = services.call("api", "openbook", "backup", "here.tar.gz").stderr.decode()
            assert outside.startswith("openbook: could not write the backup") and "Traceback" not in outside
        made = services.folder / "cache" / "monday.tar.gz"
        kept = services.folder / "monday.tar.gz"  # as `docker compose cp` writes it: whoever calls that owns it
        kept.write_bytes(made.read_bytes())
        kept.chmod(0o600)
        services.execute("api", "rm", *remove)
        assert not made.exists()
    said = services.execute("api", *restore, given=kept.read_bytes())
    assert "what was there is kept" in said and not (services.folder / "cache" / "in.tar.gz").exists()
    shutil.rmtree(services.folder / "tmp-api")
    with services.running("api") as log:
        services.wait_for("api", log)
        with Client(url, token) as client:
            assert named(client) == {"harbour"}


def test_what_an_image_leaves_out_cannot_be_imported_here_either(services: Services) -> None:
    environment = services.environment(services.services["ui"], services.folder)
    for module, found in (("streamlit", True), ("openvino", False), ("torch", False)):
        done = subprocess.run(
            [sys.executable, "-c", f"import {module}"], env=environment, capture_output=True, check=False
        )
        assert (done.returncode == 0) == found, done.stderr.decode()
