"""After a purge a document is in no byte of the data directory; after a mere deletion its quotes remain."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import pytest

from app.client import ApiError, Client
from app.upkeep.purge import PENDING_FILE, RecentPurges
from app.upkeep.scrub import MARKER, Scrub
from tests.app.test_api import settle
from tests.support.canaries import places_of
from tests.support.commands import json_of, openbook
from tests.support.library import LOCAL
from tests.support.purge_desk import Fate, purge_desk
from tests.support.servers import RunningServer, openbook_server

CANARY = "Zwirbelkanarie-773194826"
SECRET = f"# The plan of {CANARY}\n\nThe secret codename of the harbour project is {CANARY} and nobody may say so.\n"
OTHER = "# Bread\n\nSourdough rises slowly because wild yeast is scarce. A loaf bakes for 45 minutes.\n"


def asked(client: Client, chat_id: str, question: str) -> None:
    with client.chat_stream(chat_id, question) as events:
        assert [name for name, _ in events][-1] == "done"


def test_a_corrected_file_of_the_same_name_may_be_quoted_by_what_was_asked_after_the_purge() -> None:
    now = 1000.0
    recent = RecentPurges(clock=lambda: now)
    gone = scrub()
    recent.add(gone, "ann")
    said = {
        "answer": "It says X.",
        "sentences": [],
        "citations": [{"n": 1, "doc_id": "d1", "quote": "It says X."}],
        "hits": [],
    }
    clean = functools.partial(recent.clean, said, "bob")
    assert clean(asked_at=now) != said, "it may still be found"
    now += 30
    recent.ended(gone)
    assert clean(asked_at=now - 1) != said, "it was found before it was gone"
    assert clean(asked_at=now + 59) != said, "what it was given may have been read before"
    assert clean(asked_at=now + 61) == said
    assert recent.clean(said, "ann", asked_at=now + 61) == said


@pytest.mark.slow
def test_a_canary_is_in_no_byte_after_a_purge_and_other_documents_stay(tmp_path: Path, model_cache: Path) -> None:
    data = tmp_path / "data"
    with openbook_server(data) as server, server.client() as client:
        client.create_collection("c")
        client.create_collection("d")
        jobs = settle(
            client,
            client.upload(
                "c",
                [
                    (f"{CANARY}.md", io.BytesIO(SECRET.replace("harbour", "quayside").encode())),
                    ("bread.md", io.BytesIO(OTHER.encode())),
                ],
            ),
        )
        # Replaced once, so that an older version has been in the database, too.
        jobs[0] = settle(client, client.upload("c", [(f"{CANARY}.md", io.BytesIO(SECRET.encode()))]))[0]
        assert [j["state"] for j in jobs] == ["ready", "ready"]
        doc_id = str(jobs[0]["doc_id"])
        chat = client.create_chat(["c"])["chat_id"]
        asked(client, chat, f"What do you know of {CANARY}?")
        asked(client, chat, "What is the secret codename of the harbour project?")
        asked(client, chat, "How long does a loaf of sourdough bake?")
        answer = client.ask("What is the secret codename of the harbour project?", ["c"])
        assert CANARY in answer["answer"]
        assert {"openbook.db", "openbook.db-wal"} & set(places_of(data, CANARY))

        done = json_of(openbook("documents", "delete", doc_id, "--purge", "--json", data_dir=data))
        assert done["original"] == "removed"
        assert done["messages"] >= 3
        assert done["traces"] >= 2
        assert done["chats"] == 1
        assert done["remains"] == ["backups that were taken before"]
        assert places_of(data, CANARY) == []
        assert places_of(data, "773194826") == []
        assert places_of(data, "nobody may say so") == []

        with pytest.raises(ApiError):
            client.document(doc_id)
        messages = client.chat(chat)["messages"]
        assert len(messages) == 6
        assert MARKER in messages[0]["content"]
        assert "45 minutes" in messages[5]["content"]
        assert messages[4]["content"] == "How long does a loaf of sourdough bake?"
        for message in messages[1::2]:
            body = message["answer"]
            assert body is not None
            assert message["content"] == body["answer"]
            for sentence in body["sentences"]:
                assert body["answer"][sentence["start"] : sentence["end"]].strip()
        assert client.search("sourdough", ["c"], k=1)[0]["title"] == "Bread"
        assert client.search("codename", ["c"], k=5, retriever="bm25") == []
        assert json_of(openbook("verify", "--json", data_dir=data))["ok"]
    assert places_of(data, CANARY) == []
    assert not (data / PENDING_FILE).exists()


def test_the_bytes_of_a_purged_document_stay_if_another_document_has_them(client: Client) -> None:
    for name in ("purge-a", "purge-b"):
        client.create_collection(name)
    first = settle(client, client.upload("purge-a", [("x.md", io.BytesIO(SECRET.encode()))]))[0]
    second = settle(client, client.upload("purge-b", [("y.md", io.BytesIO(SECRET.encode()))]))[0]
    done = client.purge_document(str(first["doc_id"]))
    assert done["original"].startswith("kept")
    assert client.document_original(str(second["doc_id"])) == SECRET.encode()
    client.purge_document(str(second["doc_id"]))


@pytest.mark.parametrize("fate", ["failed", "cancelled", "paused", "at work"])
def test_a_newer_version_that_never_became_the_document_is_purged_with_it(tmp_path: Path, fate: Fate) -> None:
    old, new = "Erstkanarie is what the first version says", "Neukanarie is what a second version says"
    with purge_desk(tmp_path) as desk:
        desk.create("c")
        desk.upload("c", "plan.md", old, "ready")
        desk.upload("c", "plan.md", new, fate)
        desk.upload("c", "other.md", "somebody else's file waits as before", "paused")
        assert places_of(tmp_path / "originals", "Neukanarie")
        done = desk.purge(LOCAL, "c", "plan.md")
        assert (done.original, done.jobs) == ("removed", 2)
        assert places_of(tmp_path, "Erstkanarie") == places_of(tmp_path, "Neukanarie") == []
        assert places_of(tmp_path / "originals", "waits as before")


def test_a_purge_says_so_where_a_file_that_waits_elsewhere_has_the_bytes_of_a_newer_version(tmp_path: Path) -> None:
    text = "the same bytes twice"
    with purge_desk(tmp_path) as desk:
        for name in ("c", "d"):
            desk.create(name)
        desk.upload("c", "plan.md", "the first version", "ready")
        desk.upload("c", "plan.md", text, "failed")
        desk.upload("d", "copy.md", text, "paused")
        assert desk.purge(LOCAL, "c", "plan.md").original.startswith("kept")
        assert places_of(tmp_path / "originals", text)


def test_a_purge_of_nothing_is_not_found(client: Client) -> None:
    with pytest.raises(ApiError, match="no document"):
        client.purge_document("d" + "0" * 32)


def test_a_document_that_was_deleted_before_can_still_be_purged(server: RunningServer, client: Client) -> None:
    secret = SECRET.replace(CANARY, "Quinceberry-8842")
    client.create_collection("purge-late")
    name = "plan of the Quinceberry-8842.md"
    files = [(name, io.BytesIO(secret.encode())), ("bread.md", io.BytesIO(OTHER.encode()))]
    doc_id = str(settle(client, client.upload("purge-late", files))[0]["doc_id"])
    chat = client.create_chat(["purge-late"])["chat_id"]
    asked(client, chat, "What is the secret codename of the harbour project?")
    asked(client, chat, "How long does a loaf of sourdough bake?")
    said = openbook("documents", "delete", doc_id, data_dir=server.data_dir)
    assert "say it again with --purge" in said.stdout
    assert "Quinceberry-8842" in str(client.chat(chat))
    command = ("documents", "delete", name, "--collection", "purge-late", "--purge", "--json")
    done = json_of(openbook(*command, data_dir=server.data_dir))
    assert done["purged"] == doc_id and done["deleted_before"] is True
    assert done["messages"] >= 1 and done["traces"] >= 1 and done["jobs"] == 1
    assert "no kept run was shown" in done["remains"][0]
    assert places_of(server.data_dir, "Quinceberry-8842") == []
    assert "45 minutes" in client.chat(chat)["messages"][3]["content"]
    with pytest.raises(ApiError, match="no document"):
        client.purge_document(doc_id)


def test_a_deleted_collection_leaves_no_file_that_waited_or_could_not_be_read(
    server: RunningServer, client: Client
) -> None:
    broken, waits = "Bruchkanarie-90417", "Wartekanarie-38265"
    client.create_collection("gone-with-files")
    (failed,) = settle(client, client.upload("gone-with-files", [("b.pdf", io.BytesIO(f"%PDF-1.7 {broken}".encode()))]))
    assert failed["state"] == "failed"
    client.pause_collection("gone-with-files")
    client.upload("gone-with-files", [("w.md", io.BytesIO(f"# Salaries\n\n{waits}\n".encode()))])
    originals = server.data_dir / "originals"
    assert places_of(originals, broken) and places_of(originals, waits)
    client.delete_collection("gone-with-files")
    assert places_of(originals, broken) == places_of(originals, waits) == []


def scrub(text: str = SECRET, peculiar: tuple[str, ...] = (CANARY.lower(),)) -> Scrub:
    return Scrub("d1", text, ("The plan", "plan.md"), lambda word: word in peculiar)


def test_an_answer_that_was_measured_is_cleaned_and_the_places_of_its_sentences_still_fit() -> None:
    text = f"It is called {CANARY}. Bread takes 45 minutes."
    end = text.index(".") + 1
    row = {"answer": text, "sentences": [[0, end, "supported"], [end + 1, len(text), "partial"]], "found": []}
    cleaned = scrub().clean({"q1": row})["q1"]
    assert CANARY not in cleaned["answer"]
    assert [cleaned["answer"][a:b] for a, b, _ in cleaned["sentences"]][1] == "Bread takes 45 minutes."
    assert [verdict for _, _, verdict in cleaned["sentences"]] == ["supported", "partial"]
    assert scrub().clean({"q1": {**row, "answer": "", "sentences": []}})["q1"]["sentences"] == []


def test_a_sentence_that_cites_the_document_is_replaced_and_the_offsets_of_the_others_still_fit() -> None:
    text = "It is called X. Bread takes 45 minutes."
    answer = {
        "answer": text,
        "sentences": [
            {"text": "It is called X.", "start": 0, "end": 15, "citations": [1]},
            {"text": "Bread takes 45 minutes.", "start": 16, "end": 39, "citations": [2]},
        ],
        "citations": [
            {"n": 1, "doc_id": "d1", "quote": "codename X", "title": "The plan", "start": 3, "end": 9},
            {"n": 2, "doc_id": "d2", "quote": "45 minutes", "title": "Bread", "start": 0, "end": 10},
        ],
        "hits": [{"doc_id": "d1", "text": "the whole passage", "heading_path": ["A", "B"], "score": 0.5}],
    }
    clean = scrub().clean(answer)
    assert clean["answer"] == f"{MARKER} Bread takes 45 minutes."
    for sentence in clean["sentences"]:
        assert clean["answer"][sentence["start"] : sentence["end"]] == sentence["text"]
    assert clean["citations"][0] == {"n": 1, "doc_id": "d1", "quote": MARKER, "title": MARKER, "start": 3, "end": 9}
    assert clean["citations"][1] == answer["citations"][1]
    assert clean["hits"] == [{"doc_id": "d1", "text": MARKER, "heading_path": [], "score": 0.5}]
    assert scrub().clean(clean) == clean


def test_runs_of_words_names_and_peculiar_words_are_taken_out_and_common_words_stay() -> None:
    found = scrub()
    assert (
        found.text("They said: THE SECRET codename of the Harbour project, was known")
        == f"They said: {MARKER}, was known"
    )
    assert found.text(f"who is {CANARY}?") == f"who is {MARKER}"
    assert found.text("as in plan.md, page 1") == f"as in {MARKER}, page 1"
    plain = "The codename of a project is not a secret"
    assert found.text(plain) == plain


def test_the_steps_of_a_run_that_read_the_document_lose_their_free_text() -> None:
    step = {"index": 0, "kind": "act", "thought": "so it is X", "observation": "X", "error": "", "tool_call": {"a": 1}}
    read = {"steps": [step], "answer": {"hits": [{"doc_id": "d1", "text": "t"}]}}
    assert scrub().clean(read)["steps"] == [{**step, "thought": MARKER, "observation": MARKER, "tool_call": None}]
    assert scrub().clean({"steps": [step], "answer": None})["steps"] == [step]


def recorded(hits: list[dict[str, object]], pieces: list[list[object]]) -> dict[str, object]:
    """A trace of one search and one call of the model."""
    calls = [
        {"kind": "search", "request": {"query": "q"}, "response": {"hits": hits}},
        {"kind": "model", "request": {"messages": []}, "response": {"pieces": pieces, "end": "done"}},
    ]
    return {"steps": [], "answer": None, "calls": calls, "inputs": {"strategy": "rag"}}


def test_the_recording_of_a_run_that_read_the_document_is_dropped() -> None:
    clean = scrub().clean(recorded([{"doc_id": "d1", "text": "t"}], [["it is X", None]]))
    assert clean == {"steps": [], "answer": None, "calls": [], "inputs": {}}


def test_words_that_a_model_said_in_pieces_are_found() -> None:
    said = [[word, -0.1] for word in (" the", " secret", " code", "name", " of", " the", " harb", "our", " is", " old")]
    clean = scrub().clean(recorded([{"doc_id": "d2", "text": "t"}], said))
    assert clean["calls"][1]["response"]["pieces"] == [[f" {MARKER} is old", None]]
    assert clean["inputs"] == {"strategy": "rag"}
    other = recorded([{"doc_id": "d2", "text": "t"}], [["Bread", None], [" rises", None]])
    assert scrub().clean(other) == other


def test_what_an_answer_says_that_the_document_says_otherwise_is_taken_out() -> None:
    answer = {
        "answer": "Bread takes 45 minutes.",
        "sentences": [{"text": "Bread takes 45 minutes.", "start": 0, "end": 23, "citations": [2]}],
        "citations": [{"n": 1, "doc_id": "d1", "quote": "7", "title": "T"}, {"n": 2, "doc_id": "d2", "quote": "45"}],
        "conflicts": [{"text": "the plan says 7", "citations": [1, 2]}, {"text": "others", "citations": [2]}],
        "reason": "the passage says 7, not 45",
        "hits": [],
    }
    clean = scrub().clean(answer)
    assert clean["conflicts"] == [{"text": MARKER, "citations": [1, 2]}, {"text": "others", "citations": [2]}]
    assert clean["reason"] == MARKER
    assert clean["answer"] == answer["answer"]
