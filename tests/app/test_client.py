"""The client against real HTTP: what it returns, what it raises, and that a closed stream is closed."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client import ApiError, Client, ServerUnreachable
from app.ui.live import Audience, LiveAnswer, Snapshot
from core.errors import NotReady, OpenbookError
from tests.support.stand_in import serve
from tests.support.stand_in_state import PASSAGE, State


@pytest.fixture
def state() -> State:
    return State(job_s=0.05, token_s=0.01)


@pytest.fixture
def client(state: State) -> Iterator[Client]:
    with serve(state) as address, Client(address) as found:
        yield found


@pytest.fixture
def filled(client: Client) -> Client:
    client.create_collection("reports")
    client.upload("reports", [("a.pdf", io.BytesIO(b"%PDF"))])
    while client.jobs(collection="reports")[0]["state"] != "ready":
        time.sleep(0.02)
    return client


def test_nobody_there_is_said_in_one_line() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ServerUnreachable) as caught:
        client.collections()
    assert caught.value.message == "no server at http://127.0.0.1:9: start it with `openbook serve`"
    assert isinstance(caught.value, NotReady)


def test_a_problem_becomes_an_error_with_its_detail(client: Client) -> None:
    with pytest.raises(ApiError) as caught:
        client.create_collection("Bad Name")
    assert isinstance(caught.value, OpenbookError)
    assert (caught.value.status, caught.value.code) == (422, "bad-collection-name")
    assert caught.value.message.startswith("'Bad Name' is not a collection name")


def test_a_stream_that_is_refused_is_an_error_too(client: Client) -> None:
    with pytest.raises(ApiError):
        client.ask_stream("?", ["nowhere"])  # the stand-in has no such route


def test_files_are_sent_from_paths_and_from_open_files(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "übersicht – 1.pdf"
    path.write_bytes(b"%PDF-1.7")
    client.create_collection("reports")
    jobs = client.upload("reports", [path, ("b.pdf", io.BytesIO(b"%PDF"))])
    assert [job["file"] for job in jobs] == ["übersicht – 1.pdf", "b.pdf"]


def test_an_answer_is_streamed_to_its_end(filled: Client) -> None:
    chat = filled.create_chat(["reports"])
    with filled.chat_stream(chat["chat_id"], "net sales?") as stream:
        events = list(stream)
    names = [name for name, _ in events]
    assert names[0] == "run" and names[-1] == "done"
    said = "".join(data["text"] for name, data in events if name == "token")
    assert said.strip() == events[-1][1]["answer"]


def test_a_stream_that_has_ended_leaves_its_connection_to_others(filled: Client) -> None:
    chat = filled.create_chat(["reports"])
    for _ in range(20):
        with filled.chat_stream(chat["chat_id"], "unknown") as stream:
            assert list(stream)[-1][0] == "done"
        stream.close()
        assert filled.collections()


def test_closing_wakes_a_reader_that_waits(filled: Client, state: State) -> None:
    state.token_s = 30  # the reader will wait for the second word
    chat = filled.create_chat(["reports"])
    stream = filled.chat_stream(chat["chat_id"], "net sales?")
    names: list[str] = []
    reader = threading.Thread(target=lambda: names.extend(name for name, _ in stream))
    reader.start()
    time.sleep(0.3)
    began = time.monotonic()
    stream.close()
    reader.join(5)
    assert not reader.is_alive()
    assert time.monotonic() - began < 2
    assert names[:1] == ["run"]


def begun(client: Client, chat_id: str, question: str, audience: Audience | None = None) -> LiveAnswer:
    own = Client(client.base_url)
    live = LiveAnswer(own, lambda: own.chat_stream(chat_id, question), question, before=0)
    return audience.start(live) if audience is not None else live.start()


def until_words(live: LiveAnswer, n: int) -> Snapshot:
    now = live.now
    while len(now.text.split()) < n and now.state == "running":
        now = live.wait(now.version, 1)
    return now


def until_ended(live: LiveAnswer) -> Snapshot:
    now = live.now
    while now.state == "running":
        now = live.wait(now.version, 1)
    return now


def test_stopping_a_live_answer_cancels_the_run_and_keeps_what_was_said(filled: Client, state: State) -> None:
    state.token_s = 0.1
    chat_id = filled.create_chat(["reports"])["chat_id"]
    live = begun(filled, chat_id, "net sales?")
    now = until_words(live, 3)
    live.stop()
    live.stop()  # twice is no matter
    assert live.now.state == "stopped"
    assert state.cancelled == [now.run_id]
    deadline = time.monotonic() + 3
    while now.run_id not in state.finished and time.monotonic() < deadline:
        time.sleep(0.02)
    kept = filled.chat(chat_id)["messages"][-1]
    assert kept["partial"] and PASSAGE.startswith(kept["content"].strip())


def test_a_live_answer_that_fails_says_why(filled: Client) -> None:
    chat_id = filled.create_chat(["reports"])["chat_id"]
    live = begun(filled, chat_id, "break")
    now = until_ended(live)
    assert (now.state, now.error) == ("failed", "the language model does not answer")


def test_a_live_answer_without_a_server_fails_at_once() -> None:
    nobody = Client("http://127.0.0.1:9")
    live = LiveAnswer(nobody, lambda: nobody.ask_stream("q", []), "q", before=0).start()
    assert live.wait(0, 5).error.startswith("no server at")


def test_an_answer_outlives_its_page_s_line_to_the_server(filled: Client, state: State) -> None:
    state.token_s, state.answer_words = 0.02, 20
    chat_id = filled.create_chat(["reports"])["chat_id"]
    live = begun(filled, chat_id, "net sales?")
    until_words(live, 3)
    filled.close()  # as with a reload
    assert (until_ended(live).state, live.now.answer is not None) == ("done", True)
    live.stop()
    live.say("too late", True)  # its own line is closed by now, and nobody minds


def test_an_answer_is_stopped_when_nobody_looks_at_it_any_more_from_anywhere(filled: Client, state: State) -> None:
    state.token_s, state.answer_words = 0.1, 100
    chat_id = filled.create_chat(["reports"])["chat_id"]
    connected = True
    audience = Audience(lambda: connected, patience_s=1.0)
    live = begun(filled, chat_id, "net sales?", audience)
    run_id = until_words(live, 15).run_id  # for longer than its patience
    connected = False
    for _ in range(15):
        audience.look([run_id])  # loaded anew, it waits there
        time.sleep(0.1)
    assert live.now.state == "running"
    assert until_ended(live).state == "stopped"
    deadline = time.monotonic() + 3
    while run_id not in state.finished and time.monotonic() < deadline:
        time.sleep(0.02)
    assert state.cancelled == [run_id]
