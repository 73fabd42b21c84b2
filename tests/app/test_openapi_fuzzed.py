"""Requests by the hundred, made from the OpenAPI document of a real server: none may break it.

Half of the ids that are sent are real ones: else hardly a request would come past "no such document". What deletes comes last.

schemathesis is no part of the locked environment; ``pip install --target DIR schemathesis`` and ``PYTHONPATH=DIR`` let these tests run.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.client import Client
from tests.support.jobs import settled
from tests.support.pdfs import pdf
from tests.support.servers import RunningServer, openbook_server
from tests.support.team import team

pytest.importorskip("schemathesis", reason="schemathesis is not installed: it is a development tool of this test alone")

EXAMPLES = int(os.environ.get("OPENBOOK_TEST_EXAMPLES", "12"))  # of each operation
PAGES = [["The lamp of the harbour is lit by Odo Harrow at dusk."], ["It burns for nine hours."]]
# What cannot be had on the machine of a test is said with 503 (no language model) or 504 (out of time), and that is no break.
SAID_STATUSES = {503, 504}


def fill(client: Client) -> dict[str, str]:
    """Something of each kind; ids by the names of path parameters."""
    client.create_collection("vault")
    (job,) = client.upload("vault", [("lamp.pdf", io.BytesIO(pdf(PAGES)))])
    done = settled(client, job["job_id"])
    assert done["state"] == "ready", done
    chat = client.create_chat(["vault"], title="lamps")["chat_id"]
    with client.chat_stream(chat, "Who lights the lamp?") as stream:
        list(stream)
    answer = client.chat(chat)["messages"][-1]
    assert done["doc_id"] and answer["run_id"]
    return {
        "collection": "vault", "doc_id": done["doc_id"], "job_id": job["job_id"], "chat_id": chat,
        "message_id": answer["message_id"], "run_id": answer["run_id"], "number": "1",
    }  # fmt: skip


def with_ids(document: dict[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    """The document with real ids among what parameters and collections may be."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                known = ids.get(parameter["name"])
                if known is None or parameter["in"] == "header":
                    continue
                schema = parameter["schema"]
                value: str | int = int(known) if schema.get("type") == "integer" else known
                if schema.get("type") in ("string", "integer"):
                    parameter["schema"] = {"anyOf": [{"const": value}, schema]}
    for schema in document["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            if name == "collections" and field.get("type") == "array":
                field["items"] = {"anyOf": [{"const": ids["collection"]}, field["items"]]}
            elif name == "collection" and field.get("type") == "string":
                schema["properties"][name] = {"anyOf": [{"const": ids["collection"]}, field]}
    return document


def fuzz(url: str, folder: Path, ids: Mapping[str, str], token: str | None, *options: str) -> None:
    """Runs schemathesis, which fails the test with the requests that broke the server."""
    document = with_ids(httpx.get(f"{url}/openapi.json").json(), ids)
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "schemathesis.toml").write_text(
        "[checks]\nnot_a_server_error.expected-statuses = "
        + json.dumps([f"{n}xx" for n in (2, 3, 4)] + sorted(map(str, SAID_STATUSES)))
    )
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml"), "run"]
    command += [str(folder / "openapi.json"), "--url", url, "--checks", "not_a_server_error", "--seed", "1"]
    command += ["--max-examples", str(EXAMPLES), "--phases", "examples,coverage,fuzzing", "--continue-on-failure"]
    command += ["--warnings", "off", "--suppress-health-check", "all", "--request-timeout", "120", *options]
    if token is not None:
        command += ["--header", f"Authorization: Bearer {token}"]
    for which in (["--exclude-method", "DELETE"], ["--include-method", "DELETE"]):
        done = subprocess.run([*command, *which], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
        assert re.search(r"[1-9]\d* generated", done.stdout), done.stdout[-2000:]


def alive(server: RunningServer) -> None:
    """The process that was asked is the one that began, and has logged no mistake."""
    assert httpx.get(f"{server.api_url}/health").status_code == 200
    assert "broke" not in server.output and "starting it again" not in server.output, server.output[-20_000:]


@contextmanager
def alone(data_dir: Path) -> Iterator[tuple[RunningServer, dict[str, str]]]:
    with openbook_server(data_dir, env={"OPENBOOK_VERIFIER": "rules"}) as server, server.client() as client:
        yield server, fill(client)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_no_request_that_the_document_describes_breaks_a_server_of_one_person(
    tmp_path: Path, model_cache: Path
) -> None:
    with alone(tmp_path / "data") as (server, ids):
        fuzz(server.api_url, tmp_path, ids, None)
        alive(server)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("who", ["an administrator's key", "an administrator's session", "nobody"])
def test_no_request_that_the_document_describes_breaks_a_server_with_people(
    tmp_path: Path, model_cache: Path, who: str
) -> None:
    env = {"OPENBOOK_VERIFIER": "rules", "OPENBOOK_REQUESTS_PER_MINUTE": "0"}
    with team(tmp_path / "data", env=env) as made, made.client("admin") as admin:
        ids, options, token = fill(admin), list[str](), made.tokens["admin"]
        match who:
            case "an administrator's key":
                token = admin.make_key("fuzz", ["read", "ask", "write", "admin"], 1)["key"]
            case "an administrator's session":
                # What a key may not; and not what would end the session that asks.
                options = ["--include-path-regex", "^/v1/(keys|users|invites|sessions$|me|audit)"]
        fuzz(made.server.api_url, tmp_path, ids, token if who != "nobody" else None, *options)
        alive(made.server)
