"""The parsing child can crash, hang, eat and lie; nobody else notices."""

from __future__ import annotations

import os
import socket
import threading
import time

import psutil
import pytest

from core.errors import EmptyDocument, ParseFailed, RunCancelled, UnsupportedType
from ingest.parse import ParseLimits
from ingest.parse.sandbox import Sandbox, never, parse_in_child

CHILD = "tests.support.misbehaving_child"


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(ParseLimits()) as shared:
        yield shared


@pytest.fixture
def bad():
    """A child that misbehaves on request, with little time and memory."""
    with Sandbox(ParseLimits(timeout_s=1.5, memory_bytes=300 * 2**20), module=CHILD) as sandbox:
        yield sandbox


def ask(sandbox, what, **request):
    return sandbox.ask({"do": what, **request}, "evil.pdf", never)


def test_a_file_is_read_in_a_child(tmp_path, sandbox):
    path = tmp_path / "a.txt"
    path.write_text("Grüße, 世界", "utf-8")
    document = sandbox.parse(path, "hello.txt")
    assert (document.text, document.title) == ("Grüße, 世界", "hello")


def test_errors_arrive_as_what_they_are(tmp_path, sandbox):
    path = tmp_path / "a"
    path.write_bytes(b"")
    with pytest.raises(EmptyDocument, match="0 bytes"):
        sandbox.parse(path, "nothing.txt")
    path.write_bytes(b"GIF89a" + bytes(100))
    with pytest.raises(UnsupportedType, match="GIF image: PDF, Word"):
        sandbox.parse(path, "picture.gif")


def test_one_child_serves_many_files(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("some text")
    with Sandbox(ParseLimits(), max_files=2, module=CHILD) as sandbox:
        pids = [ask(sandbox, "pid")["pid"] for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3], "replaced after two"


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("spin", "too long|processor time"),
        ("sleep", "it took too long"),
        ("crash", "the parser crashed on it \\(SIGSEGV\\)"),
        ("leave", "ended with status 3: something on standard error"),
        ("allocate", "more memory"),
        ("start_program", "no business"),
    ],
)
def test_misbehaviour_is_a_failed_parse_with_its_reason(bad, what, reason):
    begun = time.monotonic()
    with pytest.raises(ParseFailed, match=reason) as caught:
        ask(bad, what)
    assert "evil.pdf" in caught.value.message
    assert time.monotonic() - begun < 6


def test_the_next_file_gets_a_fresh_child(bad):
    first = ask(bad, "pid")["pid"]
    with pytest.raises(ParseFailed):
        ask(bad, "crash")
    second = ask(bad, "pid")["pid"]
    assert first != second
    assert not psutil.pid_exists(first)


def test_a_child_that_died_while_idle_is_replaced(bad):
    first = ask(bad, "pid")["pid"]
    os.kill(first, 9)
    psutil_wait(first)
    assert ask(bad, "pid")["pid"] != first


def psutil_wait(pid):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie":
        time.sleep(0.01)


@pytest.mark.parametrize("what", ["connect", "connect_natively"])
def test_it_cannot_reach_even_this_machine(bad, what):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if what == "connect":
            with pytest.raises(ParseFailed):
                ask(bad, what, port=port)
        else:
            ask(bad, "pid")
            if bad.network != "namespace":
                pytest.skip("this machine gives no network namespace; only Python's sockets are refused")
            assert ask(bad, what, port=port) == {"connected": False}


def test_it_cannot_write_files(bad, tmp_path):
    with pytest.raises(ParseFailed, match="File too large"):
        ask(bad, "write", path=str(tmp_path / "out"))


def test_an_answer_over_the_bound_is_refused():
    limits = ParseLimits(timeout_s=20, max_characters=1000)
    with Sandbox(limits, module=CHILD) as sandbox, pytest.raises(ParseFailed, match="too large"):
        ask(sandbox, "flood", bytes=60 * 2**20)


def test_it_cannot_raise_what_it_likes(bad):
    with pytest.raises(ParseFailed, match="boo"):
        ask(bad, "nonsense")


def test_it_is_told_no_secret(bad, monkeypatch):
    monkeypatch.setenv("OPENBOOK_LM_API_KEY", "hush")
    assert "hush" not in str(ask(bad, "environment"))


def test_cancelling_kills_it(bad):
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    pid = ask(bad, "pid")["pid"]
    begun = time.monotonic()
    with pytest.raises(RunCancelled):
        bad.ask({"do": "sleep"}, "slow.pdf", cancelled.is_set)
    assert time.monotonic() - begun < 1.4
    assert not psutil.pid_exists(pid)


def test_closing_leaves_no_process(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("text")
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    parse_in_child(path, "a.txt", ParseLimits())
    assert {p.pid for p in psutil.Process().children(recursive=True)} <= before


def test_threads_take_turns(tmp_path, sandbox):
    paths = []
    for i in range(8):
        paths.append(tmp_path / f"{i}.txt")
        paths[-1].write_text(f"text number {i}")
    # Begun here, since the kernel ends a child with the thread that began it; a worker's threads last as long as the worker.
    sandbox.parse(paths[0], "0.txt")
    found = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: sandbox.parse(paths[i], f"{i}.txt").text}))
        for i in range(8)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == {i: f"text number {i}" for i in range(8)}
