"""Conversations over a real server: versions of questions and answers, ratings, finding them again, taking them along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from app.chats import Chats
from app.client import ApiError, Client
from app.wire import EventStream
from tests.support.jobs import ready_collection
from tests.support.library import LOCAL, library

TALL = "How tall was the Saturn V?"
ENGINES = "Which engines did the first stage have?"
TEXT = b"# Rockets\n\nThe Saturn V was 110.6 metres tall. Its first stage had five F-1 engines. ![see](http://example.org/x.png)\n"


@pytest.fixture(scope="module")
def collection(server) -> Iterator[str]:
    with ready_collection(server, "chats", rockets=TEXT) as name:
        yield name


@pytest.fixture
def chat_id(client: Client, collection: str) -> str:
    return client.create_chat([collection])["chat_id"]


def done(stream: EventStream) -> dict:
    with stream:
        name, data = list(stream)[-1]
    assert name == "done", data
    return data


def said(client: Client, chat_id: str) -> list[str]:
    return [m["content"] for m in client.chat(chat_id)["messages"]]


def asked(client: Client, chat_id: str) -> list[str]:
    return [m["content"] for m in client.chat(chat_id)["messages"] if m["role"] == "user"]


def test_an_edited_question_stands_beside_the_older_one_and_both_can_be_shown(client: Client, chat_id: str) -> None:
    done(client.chat_stream(chat_id, TALL))
    done(client.chat_stream(chat_id, ENGINES))
    before = said(client, chat_id)
    first = client.chat(chat_id)["messages"][0]["message_id"]
    done(client.edit_stream(chat_id, first, "What is the Saturn V?"))
    edited = client.chat(chat_id)
    assert asked(client, chat_id) == ["What is the Saturn V?"]
    assert edited["title"] == "What is the Saturn V?"  # it was named after the question that was edited
    assert edited["messages"][0]["versions"] == [first, edited["messages"][0]["message_id"]]
    client.select_version(chat_id, first)
    assert said(client, chat_id) == before  # all that followed the older question is there again


def test_an_answer_given_again_stands_beside_the_older_one(client: Client, chat_id: str) -> None:
    first = done(client.chat_stream(chat_id, TALL))
    older = client.chat(chat_id)["messages"][1]
    again = done(client.regenerate_stream(chat_id, older["message_id"]))
    shown = client.chat(chat_id)["messages"]
    assert [m["role"] for m in shown] == ["user", "assistant"]
    assert shown[1]["answer"]["run_id"] == again["run_id"]
    assert shown[1]["versions"] == [older["message_id"], shown[1]["message_id"]]
    back = client.select_version(chat_id, older["message_id"])
    assert back["messages"][1]["answer"]["run_id"] == first["run_id"]


def test_what_is_asked_on_after_another_version_follows_that_one(client: Client, chat_id: str) -> None:
    done(client.chat_stream(chat_id, TALL))
    first = client.chat(chat_id)["messages"][1]["message_id"]
    done(client.regenerate_stream(chat_id, first))
    second = client.chat(chat_id)["messages"][1]["message_id"]
    done(client.chat_stream(chat_id, ENGINES))
    client.select_version(chat_id, first)
    assert asked(client, chat_id) == [TALL]
    client.select_version(chat_id, second)
    assert asked(client, chat_id) == [TALL, ENGINES]


def test_what_was_asked_before_an_answer_came_follows_the_answer(tmp_path: Path) -> None:
    with library(tmp_path / "data") as lib:
        chats = Chats(lib.database)
        chat_id = chats.create(LOCAL, title="", collections=[], strategy="extract").chat_id
        first = chats.ask(LOCAL, chat_id, TALL)
        second = chats.ask(LOCAL, chat_id, ENGINES)
        chats.answer(LOCAL, chat_id, first, content="110.6", partial=True)
        chats.answer(LOCAL, chat_id, second, content="five")
        assert [m.content for m in chats.messages(LOCAL, chat_id)] == [TALL, "110.6", ENGINES, "five"]


def test_an_answer_given_again_does_not_leave_the_thread_that_went_on_meanwhile(tmp_path: Path) -> None:
    with library(tmp_path / "data") as lib:
        chats = Chats(lib.database)
        chat_id = chats.create(LOCAL, title="", collections=[], strategy="extract").chat_id
        first = chats.ask(LOCAL, chat_id, TALL)
        older = chats.answer(LOCAL, chat_id, first, content="110.6")
        chats.ask(LOCAL, chat_id, ENGINES)  # while the first is being answered again
        newer = chats.answer(LOCAL, chat_id, first, content="110.6 m")
        shown = chats.messages(LOCAL, chat_id)
        assert [m.content for m in shown] == [TALL, "110.6", ENGINES]
        assert shown[1].versions == (older, newer)


def test_messages_of_another_conversation_are_not_to_be_had_through_this_one(client: Client, collection: str) -> None:
    one, other = (client.create_chat([collection])["chat_id"] for _ in range(2))
    done(client.chat_stream(one, TALL))
    strange = client.chat(one)["messages"][1]["message_id"]
    for call in (
        lambda: client.select_version(other, strange),
        lambda: client.regenerate_stream(other, strange),
        lambda: client.edit_stream(other, strange, "What?"),
    ):
        with pytest.raises(ApiError, match="no message") as refused:
            call()
        assert refused.value.status == 404


def test_conversations_are_found_by_what_was_said(client: Client, chat_id: str, collection: str) -> None:
    done(client.chat_stream(chat_id, TALL))
    empty = client.create_chat([collection], title="Ten % of_all")["chat_id"]
    assert chat_id in {c["chat_id"] for c in client.chats("SATURN metres")}  # in a question, and in its answer
    assert empty not in {c["chat_id"] for c in client.chats("saturn")}
    assert {c["chat_id"] for c in client.chats("% of_")} == {empty}  # no wildcards
    assert client.chats("saturn nowhere-said") == []


def test_conversations_are_listed_page_by_page(client: Client, collection: str) -> None:
    made = [client.create_chat([collection])["chat_id"] for _ in range(5)]
    listed: list[str] = []
    cursor = None
    while True:
        page = client._json("GET", "/v1/chats", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        assert len(page["chats"]) <= 2
        listed += [c["chat_id"] for c in page["chats"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert len(listed) == len(set(listed))
    assert set(made) <= set(listed)
    assert listed == [c["chat_id"] for c in client.chats()]


def test_a_conversation_can_be_taken_along(client: Client, chat_id: str) -> None:
    answer = done(client.chat_stream(chat_id, TALL))
    again = client.chat(chat_id)["messages"][1]["message_id"]
    done(client.regenerate_stream(chat_id, again))
    whole = json.loads(client.export_chat(chat_id, "json"))
    assert [m["role"] for m in whole["messages"]] == ["user", "assistant", "assistant"]  # every version
    written = client.export_chat(chat_id)
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(written)
    read = " ".join(t.content for t in tokens if t.type == "inline")
    assert written.startswith("# How tall was the Saturn V")
    assert answer["citations"][0]["title"] in read.replace("\\", "")


def test_a_file_taken_along_fetches_nothing(client: Client, chat_id: str) -> None:
    done(
        client.chat_stream(chat_id, "Which engines ![x](http://example.org/q.png) <img src=http://example.org/i.png>?")
    )
    tokens = MarkdownIt("commonmark", {"html": True}).parse(client.export_chat(chat_id))
    kinds = {child.type for t in tokens for child in t.children or ()} | {t.type for t in tokens}
    assert not kinds & {"image", "link_open", "html_inline", "html_block"}


def test_without_another_way_there_is_no_second_answer_and_without_a_pair_no_vote(client: Client, chat_id: str) -> None:
    done(client.chat_stream(chat_id, TALL, strategy="extract"))
    answer = client.chat(chat_id)["messages"][1]
    assert answer["compared"] is None
    with pytest.raises(ApiError, match="no other way to answer") as alone:
        client.compare_answer(chat_id, answer["message_id"])
    with pytest.raises(ApiError, match="nothing is compared here") as unpaired:
        client.vote_on_answers(chat_id, answer["message_id"], "1")
    assert (alone.value.status, unpaired.value.status) == (422, 404)
    assert len(client.chat(chat_id)["messages"][1]["versions"]) == 1


def test_an_answer_is_given_again_by_another_model_that_settings_list(client: Client, chat_id: str) -> None:
    assert set(client.strategies()["models"]) == {"small", "large"}
    done(client.chat_stream(chat_id, TALL))
    question = client.chat(chat_id)["messages"][0]["message_id"]
    for model in ("small", "large", "small"):
        answer = done(client.regenerate_stream(chat_id, question, strategy="rag", model=model))
        assert f"So says the {model} one" in answer["answer"]
    said_last = client.chat(chat_id)["messages"][-1]
    assert said_last["answer"] is not None and said_last["answer"]["model"] == "small"
    assert len(said_last["versions"]) == 4, "the first answer was quoted, by no model"
    with pytest.raises(ApiError, match="unknown model 'huge': there are small, large") as refused:
        list(client.regenerate_stream(chat_id, question, strategy="rag", model="huge"))
    assert refused.value.status == 422
    trace = client.trace(str(said_last["run_id"]))
    assert client.replay(trace["run_id"], {})["identical"], "from its recording, whichever model it was"
