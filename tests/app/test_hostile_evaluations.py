"""Evaluations under people who press everything: each wrong thing has one clear error, and nothing is lost by any."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from app.client import ApiError, Client
from tests.support.jobs import settled
from tests.support.servers import RunningServer

NAMES = ["Übung 1 – Größe.md", "日本語の文書.md", "emoji 🐟 & <b>.md"]
BM25, TFIDF = {"retriever": "bm25"}, {"retriever": "tfidf"}


def text_of(n: int) -> bytes:
    facts = [
        f"The keeper of harbour {n}{i} counted {100 * n + i} boats on the {i + 3}th morning of the fair."
        for i in range(6)
    ]
    return ("# Harbour\n\n" + "\n\n".join(facts) + "\n").encode()


@contextmanager
def collection_of(client: Client, name: str) -> Iterator[str]:
    """Three documents with names from everywhere."""
    client.create_collection(name)
    for job in client.upload(name, [(file, io.BytesIO(text_of(n))) for n, file in enumerate(NAMES)]):
        assert settled(client, job["job_id"])["state"] == "ready"
    yield name
    if name in [c["name"] for c in client.collections()]:
        client.delete_collection(name)


@pytest.fixture(scope="module")
def harbour(server: RunningServer) -> Iterator[str]:
    with server.client() as client, collection_of(client, "harbour") as name:
        yield name


def csv_of(n: int) -> str:
    """``n`` questions of the second document."""
    return "question,answer,document\n" + "".join(
        f"How many boats on morning {i} in {k}?,{100 + i % 6},{NAMES[1]}\n" for k, i in enumerate(range(n))
    )


MAPPING = {"question": "question", "answers": "answer", "document": "document"}


def set_of(client: Client, collection: str, n: int) -> str:
    return str(client.import_questions(collection, csv_of(n), "csv", MAPPING)["set_id"])


def until_ended(client: Client, eval_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while (found := client.eval(eval_id))["state"] not in ("done", "failed", "cancelled"):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


@pytest.mark.parametrize(
    ("text", "form", "mapping", "status", "says"),
    [
        ("", "csv", None, 422, "holds no question"),
        ("question,answer\n", "csv", None, 422, "holds no question"),
        ("\0\1\2", "csv", None, 422, "is not text"),
        ('{"q": NaN}', "jsonl", None, 422, "NaN is no number"),
        ('{"q": [[' + "[" * 60_000, "jsonl", None, 422, "nested too deeply"),
        ("question\n" + "Why?\n" * 100_000, "csv", None, 422, "more than 5,000 rows"),
        ("a,b\n1,2\n", "csv", {"question": "c"}, 422, "no column 'c': the file has a, b"),
        ("a,b\n1,2\n", "csv", {"answers": "a"}, 422, "say which column holds the question"),
        ("a,b\n1,2\n", "csv", {"questions": "a"}, 422, "unknown field 'questions': map question"),
        (
            "q,d\nWho?,nowhere.md\n",
            "csv",
            {"question": "q", "document": "d"},
            422,
            "no document of the collection is called",
        ),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else None,
)
def test_a_table_that_is_none_is_refused_and_leaves_no_set(
    server: RunningServer, client: Client, harbour: str, text: str, form: str, mapping: Any, status: int, says: str
) -> None:
    before = client.question_sets(harbour)
    body = {"collection": harbour, "text": text, "form": form, "mapping": mapping}
    reply = httpx.post(f"{server.api_url}/v1/evals/sets/import", json=body, timeout=60)
    assert reply.status_code == status, reply.text
    assert says in reply.json()["detail"]
    assert client.question_sets(harbour) == before


def test_documents_are_found_by_names_of_any_script(client: Client, harbour: str) -> None:
    rows = "".join(f"How many boats in {n}?,{name}\n" for n, name in enumerate(NAMES))
    kept = client.import_questions(harbour, f"q,d\n{rows}", "csv", {"question": "q", "document": "d"}, name="石 <b>")
    assert kept["origin"]["problems"] == [] and kept["name"] == "石 <b>"
    assert {q["gold"][0]["title"] for q in kept["questions"]} and len(kept["questions"]) == len(NAMES)


def test_an_evaluation_of_which_nothing_is_measured_has_an_answer_to_everything(
    server: RunningServer, client: Client, harbour: str
) -> None:
    set_id = set_of(client, harbour, 2)
    address = f"{server.api_url}/v1/evals"
    board = httpx.get(f"{address}/sets/{set_id}/leaderboard")
    assert board.status_code == 200 and board.json()["places"] == []
    eval_id = client.start_eval(set_id, [BM25, TFIDF])["eval_id"]
    try:
        client.cancel_eval(eval_id)
    except ApiError as e:  # two questions take no time
        assert e.status == 409 and "nothing to cancel" in e.message
    for path in ("", "/result", "/compare", "/leaderboard", "/ballot", "/votes", "/report", "/report?form=markdown"):
        reply = httpx.get(f"{address}/{eval_id}{path}", timeout=60)
        votes = path in ("/ballot", "/votes")  # of searches nobody votes
        assert reply.status_code in ((200, 422) if votes else (200, 409)), (path, reply.text)
    for path, says in (
        ("/compare?a=0&b=7", "name two of"),
        ("/compare?a=1&b=1", "name two of"),
        ("/leaderboard?metric=x", "unknown metric 'x'"),
    ):
        reply = httpx.get(f"{address}/{eval_id}{path}", timeout=60)
        assert reply.status_code == 422 and says in reply.json()["detail"], reply.text
    vote = httpx.post(f"{address}/{eval_id}/votes", json={"ballot": "x", "choice": "left"}, timeout=60)
    assert vote.status_code in (404, 409, 422), vote.text
    with pytest.raises(ApiError, match="only a cancelled or failed one is resumed"):
        client.resume_eval(client.start_eval(set_id, [BM25, TFIDF])["eval_id"])


def test_the_same_grid_twice_at_once_is_measured_once(client: Client, harbour: str) -> None:
    set_id = set_of(client, harbour, 100)
    first, second = (client.start_eval(set_id, [BM25, TFIDF])["eval_id"] for _ in range(2))
    done = [until_ended(client, eval_id) for eval_id in (first, second)]
    assert [run["state"] for run in done] == ["done", "done"]
    # The first may find some that a run of another test here had measured before it was cancelled.
    assert done[0]["reused"] < 100 and done[1]["reused"] == 200
    results = [client.eval_result(eval_id)["configurations"] for eval_id in (first, second)]
    assert [c["metrics"] for c in results[0]] == [c["metrics"] for c in results[1]]


@pytest.mark.parametrize("what", ["collection", "set", "evaluation"])
def test_what_is_deleted_while_it_is_measured_is_gone_and_the_next_evaluation_runs(
    server: RunningServer, client: Client, harbour: str, what: str
) -> None:
    behind = set_of(client, harbour, 3)
    with collection_of(client, f"doomed-{what}") as doomed:
        set_id = set_of(client, doomed, 3000)
        eval_id = client.start_eval(set_id, [BM25, TFIDF])["eval_id"]
        waiting = client.start_eval(behind, [BM25, TFIDF])["eval_id"]
        deadline = time.monotonic() + 60
        while client.eval(eval_id)["state"] == "queued":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        match what:
            case "collection":
                client.delete_collection(doomed)
            case "set":
                client.delete_question_set(set_id)
            case _:
                client.delete_eval(eval_id)
        for path in ("", "/result", "/events", "/report"):
            reply = httpx.get(f"{server.api_url}/v1/evals/{eval_id}{path}", timeout=60)
            assert reply.status_code == 404, (path, reply.text)
            assert "list them to see their ids" in reply.json()["detail"]
        assert until_ended(client, waiting)["state"] == "done"
        assert client.question_set(behind)["n"] == 3


def test_one_that_was_cancelled_goes_on_with_what_it_has(client: Client, harbour: str) -> None:
    set_id = set_of(client, harbour, 1500)
    eval_id = client.start_eval(set_id, [BM25, TFIDF])["eval_id"]
    deadline = time.monotonic() + 60
    while client.eval(eval_id)["done"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    cancelled = client.cancel_eval(eval_id)
    assert cancelled["state"] == "cancelled" and 0 < cancelled["done"] < 3000
    with pytest.raises(ApiError, match="cancelled already: there is nothing to cancel"):
        client.cancel_eval(eval_id)
    client.resume_eval(eval_id)
    run = until_ended(client, eval_id)
    assert (run["state"], run["done"]) == ("done", 3000)
    assert run["reused"] >= cancelled["done"]
