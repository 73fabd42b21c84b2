"""Server-sent events are read as a browser reads them, however the bytes are cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sse import ServerEvent, read_events

STREAM = (
    "\ufeff: a comment\r\n"
    'event: token\r\ndata: {"text": "a\u2028b"}\r\n\r\n'  # U+2028 is no line end here
    "id: 7\rdata:one\rdata: two\r\r"
    "event: lost\n\n"  # no data, no event
    "retry: 5\nid\nunknown: x\ndata\n\n"
    "data: cut short"
).encode()
EVENTS = [
    ServerEvent(name="token", data='{"text": "a\u2028b"}'),
    ServerEvent(name="message", data="one\ntwo", last_id="7"),
    ServerEvent(name="message", data="", last_id=""),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_events_do_not_depend_on_how_the_bytes_arrive(cuts: list[int]) -> None:
    ends = sorted({0, *cuts, len(STREAM)})
    chunks = [STREAM[a:b] for a, b in itertools.pairwise(ends)]
    assert list(read_events(chunks)) == EVENTS


def test_every_byte_by_itself() -> None:
    assert list(read_events(bytes([b]) for b in STREAM)) == EVENTS


def test_an_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.sse.MAX_LINE_CHARACTERS", 100)
    with pytest.raises(ValueError, match="longer than 100 characters"):
        list(read_events([b"data: " + b"x" * 200]))
