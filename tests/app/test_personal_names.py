"""Names of people in what is taken in, over a real server that is set to a model for them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client import Client
from app.doctor import examine
from core.settings import Settings
from tests.support.jobs import settled
from tests.support.servers import openbook_server
from tests.support.tiny_models import save_tiny_names

TEXT = "Jane Doe met Ana at the lighthouse, and wrote to jane@example.com about it."

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_names(tmp_path_factory.mktemp("names") / "tiny")


@pytest.fixture(scope="module")
def client(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    environment = {"OPENBOOK_PII_NAMES_MODEL": str(model)}
    with openbook_server(tmp_path_factory.mktemp("data"), env=environment) as server, server.client() as client:
        yield client


def add(client: Client, collection: str, data: bytes) -> dict[str, object]:
    job = settled(client, client.upload(collection, [("letter.md", io.BytesIO(data))])[0]["job_id"])
    assert job["state"] == "ready", job
    return {**client.document(job["doc_id"] or ""), "text": client.document_text(job["doc_id"] or "")}


def test_names_are_redacted_flagged_or_left_as_the_collection_says(client: Client) -> None:
    for mode in ("off", "flag", "redact"):
        client.create_collection(f"names-{mode}", pii=mode)
    left, flagged, redacted = (add(client, f"names-{mode}", TEXT.encode()) for mode in ("off", "flag", "redact"))
    assert (left["text"], left["pii"]) == (TEXT, None)
    assert flagged["text"] == TEXT
    assert flagged["pii"] == {"mode": "flag", "email": 1, "phone": 0, "iban": 0, "name": 2}
    assert redacted["text"] == "[name] met [name] at the lighthouse, and wrote to [e-mail] about it."
    assert redacted["pii"] == {"mode": "redact", "email": 1, "phone": 0, "iban": 0, "name": 2}
    assert not client.search("Jane Doe lighthouse", ["names-redact"])[0]["text"].startswith("Jane")


def test_a_preview_shows_what_would_become_of_names(client: Client) -> None:
    seen = client.preview(("letter.md", io.BytesIO(TEXT.encode())), pii="redact")
    assert seen["pii"] is not None and seen["pii"]["name"] == 2
    assert seen["chunks"][0]["text"].startswith("[name] met [name]")


def test_without_the_model_that_is_named_nothing_is_taken_in_where_names_are_to_go(tmp_path: Path) -> None:
    environment = {"OPENBOOK_PII_NAMES_MODEL": str(tmp_path / "none"), "HF_HUB_OFFLINE": "1"}
    with openbook_server(tmp_path / "data", env=environment) as server, server.client() as client:
        client.create_collection("redacting", pii="redact")
        client.create_collection("plain")
        job = settled(client, client.upload("redacting", [("a.md", io.BytesIO(TEXT.encode()))])[0]["job_id"])
        assert job["state"] == "failed" and "cannot load the names model" in (job["reason"] or "")
        assert add(client, "plain", TEXT.encode())["text"] == TEXT
        assert client.documents("redacting")["documents"] == []


def test_doctor_says_whether_names_can_be_found(model: Path, tmp_path: Path) -> None:
    told = {
        name: next(f for f in examine(Settings(data_dir=tmp_path, pii_names_model=name)) if f.topic == "Names")
        for name in ("", str(model), str(tmp_path / "none"))
    }
    assert [f.state for f in told.values()] == ["note", "ok", "missing"]
