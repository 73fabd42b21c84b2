"""The ledger of jobs: durable states, fair claims, bounded attempts, and nobody sees another's job."""

from __future__ import annotations

import pytest

from core.errors import Busy, Conflict, InvalidRequest, NotFound
from ingest.ledger_turns import _NEXT_WAITING
from tests.support.ledger_bench import ADMIN, ANN, BOB, Bench


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path, max_queued=5, max_attempts=3)
    yield made
    made.database.close()


def test_a_job_goes_its_way(bench):
    job = bench.add()
    assert (job.state, job.progress, job.attempts) == ("queued", 0.0, 0)
    claimed = bench.claim("w1")
    assert (claimed.job_id, claimed.state, claimed.attempts) == (job.job_id, "parsing", 1)
    assert bench.advance(job.job_id, "encoding", 0.4)
    assert bench.advance(job.job_id, "indexing", 0.95)
    bench.finish(job.job_id)
    done = bench.get(ANN, job.job_id)
    assert (done.state, done.progress, done.doc_id, done.pages, done.chunks, done.seconds) == (
        "ready",
        1.0,
        "d1",
        2,
        5,
        1.5,
    )
    events = bench.events_since(ANN, job.job_id)
    assert [e.state for e in events] == ["queued", "parsing", "encoding", "indexing", "ready"]
    assert [e.seq for e in events] == sorted({e.seq for e in events})


def test_events_can_be_resumed(bench):
    job = bench.add()
    bench.claim("w1")
    seen = bench.events_since(ANN, job.job_id)
    bench.advance(job.job_id, "encoding", 0.5)
    assert [e.state for e in bench.events_since(ANN, job.job_id, seen[-1].seq)] == ["encoding"]
    bench.finish(job.job_id)
    assert [e.state for e in bench.events_since(ANN, job.job_id, seen[-1].seq)] == ["encoding", "ready"]


def test_small_steps_of_progress_make_no_events_and_are_forgotten_at_the_end(bench):
    job = bench.add()
    bench.claim("w1")
    for i in range(1000):
        assert bench.advance(job.job_id, "encoding", i / 1000)
    # One for the state and one per twentieth of the way: 0.05, 0.10 … 0.95 is 19.
    assert 15 <= len([e for e in bench.events_since(ANN, job.job_id) if e.state == "encoding"]) <= 20
    bench.finish(job.job_id)
    assert [e.state for e in bench.events_since(ANN, job.job_id)] == ["queued", "parsing", "encoding", "ready"]


def test_a_partial_document_says_what_was_lost(bench):
    job = bench.add()
    bench.claim("w1")
    done = bench.finish(job.job_id, state="partial", warnings=["page 3 is an image", "page 4 is an image"])
    assert (done.state, done.reason) == ("partial", "page 3 is an image; page 4 is an image")
    assert done.warnings == ("page 3 is an image", "page 4 is an image")


def test_owners_take_turns(bench):
    for i in range(3):
        bench.add(ANN, f"ann{i}")
    bench.add(BOB, "bob0")
    order = []
    for _ in range(4):
        bench.clock.now += 1
        order.append(bench.claim("w").file)
    assert order == ["ann0", "bob0", "ann1", "ann2"]
    assert bench.claim("w") is None


def test_the_queue_is_bounded(bench):
    for i in range(5):
        bench.add(file=str(i))
    with pytest.raises(Busy, match="5 files are waiting already"):
        bench.add()
    bench.claim("w")
    bench.add()


def test_interrupted_work_waits_again_and_a_poison_file_ends(bench):
    job = bench.add(file="poison.pdf")
    for attempt in (1, 2, 3):
        assert bench.claim("w").attempts == attempt
        bench.advance(job.job_id, "encoding", 0.5)
        assert bench.requeue_interrupted() == 1
    done = bench.get(ANN, job.job_id)
    assert (done.state, done.reason) == (
        "failed",
        "given up after 3 attempts: each time the service stopped while it was encoding",
    )
    assert bench.claim("w") is None
    assert bench.retry(ANN, job.job_id).attempts == 0
    assert bench.claim("w").job_id == job.job_id


def test_what_a_worker_that_died_had_in_hand_waits_again_at_once(bench):
    jobs = [bench.add(file=str(i)) for i in range(3)]
    for worker in ("w12.0", "w12.1", "w123.0"):
        bench.claim(worker)
    assert bench.requeue_of("w12.") == 2
    states = [bench.get(ANN, job.job_id).state for job in jobs]
    assert states == ["queued", "queued", "parsing"]


def test_a_stop_in_good_order_is_no_failed_attempt_however_often_it_happens(bench):
    job = bench.add(file="long.pdf")
    for _ in range(10):
        assert bench.claim("w").attempts == 1
        assert bench.put_back() == 1
    assert bench.get(ANN, job.job_id).state == "queued"


def test_one_of_two_workers_that_stops_in_good_order_costs_its_file_no_attempt(bench):
    job, other = bench.add(file="long.pdf"), bench.add(file="other.pdf")
    assert bench.claim("w1.0").attempts == 1
    assert bench.claim("w2.0").job_id == other.job_id
    for _ in range(10):
        assert bench.put_back("w1.") == 1
        assert bench.claim("w1.0").attempts == 1
    assert bench.get(ANN, other.job_id).state == "parsing"
    assert bench.get(ANN, job.job_id).state == "parsing"


def test_a_neighbour_of_a_poison_file_does_not_end_with_it(bench):
    """Two files are read at once and the worker dies of one of them, whenever that one is read."""
    poison, neighbour = bench.add(file="poison"), bench.add(file="neighbour")
    for _ in range(10):
        at_work = [job.file for job in (bench.claim("w1.0"), bench.claim("w1.1")) if job is not None]
        if "poison" in at_work:
            bench.requeue_of("w1.")
        else:
            break
    assert at_work == ["neighbour"]
    assert bench.get(ANN, poison.job_id).state == "failed"
    assert bench.get(ANN, neighbour.job_id).state == "parsing"


def test_a_silent_worker_loses_its_job(bench):
    job = bench.add()
    bench.claim("w1")
    bench.clock.now += 40
    assert bench.advance(job.job_id, "parsing", 0.0, worker_id="w1"), "a sign of life, 20 s before the lease ends"
    bench.clock.now += 40
    assert bench.claim("w2") is None, "still w1's"
    bench.clock.now += 61
    assert bench.claim("w2").job_id == job.job_id
    assert not bench.advance(job.job_id, "encoding", 0.5, worker_id="w1"), "w1 is told to stop"
    assert bench.advance(job.job_id, "encoding", 0.5, worker_id="w2")
    assert [bench.is_worked_on_by(job.job_id, w) for w in ("w1", "w2")] == [False, True]
    bench.fail(job.job_id, "no")
    assert not bench.is_worked_on_by(job.job_id, "w2"), "it has ended"


def test_cancelling_a_waiting_job_is_immediate(bench):
    job = bench.add()
    assert bench.request_cancel(ANN, job.job_id).state == "cancelled"
    assert bench.request_cancel(ANN, job.job_id).state == "cancelled", "twice is as good as once"
    assert bench.claim("w") is None
    assert bench.retry(ANN, job.job_id).state == "queued"


def test_cancelling_a_running_job_reaches_its_worker(bench):
    job = bench.add()
    bench.claim("w")
    assert bench.request_cancel(ANN, job.job_id).state == "parsing"
    assert not bench.advance(job.job_id, "encoding", 0.1)
    assert bench.cancelled(job.job_id).state == "cancelled"
    # A job that was being cancelled when the service stopped does not come back.
    other = bench.add()
    bench.claim("w")
    bench.request_cancel(ANN, other.job_id)
    bench.requeue_interrupted()
    assert bench.get(ANN, other.job_id).state == "cancelled"


def test_what_has_ended_stays_ended(bench):
    job = bench.add()
    bench.claim("w")
    bench.finish(job.job_id)
    for again in (
        lambda: bench.finish(job.job_id),
        lambda: bench.fail(job.job_id, "x"),
        lambda: bench.cancelled(job.job_id),
        lambda: bench.request_cancel(ANN, job.job_id),
        lambda: bench.retry(ANN, job.job_id),
    ):
        with pytest.raises(Conflict, match="ready"):
            again()
    assert not bench.advance(job.job_id, "parsing", 0.1)
    with pytest.raises(InvalidRequest, match="choose parsing, encoding, indexing"):
        bench.advance(job.job_id, "ready", 1.0)


def test_a_stranger_sees_nothing(bench):
    job = bench.add(ANN)
    for look in (
        lambda: bench.get(BOB, job.job_id),
        lambda: bench.events_since(BOB, job.job_id),
        lambda: bench.request_cancel(BOB, job.job_id),
        lambda: bench.retry(BOB, job.job_id),
        lambda: bench.get(ANN, "j-none"),
    ):
        with pytest.raises(NotFound):
            look()
    assert bench.list_jobs(BOB) == bench.list_jobs(BOB, after="9") == ([], None)
    assert sum(bench.counts(BOB).values()) == 0
    assert [j.job_id for j in bench.list_jobs(ADMIN)[0]] == [job.job_id]


def test_listing_is_newest_first_by_pages_and_states(bench):
    for i in range(5):
        bench.add(file=str(i), collection="c" if i % 2 else "d")
    bench.claim("w")
    first, cursor = bench.list_jobs(ANN, limit=2)
    second, cursor = bench.list_jobs(ANN, limit=2, after=cursor)
    third, end = bench.list_jobs(ANN, limit=2, after=cursor)
    assert [[j.file for j in page] for page in (first, second, third)] == [["4", "3"], ["2", "1"], ["0"]]
    assert end is None
    assert [j.file for j in bench.list_jobs(ANN, collection="c")[0]] == ["3", "1"]
    assert [j.file for j in bench.list_jobs(ANN, states=["parsing"])[0]] == ["0"]
    assert bench.counts(ANN)["queued"] == 4
    with pytest.raises(InvalidRequest, match="no job state 'done'"):
        bench.list_jobs(ANN, states=["done"])


def test_deleting_a_collection_cancels_its_jobs(bench):
    first, second, other = bench.add(file="1"), bench.add(file="2"), bench.add(collection="d")
    bench.claim("w")
    assert bench.cancel_collection("c") == 2
    assert not bench.advance(first.job_id, "encoding", 0.5), "the running one is told"
    assert bench.get(ANN, second.job_id).reason == "the collection was deleted"
    assert bench.get(ANN, other.job_id).state == "queued"


def test_originals_are_kept_while_a_job_may_need_them(bench):
    bench.create("c")
    job = bench.add()
    assert "00" in bench.held_originals()
    bench.claim("w")
    bench.fail(job.job_id, "no")
    assert "00" in bench.held_originals(), "it may be retried"
    bench.retry(ANN, job.job_id)
    bench.claim("w")
    bench.finish(job.job_id)
    assert "00" not in bench.held_originals()


def test_jobs_of_a_collection_that_is_gone_keep_no_originals(bench):
    bench.create("c")
    waits, fails = bench.add(file="1"), bench.add(file="2")
    bench.claim("w")
    bench.fail(waits.job_id, "no")
    bench.drop("c")
    assert bench.held_originals() == set(), "one that failed and one that waits, of an older version of this service"
    bench.cancel_collection("c")
    assert bench.get(ANN, fails.job_id).state == "cancelled" and bench.held_originals() == set()


def test_everything_survives_a_restart(tmp_path):
    bench = Bench(tmp_path)
    job = bench.add()
    bench.claim("w")
    bench.database.close()
    again = Bench(tmp_path)
    assert again.get(ANN, job.job_id).state == "parsing"
    assert again.requeue_interrupted() == 1
    assert again.claim("w").attempts == 2
    again.database.close()


def test_claiming_is_quick_with_a_full_queue(tmp_path):
    import time

    bench = Bench(tmp_path, max_queued=20_000)
    with bench.database.write() as connection:
        for i in range(1500):
            bench.ledger.add(
                connection, principal=ANN, collection="c", file=str(i), uri=str(i), sha256="0", size=1, chunker="fixed"
            )
    begun = time.process_time()
    for _ in range(20):
        bench.claim("w")
    assert time.process_time() - begun < 2.0, "100 ms a claim would be far too much; it takes about 3"
    bench.database.close()


def test_files_of_one_name_are_worked_on_one_after_the_other_and_others_pass_them(bench):
    first, second, other = bench.add(), bench.add(), bench.add(file="b.pdf")
    elsewhere = bench.add(collection="d")
    assert bench.claim("w1").job_id == first.job_id
    assert [bench.claim("w2").job_id, bench.claim("w3").job_id] == [other.job_id, elsewhere.job_id]
    assert bench.claim("w4") is None
    bench.finish(first.job_id)
    assert bench.claim("w4").job_id == second.job_id


def test_a_retried_job_waits_for_the_newer_file_of_its_name(bench):
    old = bench.add()
    bench.claim("w1")
    bench.fail(old.job_id, "damaged")
    new = bench.add()
    assert bench.claim("w1").job_id == new.job_id
    bench.retry(ANN, old.job_id)
    assert bench.claim("w2") is None
    bench.finish(new.job_id)
    assert bench.claim("w2").job_id == old.job_id


def test_a_job_is_outdated_once_a_later_one_of_its_name_is_what_is_stored(bench):
    def added(sha256, **others):
        with bench.database.write() as connection:
            return bench.ledger.add(
                connection, principal=ANN, collection="c", file="a.pdf", uri="a.pdf", sha256=sha256, size=1, chunker="", **others
            )  # fmt: skip

    old, new = added("old"), added("new")
    assert not bench.is_outdated(old, "new")  # it may have come from elsewhere: no later job is ready yet
    bench.fail(old.job_id, "damaged")
    assert bench.claim("w1").job_id == new.job_id
    bench.finish(new.job_id)
    assert bench.is_outdated(old, "new")
    assert not bench.is_outdated(old, "older")  # what is stored is not of the later job any more
    assert not bench.is_outdated(old, "old")
    assert not bench.is_outdated(new, "old")
    page = added("old page", origin={"url": "https://example.org/"})
    assert not bench.is_outdated(page, "new")


def test_the_next_job_is_found_by_indexes_alone(bench):
    bench.add()
    with bench.database.read() as connection:
        query = _NEXT_WAITING.params(lane="files", after="").compile(
            dialect=connection.dialect, compile_kwargs={"literal_binds": True}
        )
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}")]
    assert all("USING" in step and "INDEX" in step for step in plan if step.startswith(("SCAN", "SEARCH"))), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan
