"""A full audit log makes room where there is most of the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit import AuditLog, level_for
from app.wiring import MIGRATIONS
from core.database import Database, migrate, open_database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = open_database(tmp_path)
    migrate(found, MIGRATIONS)
    yield found
    found.close()


def kept(log: AuditLog) -> Counter[tuple[str | None, str, str]]:
    return Counter((e["user_id"], e["action"], e["outcome"]) for e in log.entries(limit=500))


def test_refused_requests_flush_no_entry_of_what_was_done(database: Database) -> None:
    log = AuditLog(database, kept=20, pruned_every=10)
    log.add("user.create", user_id="root", target="the first")
    log.add("collection.delete", user_id="eve", target="what eve hides")
    for i in range(98):
        log.add("collection.delete", user_id="eve", target=str(i), outcome="refused")
    found = kept(log)
    assert found[("root", "user.create", "done")] == 1
    assert found[("eve", "collection.delete", "done")] == 1
    assert found.total() == 20  # 1 + 1 + the 18 newest of the flood
    assert log.entries(limit=1)[0]["target"] == "97"


def test_somebody_who_repeats_what_they_may_do_hides_neither_others_nor_what_else_they_did(database: Database) -> None:
    log = AuditLog(database, kept=20, pruned_every=10)
    log.add("member.set", user_id="eve", target="let a friend in")
    for i in range(5):
        log.add("job.pause", user_id="ada", target=str(i))
    for _ in range(34):
        log.add("job.pause", user_id="eve")
    for _ in range(60):
        log.add("session.begin", user_id=None, outcome="refused")
    found = kept(log)
    assert found[("eve", "member.set", "done")] == 1 and found[("ada", "job.pause", "done")] == 5
    # 20 - 1 - 5 are shared by the two floods: 7 each
    assert found[("eve", "job.pause", "done")] == found[(None, "session.begin", "refused")] == 7


@given(st.lists(st.integers(1, 50), max_size=12), st.integers(0, 300))
def test_the_level_is_the_highest_at_which_all_fit(sizes: list[int], most: int) -> None:
    def left(level: int) -> int:
        return sum(min(size, level) for size in sizes)

    level = level_for(sizes, most)
    assert left(level) <= most
    assert level == max(sizes, default=0) or left(level + 1) > most
