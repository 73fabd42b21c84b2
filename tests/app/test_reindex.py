"""A collection made anew through the API: the old one is searched meanwhile, then all of the new one, and back."""

from __future__ import annotations

import io
import time

import pytest

from app.client import ApiError, Client
from app.datadir import find_server
from tests.support.jobs import settled

TEXT = "# {name}\n\n" + "\n\n".join(
    f"Paragraph {i} of {{name}} tells of a lighthouse, its keeper and the {{name}} that passes at night."
    for i in range(60)
)


@pytest.fixture(autouse=True)
def nothing_is_wrong_afterwards(server):
    yield
    with Client(server.api_url, token=find_server(server.data_dir).token) as client:
        found = client.verify()
    assert found["findings"] == []


def fill(client, collection, names=("ship", "train")):
    client.create_collection(collection)
    files = [(f"{name}.md", io.BytesIO(TEXT.format(name=name).encode())) for name in names]
    return [settled(client, job["job_id"])["doc_id"] for job in client.upload(collection, files)]


def versions(client, collection):
    return {d["chunker_version"].split("-")[0].rstrip("0123456789") for d in client.documents(collection)["documents"]}


def lengths(client, collection, retriever="dense"):
    return {len(h["text"]) for h in client.search("lighthouse", [collection], k=200, retriever=retriever)}


def test_a_collection_is_made_anew_and_goes_back_with_one_call(client):
    fill(client, "anew")
    before = lengths(client, "anew")
    job = client.reindex("anew", chunker="sentence", chunk_tokens=64)
    assert (job["kind"], job["state"], job["collection"]) == ("reindex", "encoding", "anew")
    assert "sentence 64" in job["file"]
    done = settled(client, job["job_id"])
    assert done["state"] == "ready", done
    assert done["progress"] == 1.0
    after = lengths(client, "anew")
    assert after.isdisjoint(before)
    assert lengths(client, "anew", "bm25") == after
    assert versions(client, "anew") == {"sentence"}
    assert done["chunks"] == sum(d["chunks"] for d in client.documents("anew")["documents"])
    (found,) = [c for c in client.collections() if c["name"] == "anew"]
    assert (found["documents"], found["pipeline"]["chunker"], found["pipeline"]["chunk_tokens"]) == (2, "sentence", 64)

    assert client.rollback("anew")["pipeline"]["chunker"] == "fixed"
    assert lengths(client, "anew") == before
    assert lengths(client, "anew", "bm25") == before
    client.rollback("anew")
    assert lengths(client, "anew") == after
    client.delete_previous("anew")
    with pytest.raises(ApiError, match="no earlier generation"):
        client.rollback("anew")
    assert lengths(client, "anew") == after


def test_an_estimate_says_which_documents_would_be_read_again_and_begins_nothing(client):
    fill(client, "estimated")
    found = client.reindex_estimate("estimated", chunker="sentence", chunk_tokens=64)
    assert found["changes"]["chunker"] == {"is": "fixed", "would_be": "sentence"}
    assert found["changes"]["chunk_tokens"]["would_be"] == 64
    assert (found["documents"], found["again"]) == (2, 2)
    assert found["characters"] == sum(len(TEXT.format(name=n)) for n in ("ship", "train"))
    took = sum(j["seconds"] for j in client.jobs(collection="estimated"))
    assert 0 < found["seconds"] <= took + 0.1, "as long as they took to come in, or less where several are made at once"
    slow = client.reindex_estimate("estimated", chunker="semantic")
    assert slow["seconds"] == pytest.approx(3 * found["seconds"], abs=0.2)
    assert client.reindex_estimate("estimated", encoder="some/other-encoder")["seconds"] is None, (
        "nobody knows its pace"
    )
    same = client.reindex_estimate("estimated", chunker="fixed")
    assert (same["changes"], same["again"], same["seconds"]) == ({}, 0, 0.0)
    assert not [j for j in client.jobs(collection="estimated") if j.get("kind") == "reindex"]
    (job,) = client.upload(
        "estimated", [("plane.md", io.BytesIO(TEXT.format(name="plane").encode()))], chunker="sentence"
    )
    settled(client, job["job_id"])
    assert client.reindex_estimate("estimated", chunker="fixed")["again"] == 1, "one that was cut otherwise"
    with pytest.raises(ApiError, match="no collection"):
        client.reindex_estimate("nowhere")


def test_files_that_come_after_the_switch_are_made_as_the_collection_is_now(client):
    fill(client, "later")
    settled(client, client.reindex("later", chunker="sentence")["job_id"])
    (job,) = client.upload("later", [("balloon.md", io.BytesIO(TEXT.format(name="balloon").encode()))])
    settled(client, job["job_id"])
    assert versions(client, "later") == {"sentence"}
    client.rollback("later")
    # The one that came since stays as it is: there is no other.
    assert {d["uri"] for d in client.documents("later")["documents"]} == {"ship.md", "train.md", "balloon.md"}
    assert versions(client, "later") == {"fixed", "sentence"}


def test_nothing_is_made_anew_that_is_so_already(client):
    fill(client, "same")
    begun = time.monotonic()
    job = settled(client, client.reindex("same")["job_id"])
    assert job["state"] == "ready"
    assert time.monotonic() - begun < 10


def test_a_citation_of_before_opens_where_it_was(client):
    fill(client, "cited")
    asked = client.ask("What tells of a lighthouse?", ["cited"])
    citation = asked["citations"][0]
    settled(client, client.reindex("cited", chunker="sentence", chunk_tokens=32)["job_id"])
    assert citation["chunk_id"] not in {c["chunk_id"] for c in client.chunks(citation["doc_id"])}
    text = client.document_text(citation["doc_id"])
    assert text[citation["start"] : citation["end"]] == citation["quote"]


def test_it_can_be_cancelled_and_leaves_everything_as_it_was(client):
    fill(client, "stopped")
    before = lengths(client, "stopped")
    job = client.cancel_job(client.reindex("stopped", chunker="semantic")["job_id"])
    assert job["state"] == "cancelled"
    assert lengths(client, "stopped") == before
    with pytest.raises(ApiError, match="openbook reindex stopped"):
        client.retry_job(job["job_id"])
    with pytest.raises(ApiError, match="no earlier generation"):
        client.rollback("stopped")
    again = settled(client, client.reindex("stopped", chunker="sentence")["job_id"])
    assert again["state"] == "ready"


def test_what_cannot_be_is_said_at_once(client):
    fill(client, "said", names=("ship",))
    for change, said in (
        ({"chunker": "words"}, "chunker"),
        ({"chunk_tokens": 3}, "16"),
        ({"colour": "red"}, "colour"),
    ):
        with pytest.raises(ApiError, match=said):
            client.reindex("said", **change)
    with pytest.raises(ApiError, match="nowhere"):
        client.reindex("nowhere")
    assert [j["kind"] for j in client.jobs(collection="said")] == ["ingest"]


def test_two_are_not_made_at_once(client):
    fill(client, "twice", names=("a", "b", "c", "d"))
    job = client.reindex("twice", chunker="semantic")
    try:
        with pytest.raises(ApiError, match="already"):
            client.reindex("twice", chunker="sentence")
        with pytest.raises(ApiError, match="cancel that job"):
            client.rollback("twice")
    finally:
        settled(client, job["job_id"])


def test_deleting_the_collection_ends_its_job(client):
    fill(client, "gone", names=("ship",))
    job = client.reindex("gone", chunker="semantic")
    client.delete_collection("gone")
    ended = settled(client, job["job_id"])
    assert ended["state"] in ("cancelled", "ready")


@pytest.mark.slow
def test_an_encoder_that_there_is_not_is_said_at_once(client):
    fill(client, "unsaid", names=("ship",))
    with pytest.raises(ApiError, match="no such model"):
        client.reindex("unsaid", encoder="no such model")
    assert [j["kind"] for j in client.jobs(collection="unsaid")] == ["ingest"]
