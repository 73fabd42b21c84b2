"""The API of a real server: the main job, and what happens to bad input."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path

import httpx
import pytest

from app.client import ApiError, Client
from app.replies import Job
from app.sse import read_events
from tests.support.jobs import LONGEST_S, settled
from tests.support.servers import RunningServer

ROCKET = "# Rockets\n\nThe Saturn V was 110.6 metres tall. It first flew on 9 November 1967.\n"
BREAD = "# Bread\n\nSourdough rises slowly because wild yeast is scarce. A loaf bakes for 45 minutes.\n"
_numbers = itertools.count()


@pytest.fixture
def collection(client: Client) -> str:
    name = f"test-{next(_numbers)}"
    client.create_collection(name)
    return name


def settle(client: Client, jobs: list[Job], timeout_s: float = LONGEST_S) -> list[Job]:
    return [settled(client, job["job_id"], timeout_s) for job in jobs]


def put(client: Client, collection: str, **files: str | bytes) -> list[Job]:
    """Uploads ``name_md="…"`` as name.md and waits for the end."""
    sources = [
        (name[::-1].replace("_", ".", 1)[::-1], io.BytesIO(data.encode() if isinstance(data, str) else data))
        for name, data in files.items()
    ]
    return settle(client, client.upload(collection, sources))


def test_a_question_about_an_uploaded_file_is_answered_with_its_own_words(client: Client, collection: str) -> None:
    jobs = put(client, collection, rocket_md=ROCKET, bread_md=BREAD)
    assert [j["state"] for j in jobs] == ["ready", "ready"]
    answer = client.ask("How tall was the Saturn V?", [collection])
    assert not answer["abstained"]
    assert "110.6 metres" in answer["answer"]
    for citation in answer["citations"]:
        text = client.document_text(citation["doc_id"])
        assert text[citation["start"] : citation["end"]] == citation["quote"]
    assert {s["verdict"] for s in answer["sentences"]} <= {"supported"}


def test_what_the_documents_do_not_say_is_not_answered(client: Client, collection: str) -> None:
    put(client, collection, bread_md=BREAD)
    answer = client.ask("Who was the first queen of Norway?", [collection])
    assert answer["abstained"]
    assert answer["reason"]
    assert answer["citations"] == []


def test_the_same_bytes_again_change_nothing_and_other_bytes_replace(client: Client, collection: str) -> None:
    first = put(client, collection, a_md=ROCKET)[0]
    again = put(client, collection, a_md=ROCKET)[0]
    assert again["doc_id"] == first["doc_id"]
    assert (again["state"], again["chunks"], again["seconds"]) == ("ready", first["chunks"], 0.0)  # no work was done
    assert len(client.documents(collection)["documents"]) == 1
    put(client, collection, a_md=BREAD)
    assert [d["title"] for d in client.documents(collection)["documents"]] == ["Bread"]
    assert all("Saturn" not in h["text"] for h in client.search("Saturn V", [collection], k=10))


def test_one_bad_file_does_not_fail_the_others(client: Client, collection: str) -> None:
    jobs = put(
        client,
        collection,
        good_md=ROCKET,
        empty_pdf=b"",
        broken_pdf=b"%PDF-1.7 nothing",
        blob_bin=bytes(range(256)) * 9,
    )
    assert [j["state"] for j in jobs] == ["ready", "failed", "failed", "failed"]
    for job in jobs[1:]:
        assert len(str(job["reason"])) > 10


def test_a_deleted_document_is_found_by_nobody(client: Client, collection: str) -> None:
    job = put(client, collection, a_md=ROCKET)[0]
    assert client.search("Saturn", [collection], k=3)
    assert not any(listed.get("gone") for listed in client.jobs(collection=collection))
    client.delete_document(str(job["doc_id"]))
    assert [listed.get("gone") for listed in client.jobs(collection=collection)] == [True]
    assert client.search("Saturn", [collection], k=3) == []
    with pytest.raises(ApiError) as caught:
        client.document_text(str(job["doc_id"]))
    assert caught.value.status == 404


def test_a_deleted_collection_takes_its_documents_along(client: Client, collection: str) -> None:
    put(client, collection, a_md=ROCKET)
    client.delete_collection(collection)
    with pytest.raises(ApiError) as caught:
        client.search("Saturn", [collection], k=3)
    assert caught.value.status == 404


def test_searches_narrowed_by_a_tag_find_what_has_it_now(client: Client, collection: str) -> None:
    rocket, bread = (str(j["doc_id"]) for j in put(client, collection, rocket_md=ROCKET, bread_md=BREAD))

    def found() -> set[str]:
        hits = client.search_whole("rockets and bread", [collection], filters={"tag": ["draft"]})["hits"]
        return {hit["doc_id"] for hit in hits}

    client.tag_document(rocket, ["draft"])
    assert found() == {rocket}
    client.tag_document(bread, ["draft"])
    assert found() == {rocket, bread}
    client.tag_document(rocket, [])
    assert found() == {bread}
    client.tag_document(bread, ["final"])
    assert found() == set()


@pytest.mark.parametrize("retriever", ["bm25", "tfidf", "dense", "hybrid"])
def test_every_retriever_finds_the_passage_and_says_its_parts(client: Client, collection: str, retriever: str) -> None:
    put(client, collection, rocket_md=ROCKET, bread_md=BREAD)
    hits = client.search("When did the Saturn V fly?", [collection], k=2, retriever=retriever)
    assert "Saturn" in hits[0]["text"]
    assert hits[0]["rank"] == 1
    assert hits[0]["parts"]


@pytest.mark.parametrize("chunker", ["fixed", "sentence", "semantic", "parent-child"])
def test_every_chunker_gives_passages_that_can_be_read_and_quoted(
    client: Client, collection: str, chunker: str
) -> None:
    several = "\n\n".join(f"# Part {n}\n\n" + f"The store keeps {n} loaves on shelf {n}. " * 30 for n in range(3))
    sources = [("a.md", io.BytesIO(f"{ROCKET}\n\n{several}".encode()))]
    job = settle(client, client.upload(collection, sources, chunker=chunker))[0]
    assert job["state"] == "ready", job
    text = client.document_text(str(job["doc_id"]))
    chunks = client.chunks(str(job["doc_id"]))
    assert job["chunks"] == len(chunks) > 3
    hits = client.search("How tall was the Saturn V?", [collection], k=3)
    assert len(hits) == 3
    for hit in hits:
        assert hit["text"] == text[hit["start"] : hit["end"]]
        assert ("matched" in hit) == (chunker == "parent-child")
    if chunker == "parent-child":
        found = next(c for c in chunks if c["chunk_id"] == hits[0]["matched"]["chunk_id"])
        assert found["parent_id"] == hits[0]["chunk_id"]
        assert found["text"] in hits[0]["text"] != found["text"]
    answer = client.ask("How tall was the Saturn V?", [collection])
    assert "110.6 metres" in answer["answer"]
    assert all(text[c["start"] : c["end"]] == c["quote"] for c in answer["citations"])


def test_a_search_over_two_collections_finds_in_both(client: Client, collection: str) -> None:
    other = f"test-{next(_numbers)}"
    client.create_collection(other)
    put(client, collection, a_md=ROCKET)
    put(client, other, b_md=BREAD)
    found = client.search("minutes metres", [collection, other], k=10)
    assert {h["title"] for h in found} == {"Rockets", "Bread"}


@pytest.mark.parametrize(
    ("question", "status", "words"),
    [("", 422, "empty"), ("   \n", 422, "empty"), ("x" * 50_000, 422, "50,000 characters")],
)
def test_a_question_that_is_none_gets_a_clear_answer(
    client: Client, collection: str, question: str, status: int, words: str
) -> None:
    with pytest.raises(ApiError, match=words) as caught:
        client.ask(question, [collection])
    assert caught.value.status == status


def test_an_unknown_collection_is_named_with_those_there_are(client: Client, collection: str) -> None:
    with pytest.raises(ApiError, match=collection) as caught:
        client.ask("Anything?", ["no-such"])
    assert caught.value.status == 404


def test_a_strategy_that_needs_a_language_model_says_that_there_is_none(client: Client, collection: str) -> None:
    with pytest.raises(ApiError, match="language model") as caught:
        client.ask("Anything?", [collection], strategy="rag")
    assert caught.value.status == 503


@pytest.mark.parametrize("name", ["", "Upper", "-dash", "a" * 64, "a/b", "ü"])
def test_a_bad_collection_name_is_refused_with_the_rule(client: Client, name: str) -> None:
    with pytest.raises(ApiError, match="1 to 63") as caught:
        client.create_collection(name)
    assert caught.value.status == 422


def test_a_collection_cannot_be_made_twice(client: Client, collection: str) -> None:
    with pytest.raises(ApiError) as caught:
        client.create_collection(collection)
    assert caught.value.status == 409


def test_errors_are_problem_json(server: RunningServer) -> None:
    reply = httpx.get(f"{server.api_url}/v1/documents/nothing", trust_env=False)
    assert reply.status_code == 404
    assert reply.headers["content-type"] == "application/problem+json"
    assert set(reply.json()) >= {"type", "title", "status", "detail"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_page_elsewhere_cannot_write_here(server: RunningServer, headers: dict[str, str], status: int) -> None:
    reply = httpx.post(f"{server.api_url}/v1/collections", json={"name": "csrf"}, headers=headers, trust_env=False)
    assert reply.status_code == status


def test_the_workers_door_is_closed_to_others(server: RunningServer) -> None:
    reply = httpx.post(f"{server.api_url}/internal/claim", headers={"X-Openbook-Worker": "x"}, trust_env=False)
    assert reply.status_code == 404


def test_the_api_page_needs_no_other_host(server: RunningServer) -> None:
    page = httpx.get(f"{server.api_url}/docs", trust_env=False).text
    assert "cdn" not in page
    paths = httpx.get(f"{server.api_url}/openapi.json", trust_env=False).json()["paths"]
    assert "/v1/ask" in paths
    assert not any(path.startswith("/internal") for path in paths)


def test_a_stream_tells_run_sentence_citation_and_done(client: Client, collection: str) -> None:
    put(client, collection, rocket_md=ROCKET)
    with client.ask_stream("How tall was the Saturn V?", [collection]) as stream:
        events = list(stream)
    names = [name for name, _ in events]
    assert names[0] == "run"
    assert names[-1] == "done"
    assert {"step", "token", "sentence", "citation"} <= set(names)
    said = "".join(data["text"] for name, data in events if name == "token")
    assert said == events[-1][1]["answer"]


def test_a_conversation_is_kept(client: Client, collection: str) -> None:
    put(client, collection, rocket_md=ROCKET)
    chat = client.create_chat([collection])
    with client.chat_stream(chat["chat_id"], "How tall was the Saturn V?") as stream:
        done = dict(list(stream)[-1:])["done"]
    kept = client.chat(chat["chat_id"])
    assert kept["title"] == "How tall was the Saturn V?"
    assert [m["role"] for m in kept["messages"]] == ["user", "assistant"]
    assert kept["messages"][1]["answer"]["run_id"] == done["run_id"]
    client.delete_chat(chat["chat_id"])
    with pytest.raises(ApiError):
        client.chat(chat["chat_id"])


def test_a_trace_of_each_run_is_kept(client: Client, server: RunningServer, collection: str) -> None:
    put(client, collection, rocket_md=ROCKET)
    run_id = client.ask("How tall was the Saturn V?", [collection])["run_id"]
    trace = httpx.get(f"{server.api_url}/v1/traces/{run_id}", trust_env=False).json()
    assert trace["stop_reason"] == "answered"
    assert trace["steps"]


def test_job_events_tell_each_state_and_end(client: Client, collection: str) -> None:
    job = client.upload(collection, [("a.md", io.BytesIO(ROCKET.encode()))])[0]
    states = [j["state"] for j in client.job_events(job["job_id"])]
    assert states[-1] == "ready"
    order = ["queued", "parsing", "encoding", "indexing", "ready"]
    assert [order.index(s) for s in states] == sorted(order.index(s) for s in states)


def test_job_events_go_on_after_the_one_that_was_heard_last(
    server: RunningServer, client: Client, collection: str
) -> None:
    job = client.upload(collection, [("a.md", io.BytesIO(ROCKET.encode()))])[0]
    url = f"{server.api_url}/v1/jobs/{job['job_id']}/events"
    with httpx.stream("GET", url, trust_env=False, timeout=60) as heard:
        everything = list(read_events(heard.iter_raw()))
    assert len(everything) >= 2 and json.loads(everything[-1].data)["state"] == "ready"
    for n, event in enumerate(everything):
        again = httpx.get(url, headers={"Last-Event-ID": event.last_id}, trust_env=False)
        left = list(read_events([again.content]))
        assert [e.last_id for e in left] == [e.last_id for e in everything[n + 1 :]], "none twice and none left out"


def test_a_file_over_the_limit_is_refused_and_the_service_lives(
    tmp_path: Path, client: Client, collection: str
) -> None:
    big = tmp_path / "big.txt"
    with big.open("wb") as file:
        file.truncate(200 * 2**20)
    jobs = settle(client, client.upload(collection, [big]))
    assert jobs[0]["state"] == "failed"
    assert "104,857,600 bytes" in str(jobs[0]["reason"])
    assert client.health() == {"status": "ok"}
