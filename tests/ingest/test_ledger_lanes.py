"""Jobs of the ledger that are not a file that waits: archives and their members, what is paused, pages to be fetched."""

from __future__ import annotations

import pytest

from core.errors import Conflict, NotFound
from tests.support.ledger_bench import ANN, BOB, Bench


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path, max_queued=5, max_attempts=3)
    yield made
    made.database.close()


def open_archive(bench, *names, skipped=(), container="archive"):
    """A claimed archive with its members as jobs; returns (archive, members)."""
    archive = bench.add(file="a.zip")
    bench.claim("w")
    with bench.database.write() as connection:
        parts = [
            bench.ledger.add(
                connection, principal=ANN, collection="c", file=f"a.zip/{n}", uri=f"a.zip/{n}", sha256="11", size=1,
                chunker="fixed", lane="members", parent=bench.ledger.peek(connection, archive.job_id),
            )
            for n in names
        ]  # fmt: skip
        bench.ledger.opened(connection, archive.job_id, {"container": container, "skipped": list(skipped)})
    return archive, parts


def state(bench, job):
    found = bench.get(ANN, job.job_id)
    return found.state, found.reason


def test_an_archive_ends_when_its_last_member_does_and_says_what_became_of_each(bench):
    archive, (one, two) = open_archive(
        bench, "one.md", "two.md", skipped=[("../x", "its name points out of the archive")]
    )
    assert state(bench, archive)[0] == "indexing"
    assert bench.get(ANN, archive.job_id).sha256 == "", "it lets go of its bytes"
    assert bench.claim("w").job_id == one.job_id
    bench.finish(one.job_id)
    assert state(bench, archive)[0] == "indexing"
    bench.claim("w")
    bench.fail(two.job_id, "a.zip/two.md is damaged")
    assert state(bench, archive) == (
        "partial",
        "1 document; 2 members are not read: ../x: its name points out of the archive; two.md: is damaged",
    )
    bench.retry(ANN, archive.job_id)
    assert bench.claim("w").job_id == two.job_id
    bench.finish(two.job_id)
    assert state(bench, archive)[0] == "partial", "the member that was left out is still not read"


def test_an_archive_in_which_nothing_can_be_read_fails_and_a_whole_one_is_ready(bench):
    archive, parts = open_archive(bench, "one.md")
    bench.claim("w")
    bench.finish(parts[0].job_id)
    assert state(bench, archive) == ("ready", "1 document")
    empty, _ = open_archive(bench, skipped=[("x", "it is encrypted")])
    assert state(bench, empty)[0] == "failed"
    with pytest.raises(Conflict, match=r"nothing in a\.zip can be tried again"):
        bench.retry(ANN, empty.job_id)


def test_cancelling_an_archive_cancels_what_came_out_of_it(bench):
    archive, (one, two) = open_archive(bench, "one.md", "two.md")
    bench.claim("w")  # one is at work
    bench.request_cancel(ANN, archive.job_id)
    assert state(bench, two)[0] == "cancelled"
    assert not bench.advance(one.job_id, "encoding", 0.5)
    bench.stopped(one.job_id)
    assert [state(bench, j)[0] for j in (one, archive)] == ["cancelled", "cancelled"]
    bench.retry(ANN, archive.job_id)
    assert {bench.claim("w").job_id, bench.claim("w").job_id} == {one.job_id, two.job_id}


def test_an_opened_archive_waits_across_a_restart_and_one_being_opened_is_opened_anew(bench):
    archive, (one,) = open_archive(bench, "one.md")
    bench.claim("w")
    other = bench.add(file="b.zip")
    bench.claim("w")
    assert bench.requeue_interrupted() == 2
    assert [state(bench, j)[0] for j in (archive, one, other)] == ["indexing", "queued", "queued"]


def test_the_members_of_an_archive_are_read_before_the_next_file_and_are_never_refused_for_want_of_room(bench):
    later = [bench.add(file=f"{i}") for i in range(4)]
    archive = bench.add(file="a.zip")
    bench.pause(ANN, later[0].job_id)
    for job in later[1:]:
        assert bench.claim("w").job_id == job.job_id
        bench.requeue_interrupted()
        bench.request_cancel(ANN, job.job_id)
    bench.request_cancel(ANN, archive.job_id)
    archive, parts = open_archive(bench, *[f"{i}.md" for i in range(8)])
    bench.resume(ANN, later[0].job_id)
    assert [bench.claim("w").job_id for _ in range(9)] == [*(p.job_id for p in parts), later[0].job_id]


def test_a_paused_job_waits_and_what_is_at_work_begins_anew(bench):
    job, other = bench.add(file="1"), bench.add(file="2")
    bench.pause(ANN, job.job_id)
    assert bench.claim("w").job_id == other.job_id
    assert bench.claim("w") is None
    bench.pause(ANN, other.job_id)
    assert not bench.advance(other.job_id, "encoding", 0.5), "the worker is told to stop"
    stopped = bench.stopped(other.job_id)
    assert (stopped.state, stopped.paused, stopped.attempts) == ("queued", True, 0), "a pause is no failed attempt"
    assert bench.claim("w") is None
    bench.resume(ANN, other.job_id)
    assert bench.claim("w").job_id == other.job_id
    # Resumed before the worker has heard of it: it begins anew, and is not cancelled.
    bench.pause(ANN, other.job_id)
    bench.advance(other.job_id, "encoding", 0.5)
    bench.resume(ANN, other.job_id)
    assert bench.stopped(other.job_id).state == "queued"
    # What is being stored already is not stopped any more.
    bench.claim("w")
    bench.pause(ANN, other.job_id)
    assert bench.advance(other.job_id, "indexing", 0.95)
    bench.finish(other.job_id)
    with pytest.raises(Conflict, match="ready already and cannot be paused"):
        bench.pause(ANN, other.job_id)
    with pytest.raises(NotFound):
        bench.pause(BOB, job.job_id)


def test_a_paused_collection_pauses_what_is_added_until_it_is_resumed(bench):
    first = bench.add()
    assert bench.pause_collection(ANN, "c", True) == 1
    second, elsewhere = bench.add(file="b.pdf"), bench.add(collection="d")
    assert (second.paused, elsewhere.paused) == (True, False)
    assert bench.claim("w").job_id == elsewhere.job_id
    assert bench.claim("w") is None
    assert bench.pause_collection(ANN, "c", False) == 2
    assert [bench.claim("w").job_id for _ in range(2)] == [first.job_id, second.job_id]


def test_who_resumes_a_collection_resumes_what_others_added_to_it_and_is_not_told_how_much_that_was(bench):
    before = bench.add(BOB, file="before")
    assert bench.pause_collection(ANN, "c", True) == 0
    during, elsewhere = bench.add(BOB, file="during"), bench.add(BOB, collection="d")
    assert [bench.get(BOB, job.job_id).paused for job in (before, during, elsewhere)] == [True, True, False]
    bench.pause(BOB, elsewhere.job_id)
    assert bench.claim("w") is None
    assert bench.pause_collection(ANN, "c", False) == 0
    assert [bench.claim("w").job_id for _ in range(2)] == [before.job_id, during.job_id]
    assert bench.claim("w") is None, "another collection's stay as they are"


def test_a_page_waits_to_be_fetched_and_then_for_a_worker(bench):
    with bench.database.write() as connection:
        job = bench.ledger.add(
            connection, principal=ANN, collection="c", file="http://a/", uri="http://a/", sha256="", size=0, chunker="fixed",
            lane="urls", origin={"url": "http://a/"},
        )  # fmt: skip
    assert bench.held_originals() == set(), "there are no bytes yet"
    assert bench.claim("w") is None
    assert bench.claim("f", ("urls",)).job_id == job.job_id
    got = bench.fetched(job.job_id, sha256="22", size=7, origin={"name": "a.html", "etag": None})
    assert (got.state, got.lane, got.attempts, got.origin) == (
        "queued",
        "files",
        0,
        {"url": "http://a/", "name": "a.html"},
    )
    assert bench.claim("w").job_id == job.job_id
    bench.fail(job.job_id, "no")
    assert bench.retry(ANN, job.job_id).lane == "urls", "the page may be another by now"
