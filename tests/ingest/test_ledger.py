"""The ledger of jobs: durable states, fair claims, bounded attempts, and nobody sees another's job."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.database import migrate, open_database
from core.errors import Busy, Conflict, InvalidRequest, NotFound
from core.types import Principal
from ingest import ledger_listing, ledger_people
from ingest.job import FINAL_STATES, STATES, WORKING_STATES
from ingest.ledger import Ledger

MIGRATIONS = Path(__file__).resolve().parents[2] / "app" / "migrations"
ANN, BOB, ADMIN = Principal(user_id="ann"), Principal(user_id="bob"), Principal(user_id="root", is_admin=True)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Bench:
    """A ledger with its database; every call its own transaction, as the service does it."""

    def __init__(self, path, **limits):
        self.clock = Clock()
        self.database = open_database(path)
        migrate(self.database, MIGRATIONS)
        self.ledger = Ledger(clock=self.clock, lease_s=60, **limits)

    def __getattr__(self, name):
        change = getattr(self.ledger if hasattr(self.ledger, name) else ledger_people, name)

        def call(*args, **kwargs):
            with self.database.write() as connection:
                return change(connection, *args, **kwargs)

        return call

    def get(self, *args):
        return ledger_listing.get_job(self.database, *args)

    def list_jobs(self, *args, **kwargs):
        return ledger_listing.list_jobs(self.database, *args, **kwargs)

    def counts(self, *args):
        return ledger_listing.count_jobs(self.database, *args)

    def events_since(self, *args):
        return ledger_listing.events_since(self.database, *args)

    def add(self, principal=ANN, file="a.pdf", collection="c"):
        with self.database.write() as connection:
            return self.ledger.add(
                connection,
                principal=principal,
                collection=collection,
                file=file,
                uri=file,
                sha256="00",
                size=3,
                chunker="fixed",
            )

    def finish(self, job_id, **kwargs):
        with self.database.write() as connection:
            return self.ledger.finish(
                connection, job_id, **{"doc_id": "d1", "pages": 2, "chunks": 5, "seconds": 1.5, **kwargs}
            )


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
        lambda: bench.list_jobs(BOB, before=job.job_id),
        lambda: bench.get(ANN, "j-none"),
    ):
        with pytest.raises(NotFound):
            look()
    assert bench.list_jobs(BOB) == []
    assert sum(bench.counts(BOB).values()) == 0
    assert [j.job_id for j in bench.list_jobs(ADMIN)] == [job.job_id]


def test_listing_is_newest_first_by_pages_and_states(bench):
    made = [bench.add(file=str(i), collection="c" if i % 2 else "d") for i in range(5)]
    bench.claim("w")
    assert [j.file for j in bench.list_jobs(ANN, limit=2)] == ["4", "3"]
    assert [j.file for j in bench.list_jobs(ANN, limit=2, before=made[3].job_id)] == ["2", "1"]
    assert [j.file for j in bench.list_jobs(ANN, collection="c")] == ["3", "1"]
    assert [j.file for j in bench.list_jobs(ANN, states=["parsing"])] == ["0"]
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
    job = bench.add()
    assert "00" in bench.held_originals()
    bench.claim("w")
    bench.fail(job.job_id, "no")
    assert "00" in bench.held_originals(), "it may be retried"
    bench.retry(ANN, job.job_id)
    bench.claim("w")
    bench.finish(job.job_id)
    assert "00" not in bench.held_originals()


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
    second, elsewhere = bench.add(), bench.add(collection="d")
    assert (second.paused, elsewhere.paused) == (True, False)
    assert bench.claim("w").job_id == elsewhere.job_id
    assert bench.claim("w") is None
    assert bench.pause_collection(ANN, "c", False) == 2
    assert [bench.claim("w").job_id for _ in range(2)] == [first.job_id, second.job_id]


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


class LedgerMachine(RuleBasedStateMachine):
    """Any sequence of calls against a model: state and attempts of each job in a dictionary."""

    @initialize(path=st.just(None))
    def start(self, path):
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.bench = Bench(Path(self.folder.name), max_queued=3, max_attempts=2)
        self.paused: set[str] = set()
        self.model: dict[str, list] = {}  # job_id -> [state, attempts, cancel requested]

    def teardown(self):
        if hasattr(self, "bench"):
            self.bench.database.close()
            self.folder.cleanup()

    def waiting(self):
        return [j for j, m in self.model.items() if m[0] == "queued"]

    def pick(self, index):
        return list(self.model)[index % len(self.model)]

    @rule()
    def add(self):
        if len(self.waiting()) >= 3:
            with pytest.raises(Busy):
                self.bench.add()
        else:
            self.model[self.bench.add().job_id] = ["queued", 0, False]

    @rule()
    def claim(self):
        job = self.bench.claim("w")
        assert (job.job_id if job else None) == next((j for j in self.waiting() if j not in self.paused), None)
        if job:
            self.model[job.job_id] = ["parsing", self.model[job.job_id][1] + 1, False]

    @precondition(lambda self: self.model)
    @rule(index=st.integers(0, 9), state=st.sampled_from(WORKING_STATES))
    def advance(self, index, state):
        job = self.pick(index)
        goes_on = self.model[job][0] in WORKING_STATES and not self.model[job][2]
        goes_on = goes_on and (job not in self.paused or state == "indexing")
        assert self.bench.advance(job, state, 0.5) == goes_on
        if goes_on:
            self.model[job][0] = state

    @precondition(lambda self: self.model)
    @rule(index=st.integers(0, 9), end=st.sampled_from(FINAL_STATES))
    def end(self, index, end):
        job = self.pick(index)
        calls = {"failed": lambda: self.bench.fail(job, "no"), "cancelled": lambda: self.bench.cancelled(job)}
        call = calls.get(end, lambda: self.bench.finish(job, state=end))
        if self.model[job][0] in FINAL_STATES:
            with pytest.raises(Conflict):
                call()
        else:
            call()
            self.model[job][0] = end

    @precondition(lambda self: self.model)
    @rule(index=st.integers(0, 9))
    def cancel(self, index):
        job = self.pick(index)
        match self.model[job][0]:
            case "queued":
                self.bench.request_cancel(ANN, job)
                self.model[job][0] = "cancelled"
            case "parsing" | "encoding" | "indexing":
                self.bench.request_cancel(ANN, job)
                self.model[job][2] = True
            case "cancelled":
                self.bench.request_cancel(ANN, job)
            case _:
                with pytest.raises(Conflict):
                    self.bench.request_cancel(ANN, job)

    @precondition(lambda self: self.model)
    @rule(index=st.integers(0, 9))
    def retry(self, index):
        job = self.pick(index)
        if self.model[job][0] not in ("failed", "cancelled", "partial"):
            with pytest.raises(Conflict):
                self.bench.retry(ANN, job)
        elif len(self.waiting()) >= 3:
            with pytest.raises(Busy):
                self.bench.retry(ANN, job)
        else:
            self.bench.retry(ANN, job)
            self.model[job] = ["queued", 0, False]
            self.paused.discard(job)

    @precondition(lambda self: self.model)
    @rule(index=st.integers(0, 9), paused=st.booleans())
    def pause(self, index, paused):
        job = self.pick(index)
        change = self.bench.pause if paused else self.bench.resume
        if self.model[job][0] in FINAL_STATES:
            with pytest.raises(Conflict):
                change(ANN, job)
        else:
            change(ANN, job)
            (self.paused.add if paused else self.paused.discard)(job)

    @precondition(lambda self: self.model)
    @rule(index=st.integers(0, 9))
    def stop(self, index):
        job = self.pick(index)
        if self.model[job][0] in WORKING_STATES:
            self.bench.stopped(job)
            attempts = self.model[job][1]
            self.model[job] = ["cancelled", attempts, True] if self.model[job][2] else ["queued", attempts - 1, False]

    @rule()
    def restart(self):
        self.bench.requeue_interrupted()
        for found in self.model.values():
            if found[0] in WORKING_STATES:
                found[0] = "cancelled" if found[2] else "failed" if found[1] >= 2 else "queued"

    @invariant()
    def the_ledger_says_what_the_model_says(self):
        if hasattr(self, "bench"):
            jobs = {j.job_id: (j.state, j.attempts) for j in self.bench.list_jobs(ANN)}
            assert jobs == {job: (found[0], found[1]) for job, found in self.model.items()}
            assert set(self.bench.counts(ANN)) == set(STATES)


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
