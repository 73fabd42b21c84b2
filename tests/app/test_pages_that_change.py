"""Lists that are read page by page while rows are deleted and moved: what stays where it was is told once, and nothing is refused.

Every list whose cursor is a place, each on a database alone. Moments are few, so that many rows share one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Table, delete, insert, update

from app.chat_tables import chats, messages
from app.chats import Chats
from app.eval_runs import EvalRuns
from app.eval_sets import EvalSets
from app.eval_tables import eval_sets, evals
from app.people import users
from app.shared_chats import SharedChats
from app.traces import TraceFilter, Traces, traces
from app.wiring import MIGRATIONS
from core.database import Database, migrate, open_database
from core.errors import InvalidRequest
from core.types import Principal
from ingest.ledger_listing import list_jobs
from ingest.ledger_rows import insert_job
from ingest.ledger_tables import job_events, jobs
from retrieval.tables import collections
from tests.support.library import LOCAL

READER = Principal(user_id="reader")
N = 23
LATER = "2026-05-01T00:00:00.000Z"

Page = tuple[list[str], str | None]


def moment(n: int) -> str:
    return f"2026-03-04T09:00:0{n % 4}.000Z"


@dataclass
class Listing:
    """``page`` gives (ids, the next cursor) of (cursor, how many); ``table`` and ``key`` are where its rows are."""

    page: Callable[[str | None, int], Page]
    table: Table
    key: str
    moved_by: str | None = None  # the column that brings a row to the top

    def delete(self, database: Database, ident: str) -> None:
        with database.write() as connection:
            if self.table is jobs:
                connection.execute(delete(job_events).where(job_events.c.job_id == ident))
            if self.table is chats:
                connection.execute(update(chats).where(chats.c.chat_id == ident).values(leaf_id=None))
                connection.execute(delete(messages).where(messages.c.chat_id == ident))
            connection.execute(delete(self.table).where(self.table.c[self.key] == ident))

    def move(self, database: Database, ident: str) -> None:
        assert self.moved_by is not None
        with database.write() as connection:
            connection.execute(update(self.table).where(self.table.c[self.key] == ident).values({self.moved_by: LATER}))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = open_database(tmp_path)
    migrate(found, MIGRATIONS)
    with found.write() as connection:
        connection.execute(
            insert(users).values(
                user_id="reader", name="reader", login="reader", is_admin=False, created_at="", active=True
            )
        )
        connection.execute(
            insert(collections).values(collection_id=1, name="c", owner_id="local", created_at=moment(0))
        )
    yield found
    found.close()


def of_chats(database: Database) -> Listing:
    _some_chats(database)
    room = Chats(database)

    def page(cursor: str | None, limit: int) -> Page:
        found, following = room.list_chats(LOCAL, limit, after=cursor)
        return [c.chat_id for c in found], following

    return Listing(page, chats, "chat_id", "updated_at")


def of_shared_chats(database: Database) -> Listing:
    _some_chats(database)
    room = SharedChats(database)

    def page(cursor: str | None, limit: int) -> Page:
        found, following = room.list_shared(READER, limit, after=cursor)
        return [c.chat_id for c in found], following

    return Listing(page, chats, "chat_id", "updated_at")


def _some_chats(database: Database) -> None:
    with database.write() as connection:
        for n in range(N):
            row = {"chat_id": f"h{n:02}", "title": "t", "collections": [], "strategy": "extract"}
            times = {"created_at": moment(n), "updated_at": moment(n), "shared_at": moment(n)}
            connection.execute(insert(chats).values(user_id="local", searched_known=True, **row, **times))
            said = {"message_id": f"m{n:02}", "chat_id": f"h{n:02}", "sequence": 0, "role": "user", "content": "?"}
            connection.execute(insert(messages).values(partial=False, created_at=moment(n), problem="", **said))


def of_traces(database: Database) -> Listing:
    with database.write() as connection:
        for n in range(N):
            row = {"run_id": f"r{n:02}", "strategy": "extract", "question": "?", "stop_reason": "answered"}
            trace = {"duration_s": 1.0, "usage": {"prompt_tokens": 0, "completion_tokens": 0}}
            connection.execute(insert(traces).values(user_id="local", trace=trace, created_at=moment(n), **row))
    room = Traces(database)

    def page(cursor: str | None, limit: int) -> Page:
        found, following = room.list_traces(LOCAL, TraceFilter(), limit, cursor)
        return [line.run_id for line in found], following

    return Listing(page, traces, "run_id")


def of_jobs(database: Database) -> Listing:
    with database.write() as connection:
        for n in range(N):
            insert_job(connection, principal=LOCAL, collection="c", file=str(n))

    def page(cursor: str | None, limit: int) -> Page:
        found, following = list_jobs(database, LOCAL, limit=limit, after=cursor)
        return [job.job_id for job in found], following

    return Listing(page, jobs, "job_id")


def of_eval_sets(database: Database) -> Listing:
    _some_sets(database, N)
    room = EvalSets(database)

    def page(cursor: str | None, limit: int) -> Page:
        found, following = room.list_sets(LOCAL, limit, after=cursor)
        return [s.set_id for s in found], following

    return Listing(page, eval_sets, "set_id")


def of_evals(database: Database) -> Listing:
    _some_sets(database, 1)
    none = {"configurations": [], "questions": [], "questions_sha256": "", "result_keys": [], "stage": "", "error": ""}
    counts = {"done": 0, "total": 0, "reused": 0, "seq": 1}
    with database.write() as connection:
        for n in range(N):
            row = {"eval_id": f"e{n:02}", "user_id": "local", "set_id": "s00", "state": "done"}
            connection.execute(insert(evals).values(created_at=moment(n), **row, **none, **counts))
    room = EvalRuns(database)

    def page(cursor: str | None, limit: int) -> Page:
        found, following = room.list_runs(LOCAL, limit, after=cursor)
        return [run.eval_id for run in found], following

    return Listing(page, evals, "eval_id")


def _some_sets(database: Database, n_sets: int) -> None:
    with database.write() as connection:
        for n in range(n_sets):
            row = {"set_id": f"s{n:02}", "user_id": "local", "collection_id": 1, "name": "s", "origin": {}}
            connection.execute(insert(eval_sets).values(created_at=moment(n), **row))


LISTINGS = [of_chats, of_shared_chats, of_traces, of_jobs, of_eval_sets, of_evals]


@pytest.mark.parametrize("made", LISTINGS)
@pytest.mark.parametrize("seed", range(4))
def test_what_stays_is_told_once_and_in_order_whatever_else_goes_or_moves(
    database: Database, made: Callable[[Database], Listing], seed: int
) -> None:
    listing, chance = made(database), random.Random(seed)
    whole, end = listing.page(None, N)
    assert len(set(whole)) == N and end is None
    left, told, touched = set(whole), [], set()
    cursor: str | None = None
    while True:
        ids, cursor = listing.page(cursor, chance.randint(1, 4))
        told += ids
        if cursor is None:
            break
        # The row that ended the page, which the next one would begin after, and some other.
        for ident in {ids[-1], chance.choice(sorted(left))} & left:
            touched.add(ident)
            if listing.moved_by is not None and chance.random() < 0.5:
                listing.move(database, ident)
            else:
                listing.delete(database, ident)
                left.discard(ident)
    assert len(told) == len(set(told)), "nothing twice"
    assert [i for i in told if i not in touched] == [i for i in whole if i not in touched]


@pytest.mark.parametrize("made", LISTINGS)
def test_what_is_no_cursor_is_refused(database: Database, made: Callable[[Database], Listing]) -> None:
    listing = made(database)
    row = listing.page(None, 1)[0][0]
    for cursor in (row, "", "zz", "\0", "-1", "9" * 30, "٣", f"{moment(0)}~", f"{moment(0)}", f"{moment(0)}~{row}\n"):
        with pytest.raises(InvalidRequest, match="is not a cursor") as caught:
            listing.page(cursor, 2)
        assert caught.value.code == "bad-cursor"


def test_a_cursor_is_sent_as_it_is(database: Database) -> None:
    """It stands in an address and in JSON, and nothing in it needs to be quoted."""
    for made in LISTINGS[2:4]:
        cursor = made(database).page(None, 2)[1]
        assert cursor is not None and json.dumps(cursor) == f'"{cursor}"' and not set(cursor) & set(" %&+#?/=;")
