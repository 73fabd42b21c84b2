"""SIGKILL in the middle of a reindex of a real server, with files coming and going: it finishes, and nothing is lost."""

from __future__ import annotations

import io
import os
import signal
import time
from pathlib import Path

import pytest

from app.client import Client
from app.datadir import find_server
from app.waiting import wait_until_ready
from ingest.job import FINAL_STATES
from tests.support.jobs import settled
from tests.support.servers import api_pid, openbook_server
from tests.support.tiny_models import save_tiny_sentence_transformer

N = 40


def text(word: str) -> bytes:
    return "\n\n".join(
        f"Paragraph {i} about {word} and what else the keeper of the light has seen." for i in range(40)
    ).encode()


def everything(client: Client) -> dict[str, dict]:
    return {d["uri"]: d for d in client.documents("c", limit=1000)["documents"]}


def found(client: Client, word: str) -> set[str]:
    return {h["title"] for h in client.search(word, ["c"], k=50, retriever="bm25")}


def all_found(client: Client, n: int) -> None:
    """Every passage by its vector, as many as one search may ask for."""
    assert len(client.search("keeper of the light", ["c"], k=1000, retriever="dense")) == min(n, 1000)
    assert client.system()["index"]["stale_rows"] == 0


def verified(data: Path) -> list:
    server = find_server(data)
    with Client(server.url, token=server.token) as client:
        return client.verify()["findings"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_reindex_that_is_killed_twice_finishes_with_all_that_came_and_without_what_went(tmp_path, model_cache):
    data = tmp_path / "data"
    model = save_tiny_sentence_transformer(tmp_path / "tiny", max_tokens=64)
    words = [f"zq{i:03d}x" for i in range(N)]
    with openbook_server(data) as server, server.client() as client:
        client.create_collection("c")
        jobs = client.upload("c", [(f"{w}.txt", io.BytesIO(text(w))) for w in words])
        ids = {
            w: settled(client, j["job_id"], 240, may_be_away=True)["doc_id"] for w, j in zip(words, jobs, strict=True)
        }
        old = {d["encoder_revision"] for d in everything(client).values()}
        job = client.reindex("c", chunker="sentence", chunk_tokens=48, encoder=str(model))

        for kill in range(2):
            deadline = time.monotonic() + 120
            now = client.job(job["job_id"])
            while now["progress"] < 0.2 + 0.3 * kill and now["state"] not in FINAL_STATES:
                assert time.monotonic() < deadline, now
                time.sleep(0.02)
                now = client.job(job["job_id"])
            assert now["state"] == "encoding", "it was done before it could be killed: more documents are needed"
            if kill:
                assert now["remaining_s"] is None or now["remaining_s"] > 0
            # The old ones are searched, all of them.
            assert {d["chunker_version"][:5] for d in everything(client).values()} == {"fixed"}
            client.delete_document(ids[words[kill]])  # made already, or not
            client.delete_document(ids[words[-1 - kill]])
            (new,) = client.upload("c", [(f"late{kill}.txt", io.BytesIO(text(f"late{kill}word")))])
            (changed,) = client.upload("c", [(f"{words[5 + kill]}.txt", io.BytesIO(text(f"changed{kill}word")))])
            os.kill(api_pid(server), signal.SIGKILL)
            wait_until_ready(client, 120)
            for upload in (new, changed):
                assert settled(client, upload["job_id"], 240, may_be_away=True)["state"] == "ready"

        done = settled(client, job["job_id"], 240, may_be_away=True)
        assert done["state"] == "ready", done
        assert verified(data) == []
        gone = {f"{words[i]}.txt" for i in (0, 1, -1, -2)}
        expected = ({f"{w}.txt" for w in words} | {"late0.txt", "late1.txt"}) - gone
        documents = everything(client)
        assert set(documents) == expected
        assert {d["chunker_version"][:8] for d in documents.values()} == {"sentence"}
        (revision,) = {d["encoder_revision"] for d in documents.values()}
        assert revision not in old
        assert found(client, words[9]) == {words[9]}
        assert found(client, "changed1word") == {words[6]}
        assert words[6] not in client.document_text(ids[words[6]])
        all_found(client, done["chunks"])

    with openbook_server(data) as server, server.client() as client:  # with the encoder of the collection
        all_found(client, done["chunks"])
        (job,) = client.upload("c", [("after.txt", io.BytesIO(text("afterword")))])
        assert settled(client, job["job_id"], 240, may_be_away=True)["state"] == "ready"
        assert everything(client)["after.txt"]["encoder_revision"] == revision
        client.rollback("c")
        documents = everything(client)
        assert set(documents) == expected | {"after.txt"}
        assert {u: d["chunker_version"][:5] for u, d in documents.items() if d["chunker_version"][:5] != "fixed"} == {
            "after.txt": "sente"
        }
        assert verified(data) == []
        client.delete_previous("c")
        assert verified(data) == []
