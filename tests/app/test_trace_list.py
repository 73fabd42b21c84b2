"""Recorded runs are found again, page by page, compared and forgotten; each person's own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from app.client import ApiError, Client
from app.traces import TraceFilter, Traces
from core.types import Principal
from tests.support.jobs import ready_collection
from tests.support.library import LOCAL, library

TEXT = b"# Rockets\n\nThe Saturn V was 110.6 metres tall. Its first stage had five F-1 engines.\n"
TALL = "How tall was the Saturn V?"


@pytest.fixture(scope="module")
def collection(server) -> Iterator[str]:
    with ready_collection(server, "runs", rockets=TEXT) as name:
        yield name


def test_a_run_is_found_by_its_conversation_words_and_way_and_told_where_it_answered(
    client: Client, collection: str
) -> None:
    chat = client.create_chat([collection], title="Rockets & co")["chat_id"]
    for _ in range(2):  # the second is another version of the first answer
        with client.chat_stream(chat, TALL, strategy="extract") as said:
            list(said)
    outside = client.ask(TALL, [collection])["run_id"]
    page = client.trace_page(chat=chat)
    assert len(page["traces"]) == 2 and page["next_cursor"] is None
    assert all(run["chat"] == {"chat_id": chat, "title": "Rockets & co"} for run in page["traces"])
    line = client.trace_page(words="SATURN tall", strategy="extract", limit=1)["traces"][0]
    assert line["run_id"] == outside and line["chat"] is None
    assert (line["question"], line["strategy"], line["stop_reason"]) == (TALL, "extract", "answered")
    assert line["duration_s"] > 0
    assert client.trace_page(words="saturn cheese")["traces"] == []
    assert client.trace_page(strategy="react")["traces"] == []
    assert "extract" in page["strategies"]
    with pytest.raises(ApiError, match="no chat"):
        client.trace_page(chat="h0")


def test_a_run_is_found_by_when_it_ended(client: Client, collection: str) -> None:
    before = datetime.now(UTC)
    run_id = client.ask(TALL, [collection])["run_id"]
    after = datetime.now(UTC) + timedelta(seconds=1)

    def found(**when: datetime) -> bool:
        return run_id in [run["run_id"] for run in client.trace_page(**when)["traces"]]

    assert found(since=before) and found(since=before, until=after)
    assert not found(until=before) and not found(since=after)
    # The same moment, said in another zone.
    assert found(since=before.astimezone(tz=None)) and not found(since=after.astimezone(tz=None))


def test_two_runs_are_compared_and_one_is_forgotten(client: Client, collection: str) -> None:
    same, again = (client.ask(TALL, [collection])["run_id"] for _ in range(2))
    other = client.ask("How many engines were there?", [collection])["run_id"]
    assert client.trace_differences(same, again) == []
    assert {"question", "answer"} <= {d["at"] for d in client.trace_differences(same, other)}
    client.delete_trace(other)
    for gone in (client.trace, client.delete_trace, lambda run_id: client.trace_differences(same, run_id)):
        with pytest.raises(ApiError, match="no run"):
            gone(other)


def test_pages_hold_every_run_once_and_nobody_elses(tmp_path: Path) -> None:
    other = Principal(user_id="u-other")
    with library(tmp_path / "data") as lib:
        with lib.store.database.write() as connection:
            connection.execute(
                text(
                    "INSERT INTO users (user_id, name, created_at, is_admin, active) VALUES ('u-other', 'x', '', 0, 1)"
                )
            )
        traces = Traces(lib.store.database)
        for n in range(7):
            for whose, principal in (("mine", LOCAL), ("theirs", other)):
                run = {"run_id": f"r-{whose}-{n}", "strategy": f"s{n % 2}", "question": f"question {n}"}
                rest = {
                    "stop_reason": "answered",
                    "duration_s": 0.5,
                    "usage": {"prompt_tokens": n, "completion_tokens": 1},
                }
                traces.save(principal, run | rest)
        found, cursor = [], None
        for _ in range(4):
            page, cursor = traces.list_traces(LOCAL, TraceFilter(), 2, cursor)
            found += page
        assert cursor is None
        assert sorted(line.run_id for line in found) == [f"r-mine-{n}" for n in range(7)]
        assert [line.created_at for line in found] == sorted((line.created_at for line in found), reverse=True)
        assert {line.prompt_tokens for line in found} == set(range(7))
        with lib.store.database.write() as connection:
            assert traces.delete(connection, LOCAL, ["r-theirs-1", "r-mine-1"]) == 1
        assert traces.get(other, "r-theirs-1")["run_id"] == "r-theirs-1"
        assert traces.strategies(LOCAL) == ["s0", "s1"]
