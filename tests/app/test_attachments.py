"""Files of one conversation: asked there and nowhere else, seen by nobody else, and gone with it."""

from __future__ import annotations

import io
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.attachments import MAX_FILES
from app.client import ApiError, Client
from core.ids import attached_name
from tests.support.canaries import places_of
from tests.support.jobs import settled
from tests.support.servers import openbook_server
from tests.support.team import Team
from tests.support.zips import zip_of

CANARY = "Quittenlaterne"
TEXT = f"# The {CANARY} file\n\nThe {CANARY} lamp was built by Odo Harrow in 1871. It burns rapeseed oil.\n"
QUESTION = f"Who built the {CANARY} lamp?"
OWN = "# Lamps\n\nAn electric lamp needs no oil. The lamp in the hall was built by somebody else.\n"


@pytest.fixture(scope="module")
def house(signed_in: Team) -> Team:
    """Ida has a collection that Ivo may read; Uwe has none."""
    for name in ("ida", "ivo", "uwe"):
        signed_in.add(name)
    with signed_in.client("ida") as ida:
        ida.create_collection("lamps")
        ida.set_member("lamps", "ivo", "editor")
    signed_in.upload("ida", "lamps", "lamps.md", OWN)
    return signed_in


@pytest.fixture
def ida(house: Team) -> Iterator[Client]:
    with house.client("ida") as client:
        yield client


def attached(client: Client, chat_id: str, text: str = TEXT, name: str = "own.md") -> dict[str, Any]:
    (job,) = client.attach(chat_id, [(name, io.BytesIO(text.encode()))])
    return dict(settled(client, job["job_id"]))


def answered(client: Client, chat_id: str, question: str = QUESTION, **how: Any) -> dict[str, Any]:
    with client.chat_stream(chat_id, question, **how) as said:
        name, data = list(said)[-1]
    assert name == "done", data
    return data


def cited(answer: dict[str, Any]) -> set[str]:
    return {hit["collection"] for hit in answer["hits"]}


def test_a_file_is_asked_with_the_collections_of_its_conversation_and_nowhere_else(ida: Client) -> None:
    chat, other = (ida.create_chat(["lamps"])["chat_id"] for _ in range(2))
    job = attached(ida, chat)
    assert job["state"] == "ready"
    name = attached_name(chat)
    answer = answered(ida, chat)
    assert "Odo Harrow" in answer["answer"]
    assert cited(answer) == {"lamps", name}
    assert cited(answered(ida, chat, only_files=True)) == {name}
    assert [f["file"] for f in ida.chat(chat)["files"]] == ["own.md"]

    assert cited(answered(ida, other)) == {"lamps"} and ida.chat(other)["files"] == []
    assert CANARY not in json.dumps([ida.search(QUESTION, []), ida.ask(QUESTION, [])["hits"]])
    assert [c["name"] for c in ida.collections()] == ["lamps"]
    assert all(j["collection"] == "lamps" for j in ida.jobs())
    with pytest.raises(ApiError, match="no collection"):
        ida.ask(QUESTION, [name])
    with pytest.raises(ApiError, match="no collection"):
        ida.upload(name, [("more.md", io.BytesIO(b"# More"))])
    with pytest.raises(ApiError, match="no collection"):
        ida.set_member(name, "ivo", "reader")


def test_a_conversation_without_any_collection_answers_from_its_files(house: Team) -> None:
    with house.client("uwe") as uwe:
        chat = uwe.create_chat([])["chat_id"]
        attached(uwe, chat)
        assert cited(answered(uwe, chat)) == {attached_name(chat)}
        uwe.delete_chat(chat)


def test_nobody_else_is_told_anything_of_it(house: Team, ida: Client) -> None:
    chat = ida.create_chat(["lamps"])["chat_id"]
    job = attached(ida, chat)
    run_id = answered(ida, chat)["run_id"]
    for who in ("ivo", "uwe", "admin"):
        told_of(who, house, chat, job, run_id)
    assert "Odo Harrow" in answered(ida, chat)["answer"], "it is still there"


def told_of(who: str, house: Team, chat: str, job: dict[str, Any], run_id: str) -> None:
    """Asks by every way that could tell somebody of a file of a conversation."""
    doc_id, name = job["doc_id"], attached_name(chat)
    with house.http(who) as http:
        # As often as it takes for every cache to have been asked.
        told = [
            http.get(f"/v1/documents/{doc_id}{part}")
            for part in ("", "/chunks", "/content", "/content?format=original", "/near-duplicates", "/pages/1.png")
        ]
        told += [http.get(f"/v1/jobs/{job['job_id']}"), http.get(f"/v1/chats/{chat}"), http.get(f"/v1/traces/{run_id}")]
        told += [http.delete(f"/v1/chats/{chat}/files/{job['job_id']}"), http.delete(f"/v1/documents/{doc_id}")]
        told += [http.post(f"/v1/chats/{chat}/files", files={"files": ("x.md", b"# X")})]
        for path in ("", "/members", "/documents", "/calibration"):
            told.append(http.request("DELETE" if not path else "GET", f"/v1/collections/{name}{path}"))
        told += [http.post("/v1/search", json={"query": QUESTION, "collections": [name]})]
        told += [http.post("/v1/ask", json={"question": QUESTION, "collections": [name]})]
        assert {reply.status_code for reply in told} == {404}, [r.text[:80] for r in told if r.status_code != 404]
        # What it names in these was its own words; nothing comes back of it.
        found = [http.post("/v1/search", json={"query": QUESTION, "k": 20, "explain": True}) for _ in range(3)]
        found += [
            http.get(path) for path in ("/v1/collections", "/v1/jobs", "/v1/traces", "/v1/models", "/v1/search/facets")
        ]
        if who == "admin":
            found += [http.get("/v1/users/collections"), http.get("/metrics")]
        for reply in found:
            assert reply.status_code == 200
            assert not {"Odo", "1871", "rapeseed", name, doc_id} & set(reply.text.replace('"', " ").split()), (
                reply.text[:300]
            )
            assert name not in reply.text and "Odo Harrow" not in reply.text


def test_a_file_is_taken_away_and_another_one_of_its_name_takes_its_place(ida: Client) -> None:
    chat = ida.create_chat(["lamps"])["chat_id"]
    first = attached(ida, chat)
    second = attached(ida, chat, TEXT.replace("Odo Harrow", "Una Bright"))
    assert [f["job_id"] for f in ida.chat(chat)["files"]] == [second["job_id"]]
    assert "Una Bright" in answered(ida, chat)["answer"]
    ida.detach(chat, second["job_id"])
    assert ida.chat(chat)["files"] == []
    assert cited(answered(ida, chat)) == {"lamps"}
    with pytest.raises(ApiError, match="no file"):
        ida.detach(chat, first["job_id"])
    with pytest.raises(ApiError, match="no document"):
        ida.document(first["doc_id"])


def test_an_archive_of_a_thousand_files_stays_in_the_list_and_can_be_taken_away(house: Team, ida: Client) -> None:
    chat = ida.create_chat(["lamps"])["chat_id"]
    (sent,) = ida.attach(chat, [("papers.zip", io.BytesIO(zip_of({"own.md": TEXT})))])
    assert settled(ida, sent["job_id"])["state"] == "ready"
    # As if it had had a thousand more, which would take long to read.
    mine = "collection = ?", (attached_name(chat),)
    with sqlite3.connect(house.server.data_dir / "openbook.db", timeout=30) as rows:
        same = [row[1] for row in rows.execute("PRAGMA table_info(jobs)")][1:]
        of = [
            {"job_id": "'j-many-' || i", "uri": "uri || i", "file": "file || i", "doc_id": "NULL"}.get(c, c)
            for c in same
        ]
        rows.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
            f"INSERT INTO jobs ({', '.join(same)}) SELECT {', '.join(of)} FROM jobs, n WHERE parent_id = ?",
            (sent["job_id"],),
        )
        assert rows.execute(f"SELECT count(*) FROM jobs WHERE {mine[0]}", mine[1]).fetchone() == (1002,)
    assert [f["file"] for f in ida.chat(chat)["files"]] == ["papers.zip"]
    ida.detach(chat, sent["job_id"])
    assert ida.chat(chat)["files"] == []
    with sqlite3.connect(house.server.data_dir / "openbook.db", timeout=30) as rows:
        assert rows.execute(f"SELECT count(*) FROM jobs WHERE {mine[0]}", mine[1]).fetchone() == (0,)
    assert cited(answered(ida, chat)) == {"lamps"}


def test_a_file_that_cannot_be_read_says_why_and_can_be_taken_away(ida: Client) -> None:
    chat = ida.create_chat(["lamps"])["chat_id"]
    (job,) = ida.attach(chat, [("broken.pdf", io.BytesIO(b"%PDF-1.4 nothing more"))])
    failed = settled(ida, job["job_id"])
    assert failed["state"] == "failed" and failed["reason"]
    (shown,) = ida.chat(chat)["files"]
    assert shown["reason"] == failed["reason"]
    ida.detach(chat, job["job_id"])
    assert ida.chat(chat)["files"] == []


def test_a_question_waits_for_its_files_and_is_asked_where_it_stands(ida: Client) -> None:
    chat = ida.create_chat(["lamps"])["chat_id"]
    for empty in ("", "x" * 100_000):
        with pytest.raises(ApiError, match="question"):
            ida.keep_question(chat, empty)
    # Or it would stay there, and be refused whenever it is to be answered.
    with pytest.raises(ApiError, match="no collection 'of-nobody'"):
        ida.keep_question(chat, QUESTION, collections=["of-nobody"])
    message_id = ida.keep_question(chat, QUESTION)
    kept = ida.chat(chat)
    assert [m["message_id"] for m in kept["messages"]] == [message_id] and kept["title"] == QUESTION
    attached(ida, chat)
    with ida.regenerate_stream(chat, message_id) as said:
        assert list(said)[-1][1]["answer"].count("Odo Harrow")
    assert [m["role"] for m in ida.chat(chat)["messages"]] == ["user", "assistant"]


def test_only_its_files_are_asked_only_where_there_are_any(ida: Client) -> None:
    chat = ida.create_chat(["lamps"])["chat_id"]
    with pytest.raises(ApiError, match="no files of its own"), ida.chat_stream(chat, QUESTION, only_files=True) as said:
        list(said)


def test_one_file_too_many_is_refused_with_what_to_do(ida: Client) -> None:
    chat = ida.create_chat([])["chat_id"]
    with pytest.raises(ApiError, match="put them into a collection"):
        ida.attach(chat, [(f"{n}.md", io.BytesIO(b"# One of many")) for n in range(MAX_FILES + 1)])
    assert len(ida.chat(chat)["files"]) == MAX_FILES
    ida.delete_chat(chat)


def test_with_a_conversation_go_its_files_its_jobs_and_its_traces(house: Team, ida: Client) -> None:
    chat = ida.create_chat(["lamps"])["chat_id"]
    job = attached(ida, chat, TEXT.replace("1871", "1872"))
    run_id = answered(ida, chat)["run_id"]
    outside = ida.ask(QUESTION, ["lamps"])["run_id"]
    # One that is on its way in when the conversation goes.
    ida.attach(chat, [("late.md", io.BytesIO(TEXT.encode()))])
    ida.delete_chat(chat)
    for gone in (lambda: ida.chat(chat), lambda: ida.document(job["doc_id"]), lambda: ida.job(job["job_id"]),
                 lambda: ida.trace(run_id)):  # fmt: skip
        with pytest.raises(ApiError) as told:
            gone()
        assert told.value.status == 404
    assert ida.trace(outside)["run_id"] == outside, "what was asked elsewhere stays"
    data = house.server.data_dir
    with sqlite3.connect(f"file:{data / 'openbook.db'}?mode=ro", uri=True) as rows:
        for table, column in (("collections", "attached_to"), ("jobs", "collection"), ("messages", "chat_id")):
            known = {chat, attached_name(chat)}
            assert not known & {r[0] for r in rows.execute(f"SELECT {column} FROM {table}")}, table
        sha256 = "SELECT count(*) FROM documents WHERE doc_id = ?"
        assert rows.execute(sha256, (job["doc_id"],)).fetchone() == (0,)
    held = b"".join(p.read_bytes() for p in (data / "originals").rglob("*") if p.is_file())
    assert b"1872" not in held


SCRIPT = {"replies": [{"text": " ".join(["slowly"] * 200), "delta_delay_s": 0.1, "times": 0}]}


@pytest.mark.slow
def test_a_purged_conversation_is_in_no_byte_and_a_run_that_outlives_it_leaves_nothing(
    tmp_path: Path, model_cache: Path
) -> None:
    data, script = tmp_path / "data", tmp_path / "script.json"
    script.write_text(json.dumps(SCRIPT), "utf-8")
    env = {"OPENBOOK_LM_RUNTIME": "scripted", "OPENBOOK_LM_SCRIPT": str(script)}
    with openbook_server(data, env=env) as server, server.client() as client:
        chat = client.create_chat([], strategy="extract")["chat_id"]
        attached(client, chat, name=f"{CANARY}.md")
        assert CANARY in answered(client, chat)["answer"]
        assert places_of(data, CANARY)
        begun = threading.Event()

        def ask() -> None:
            with client.chat_stream(chat, QUESTION, strategy="rag") as said:
                for name, _ in said:
                    if name == "token":
                        begun.set()

        asking = threading.Thread(target=ask)
        asking.start()
        assert begun.wait(30)
        client.delete_chat(chat, purge=True)
        assert client.system()["runs"] == 1
        client.cancel_run(client.runs()[0]["run_id"])
        asking.join(30)
        deadline = time.monotonic() + 30
        while client.system()["runs"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert client.trace_page()["traces"] == []
        with client.chat_stream(client.create_chat([])["chat_id"], "Anything?", strategy="extract") as said:
            list(said)  # the database goes on
    assert places_of(data, CANARY) == []
