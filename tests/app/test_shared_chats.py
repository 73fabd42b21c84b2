"""Conversations shared inside the team: read by whoever may read all that they were answered from, and by nobody else."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.chats import Chats
from app.client import ApiError, Client
from app.people import users
from app.shared_chats import BROKE_OFF, SharedChats
from core.clock import now_iso
from core.errors import Conflict, NotFound
from core.types import Principal
from retrieval.access import searched_ids
from tests.support.library import LOCAL, Library, library
from tests.support.team import Team

CANARY = "Quarzfanfare"
QUESTION = f"Who built the {CANARY}?"
TEXT = f"# The {CANARY}\n\nThe {CANARY} was built by Edda Thorn in 1764. It plays three notes at dawn.\n"
VAULT = "# The vault\n\nThe vault key is kept by Piet Sand under the third stair.\n"
KEY = "Who keeps the vault key?"
TOLD = ("Edda Thorn", "three notes", CANARY)  # no digits: counts and bytes have those by chance
_names = itertools.count()


@pytest.fixture(scope="module")
def house(signed_in: Team) -> Team:
    """Una owns two collections; Rolf may read one of them, and Zoe none."""
    for name in ("una", "rolf", "zoe"):
        signed_in.add(name)
    with signed_in.client("una") as una:
        una.create_collection("music")
        una.set_member("music", "rolf", "reader")
        una.create_collection("vaults")
    signed_in.upload("una", "music", "music.md", TEXT)
    signed_in.upload("una", "vaults", "vault.md", VAULT)
    return signed_in


@pytest.fixture
def una(house: Team) -> Iterator[Client]:
    with house.client("una") as client:
        yield client


@pytest.fixture
def rolf(house: Team) -> Iterator[Client]:
    with house.client("rolf") as client:
        yield client


def answered(client: Client, chat_id: str, question: str = QUESTION, **how: Any) -> dict[str, Any]:
    with client.chat_stream(chat_id, question, **how) as said:
        name, data = list(said)[-1]
    assert name == "done", data
    return data


def shared(una: Client, collections: list[str] | None = None) -> tuple[str, dict[str, Any]]:
    """A conversation of Una's that she shares, and the answer in it."""
    chat_id = una.create_chat(collections or ["music"], title=f"On the {CANARY} {next(_names)}")["chat_id"]
    answer = answered(una, chat_id)
    assert una.share_chat(chat_id)["shared_at"]
    return chat_id, answer


def listed(client: Client, words: str = "") -> set[str]:
    return {c["chat_id"] for c in client.shared_chats(words)}


def is_gone(client: Client, chat_id: str) -> bool:
    if chat_id in listed(client) or chat_id in listed(client, CANARY):
        return False
    for call in (client.shared_chat, client.export_shared_chat):
        with pytest.raises(ApiError) as refused:
            call(chat_id)
        assert refused.value.status == 404
    return True


# ------------------------------------------------------------ who reads what


def test_who_may_read_its_collections_reads_question_answer_badges_and_sources(una: Client, rolf: Client) -> None:
    chat_id, answer = shared(una)
    (line,) = [c for c in rolf.shared_chats(f"{CANARY} EDDA") if c["chat_id"] == chat_id]
    assert (line["owner"], line["collections"]) == ("una", ["music"])
    read = rolf.shared_chat(chat_id)
    asked, said = read["messages"]
    assert asked["content"] == QUESTION
    assert said["answer"] is not None and said["answer"] == answer and "Edda Thorn" in answer["answer"]
    assert [s["verdict"] for s in said["answer"]["sentences"]] == [s["verdict"] for s in answer["sentences"]]
    assert "feedback" not in said and "files" not in read
    (citation, *_) = answer["citations"]
    assert citation["quote"] in rolf.document_text(citation["doc_id"]), "a source opens by the reader's own right"
    assert "Edda Thorn" in rolf.export_shared_chat(chat_id)
    assert json.loads(rolf.export_shared_chat(chat_id, "json"))["messages"] == json.loads(json.dumps(read["messages"]))


def test_a_reader_changes_nothing_and_sees_neither_steps_nor_what_is_the_owners_alone(
    house: Team, una: Client, rolf: Client
) -> None:
    chat_id, answer = shared(una)
    message_id = una.chat(chat_id)["messages"][1]["message_id"]
    una.give_feedback(chat_id, message_id, False, "too short for me")
    own, message = f"/v1/chats/{chat_id}", f"/v1/chats/{chat_id}/messages/{message_id}"
    with house.http("rolf") as http:
        tried = [
            http.get(own), http.patch(own, json={"title": "Mine"}), http.delete(own), http.get(f"{own}/export"),
            http.post(f"{own}/messages", json={"question": "And?"}), http.post(f"{message}/edit", json={"question": "x"}),
            http.post(f"{message}/regenerate", json={}), http.post(f"{message}/select"),
            http.put(f"{message}/feedback", json={"good": True}), http.put(f"{own}/share"), http.delete(f"{own}/share"),
            http.post(f"{own}/files", files={"files": ("x.md", b"# X")}),
            http.get(f"/v1/traces/{answer['run_id']}"), http.get("/v1/traces", params={"chat": chat_id}),
        ]  # fmt: skip
        assert [r.status_code for r in tried] == [404] * len(tried), [r.text[:80] for r in tried]
        assert chat_id not in http.get("/v1/chats", params={"q": CANARY}).text
        assert "too short" not in http.get(f"/v1/chats/shared/{chat_id}").text
        assert answer["run_id"] not in http.get("/v1/traces").text
    assert chat_id not in listed(una), "one's own is in one's own list"
    assert una.chat(chat_id)["shared_at"]


def test_nothing_of_it_reaches_who_may_not_read_every_collection(house: Team, una: Client) -> None:
    chat_id, answer = shared(una)
    both, _ = shared(una, ["music", "vaults"])
    for who in ("zoe", "admin"):
        told_of(who, house, chat_id, answer)
        told_of(who, house, both, answer)
    # Of the collections of the second he may read the one that its answer quotes: the other one was looked through too.
    with house.client("rolf") as rolf:
        assert not is_gone(rolf, chat_id) and is_gone(rolf, both)


def told_of(who: str, house: Team, chat_id: str, answer: dict[str, Any]) -> None:
    """Asks by every way that could tell somebody of a shared conversation."""
    doc_id = answer["citations"][0]["doc_id"]
    with house.http(who) as http:
        here = f"/v1/chats/shared/{chat_id}"
        refused = [http.get(here), http.get(f"{here}/export"), http.get(f"{here}/export", params={"format": "json"})]
        refused += [
            http.get(f"/v1/traces/{answer['run_id']}"),
            http.get(f"/v1/documents/{doc_id}"),
            http.get(f"/v1/chats/{chat_id}"),
        ]
        refused += [http.get(here, headers={"If-None-Match": "*"})]
        assert {r.status_code for r in refused} == {404}, [(r.status_code, r.text[:80]) for r in refused]
        never = http.get(f"/v1/chats/shared/h{'0' * 32}")
        assert refused[0].json() | {"detail": ""} == never.json() | {"detail": ""}, "as of one that never was"
        lists = [http.get("/v1/chats/shared", params=p) for p in ({}, {"q": CANARY}, {"q": "Edda"}, {"limit": 1})]
        for reply in lists:
            assert reply.json() == {"chats": [], "next_cursor": None}
        others = [http.get(path) for path in ("/v1/chats", "/v1/traces", "/v1/runs", "/v1/jobs", "/v1/system")]
        others += [http.post("/v1/search", json={"query": QUESTION})]
        if who == "admin":
            others += [http.get("/metrics"), http.get("/v1/users/collections")]
        for reply in (*refused, *lists, *others):
            assert not [word for word in TOLD if word in reply.text], reply.text[:300]


def test_who_is_let_out_of_a_collection_loses_the_conversation_at_once(house: Team, una: Client, rolf: Client) -> None:
    chat_id, _ = shared(una)
    with house.http("rolf") as http:
        seen = http.get(f"/v1/chats/shared/{chat_id}")
        tag = {"If-None-Match": seen.headers["etag"]}
        assert http.get(f"/v1/chats/shared/{chat_id}", headers=tag).status_code == 304
        una.remove_member("music", "rolf")
        try:
            assert http.get(f"/v1/chats/shared/{chat_id}", headers=tag).status_code == 404
            assert is_gone(rolf, chat_id)
        finally:
            una.set_member("music", "rolf", "reader")
        assert http.get(f"/v1/chats/shared/{chat_id}", headers=tag).status_code == 304
    assert chat_id in listed(rolf, CANARY)


def test_a_later_answer_is_shared_too_and_closes_it_where_it_comes_from_elsewhere(una: Client, rolf: Client) -> None:
    chat_id, _ = shared(una)
    answered(una, chat_id, "How many notes does it play at dawn?")
    assert len(rolf.shared_chat(chat_id)["messages"]) == 4
    answered(una, chat_id, KEY, collections=["vaults"])
    assert is_gone(rolf, chat_id)
    # Another version on show does not open it again: the simple rule is one of the whole conversation.
    una.select_version(chat_id, una.chat(chat_id)["messages"][0]["message_id"])
    assert is_gone(rolf, chat_id)


def test_all_that_the_owner_may_read_is_every_collection_by_itself(una: Client, rolf: Client) -> None:
    chat_id = una.create_chat([])["chat_id"]
    answered(una, chat_id)
    una.share_chat(chat_id)
    assert is_gone(rolf, chat_id), "it was asked of the vaults, too"


def test_a_version_that_is_not_shown_is_neither_read_nor_found(una: Client, rolf: Client) -> None:
    chat_id, _ = shared(una)
    first = una.chat(chat_id)["messages"][0]["message_id"]
    with una.edit_stream(chat_id, first, "What does it play at dawn, Zwiebelfisch?") as said:
        list(said)
    assert chat_id in listed(rolf, "zwiebelfisch")
    una.select_version(chat_id, first)
    assert listed(rolf, "zwiebelfisch") == set()
    text = json.dumps(rolf.shared_chat(chat_id)) + rolf.export_shared_chat(chat_id, "json")
    assert "Zwiebelfisch" not in text and "Zwiebelfisch" in una.export_chat(chat_id, "json")
    assert [m["versions"] for m in rolf.shared_chat(chat_id)["messages"]] == [
        [m["message_id"]] for m in una.chat(chat_id)["messages"]
    ]


# ------------------------------------------------------------ taking it back


def test_what_is_unshared_or_deleted_is_gone_at_once(una: Client, rolf: Client) -> None:
    chat_id, _ = shared(una)
    una.share_chat(chat_id)  # twice is as once
    assert chat_id in listed(rolf)
    una.unshare_chat(chat_id)
    una.unshare_chat(chat_id)
    assert is_gone(rolf, chat_id) and una.chat(chat_id)["shared_at"] is None
    una.share_chat(chat_id)
    assert chat_id in listed(rolf)
    una.delete_chat(chat_id)
    assert is_gone(rolf, chat_id)


def test_what_is_purged_readers_read_no_more(house: Team, una: Client, rolf: Client) -> None:
    una.create_collection("passing")
    una.set_member("passing", "rolf", "reader")
    job = house.upload("una", "passing", "passing.md", "# Bells\n\nThe bell of Oum was cast by Ilka Farn in 1802.\n")
    chat_id = una.create_chat(["passing"])["chat_id"]
    answered(una, chat_id, "Who cast the bell of Oum?")
    una.share_chat(chat_id)
    assert "Ilka Farn" in json.dumps(rolf.shared_chat(chat_id))
    una.purge_document(job["doc_id"])
    assert "Ilka Farn" not in json.dumps(rolf.shared_chat(chat_id))
    # A deleted collection is nobody's to read, and one that is called the same later is another one.
    una.delete_collection("passing")
    assert is_gone(rolf, chat_id)
    una.create_collection("passing")
    una.set_member("passing", "rolf", "reader")
    assert is_gone(rolf, chat_id)
    una.delete_collection("passing")


def test_what_somebody_shares_who_is_shut_out_is_not_read(house: Team, rolf: Client) -> None:
    house.add("leaver")
    with house.client("leaver") as gone, house.client("admin") as admin:
        gone.create_collection("theirs")
        gone.set_member("theirs", "rolf", "reader")
        chat_id = gone.create_chat(["theirs"], title="Until then")["chat_id"]
        answered(gone, chat_id)
        gone.share_chat(chat_id)
        assert chat_id in listed(rolf)
        user_id = next(u["user_id"] for u in admin.users() if u["name"] == "leaver")
        admin.change_user(user_id, active=False)
        assert is_gone(rolf, chat_id)


# ------------------------------------------------------------ what cannot be shared


def test_a_conversation_with_files_of_its_own_is_not_shared_and_a_shared_one_takes_none(una: Client) -> None:
    own = una.create_chat(["music"])["chat_id"]
    (job,) = una.attach(own, [("own.md", io.BytesIO(b"# Own\n\nFor my eyes.\n"))])
    with pytest.raises(ApiError, match="files of its own") as refused:
        una.share_chat(own)
    assert (refused.value.status, refused.value.code) == (409, "own-files")
    una.detach(own, job["job_id"])
    with pytest.raises(ApiError, match="files of its own"):
        una.share_chat(own)  # what was answered from it stays
    chat_id, _ = shared(una)
    with pytest.raises(ApiError, match="stop sharing it first") as late:
        una.attach(chat_id, [("own.md", io.BytesIO(b"# Own"))])
    assert late.value.status == 409 and una.chat(chat_id)["files"] == []
    una.delete_chat(own)


def test_where_nobody_signs_in_there_is_nobody_to_share_with(client: Client) -> None:
    chat_id = client.create_chat([])["chat_id"]
    with pytest.raises(ApiError, match="nobody else can be here") as refused:
        client.share_chat(chat_id)
    assert (refused.value.status, refused.value.code) == (409, "nobody-to-share-with")
    assert client.shared_chats() == []


def test_it_is_shared_as_it_was_read_and_the_log_says_by_whom(house: Team, una: Client) -> None:
    chat_id = una.create_chat(["music"])["chat_id"]
    with house.http("una") as http:
        tag = http.get(f"/v1/chats/{chat_id}").headers["etag"]
        una.update_chat(chat_id, title="Renamed meanwhile")
        assert http.put(f"/v1/chats/{chat_id}/share", headers={"If-Match": tag}).status_code == 412
        assert una.chat(chat_id)["shared_at"] is None
        tag = http.get(f"/v1/chats/{chat_id}").headers["etag"]
        assert http.put(f"/v1/chats/{chat_id}/share", headers={"If-Match": tag}).status_code == 200
        assert http.get(f"/v1/chats/{chat_id}", headers={"If-None-Match": tag}).status_code == 200, "another tag"
    una.unshare_chat(chat_id)
    with house.client("admin") as admin:
        noted = [e for e in admin.audit(limit=50)["entries"] if e["target"] == chat_id and e["outcome"] == "done"]
    assert [(e["action"], e["name"]) for e in noted] == [("chat.unshare", "una"), ("chat.share", "una")]


def test_a_key_that_may_ask_and_not_write_shares_nothing(house: Team, una: Client) -> None:
    chat_id = una.create_chat(["music"])["chat_id"]
    key = una.make_key("asks", ["read", "ask"], 1)["key"]
    bearer = {"Authorization": f"Bearer {key}"}
    assert httpx.put(f"{house.server.api_url}/v1/chats/{chat_id}/share", headers=bearer).status_code == 403


def test_shared_conversations_are_listed_page_by_page(house: Team, una: Client, rolf: Client) -> None:
    made = {shared_untitled(una) for _ in range(3)}
    found: list[str] = []
    cursor: str | None = None
    with house.http("rolf") as http:
        while True:
            asked = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = http.get("/v1/chats/shared", params=asked).json()
            found += [c["chat_id"] for c in page["chats"]]
            if (cursor := page["next_cursor"]) is None:
                break
    assert made <= set(found) and len(found) == len(set(found))
    assert found == [c["chat_id"] for c in rolf.shared_chats()]
    for chat_id in made:
        una.delete_chat(chat_id)


def shared_untitled(una: Client) -> str:
    chat_id = una.create_chat(["music"])["chat_id"]
    answered(una, chat_id)
    una.share_chat(chat_id)
    return chat_id


# ------------------------------------------------------------ what no request can bring about


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[Library]:
    with library(tmp_path / "data") as made:
        with made.database.write() as connection:
            values = {"user_id": "u2", "name": "Ada", "is_admin": False, "created_at": now_iso()}
            connection.execute(users.insert().values(**values))
        yield made


def opened(lib: Library, chats: Chats, chat_id: str) -> None:
    with lib.database.write() as connection:
        chats.share(connection, LOCAL, chat_id, True)


def test_a_question_waits_for_its_answer_before_the_same_eyes(lib: Library) -> None:
    lib.create("letters")
    with lib.database.read() as connection:
        letters = searched_ids(connection, LOCAL, ["letters"])
    chats, ada = Chats(lib.database), Principal(user_id="u2")
    chat_id = chats.create(LOCAL, title="", collections=[], strategy="extract").chat_id
    opened(lib, chats, chat_id)
    seen = SharedChats(lib.database)
    chats.ask(LOCAL, chat_id, "What does the secret letter say?", searched=letters)
    with pytest.raises(NotFound):
        seen.get(ada, chat_id)
    assert seen.list_shared(ada, 10) == ([], None)


def test_one_in_which_nothing_was_asked_yet_shows_its_title_to_nobody(lib: Library) -> None:
    chats, ada = Chats(lib.database), Principal(user_id="u2")
    chat_id = chats.create(LOCAL, title="On the merger", collections=[], strategy="extract").chat_id
    opened(lib, chats, chat_id)
    seen = SharedChats(lib.database)
    assert seen.list_shared(ada, 10) == seen.list_shared(ada, 10, words="merger") == ([], None)
    with pytest.raises(NotFound):
        seen.get(ada, chat_id)
    asked = chats.ask(LOCAL, chat_id, "What?", searched=())
    chats.answer(LOCAL, chat_id, asked, content="That.", searched=())
    assert [chat.title for chat in seen.list_shared(ada, 10)[0]] == ["On the merger"]


def test_why_an_answer_broke_off_is_not_told(lib: Library) -> None:
    chats = Chats(lib.database)
    chat_id = chats.create(LOCAL, title="", collections=[], strategy="extract").chat_id
    asked = chats.ask(LOCAL, chat_id, "What?")
    why = "no collection 'x': you have letters, vaults"
    chats.answer(LOCAL, chat_id, asked, content="Half", partial=True, problem=why, searched=())
    opened(lib, chats, chat_id)
    said = SharedChats(lib.database).get(Principal(user_id="u2"), chat_id)[1][-1]
    assert (said.content, said.problem) == ("Half", BROKE_OFF)


def test_what_was_answered_from_nobody_knows_where_is_nobodys_to_read(lib: Library) -> None:
    chats = Chats(lib.database)
    chat_id = chats.create(LOCAL, title="", collections=[], strategy="extract").chat_id
    opened(lib, chats, chat_id)
    asked = chats.ask(LOCAL, chat_id, "What?")
    chats.answer(LOCAL, chat_id, asked, content="That.")
    with pytest.raises(NotFound):
        SharedChats(lib.database).get(Principal(user_id="u2"), chat_id)
    with pytest.raises(Conflict, match="ask in a new conversation"):
        opened(lib, chats, chat_id)
