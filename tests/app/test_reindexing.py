"""The work on a reindex job, with a worker of the test's own: what is given out, what is kept, how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.copies import LEASE_S
from app.handover import Result
from app.pipelines import Encoders, pipeline_of, with_pipeline
from app.reindexing import Reindexing
from core.errors import Forbidden, InvalidRequest, NotFound
from core.settings import Settings
from core.types import Principal
from ingest import ledger_people
from ingest.ledger import Ledger
from ingest.ledger_listing import get_job
from ingest.ledger_people import request_cancel
from ingest.pipeline import version_of
from retrieval import editions
from tests.support import edition_steps as steps
from tests.support.hash_encoder import HashEncoder
from tests.support.library import LOCAL, library_parts, make_document

TEXTS = {
    "a": "red round things roll down the green hill and stop at the blue wall of the old mill",
    "b": "square boxes stand in the yellow yard behind the mill where nobody looks at them",
    "c": "nothing here but sand",
}


class Loadable(HashEncoder):
    def load(self):
        pass


class Office:
    """A library with its ledger and its ``Reindexing``; a stop and a start make new ones over the same folder."""

    def __init__(self, folder):
        self.folder = folder
        self.now = 1000.0
        self.start()
        self.lib.create("c")
        for uri, text in TEXTS.items():
            self.put(uri, text)

    def start(self):
        # The settings' own encoder and every other one that is named.
        self.lib = library_parts(self.folder, HashEncoder(16))
        self.settings = Settings(data_dir=self.folder)
        self.ledger = Ledger()
        encoders = Encoders(lambda s: Loadable(8, f"hash-{s.encoder_model}"))
        self.work = Reindexing(
            self.settings, self.lib.database, self.lib.store, self.ledger,
            lambda: self.lib.engine, lambda: encoders, lambda: self.now,
        )  # fmt: skip
        self.lib.engine.add_encoder(Loadable(8, "hash-new"))
        self.lib.engine.open()
        self.encoders = encoders

    def put(self, uri, text):
        self.lib.store.originals.put_stream([text.encode()], 1000)
        self.lib.put("c", uri, text)

    def restart(self):
        self.lib.close()
        self.start()
        with self.lib.database.write() as connection:
            self.ledger.requeue_interrupted(connection)

    def begin(self, **changes):
        changes = {"encoder_model": "new", "encoder_runtime": "sentence-transformers", **changes}
        return self.work.start(LOCAL, "c", changes).job_id

    def made(self, task, *, text=None):
        """What a worker would make of a task."""
        document, chunks = make_document("c", task.uri, text or TEXTS[task.uri], words_per_chunk=3)
        settings = with_pipeline(self.settings, task.pipeline)
        encoder = self.encoders.get(settings)
        return Result(
            document=document, chunks=tuple(chunks), vectors=encoder.encode_documents([c.text for c in chunks]),
            encoder_revision=encoder.revision, chunker_version=version_of(settings, encoder), warnings=(),
            partial=False, seconds=1.5,
        )  # fmt: skip

    def do(self, task):
        return self.work.copies.store(*place(task), self.made(task))

    def work_off(self):
        done = []
        while (task := self.work.next_task()) is not None:
            assert self.do(task) == "stored"
            done.append(task.uri)
        return done

    def job(self, job_id):
        return get_job(self.lib.database, LOCAL, job_id)

    def words(self):
        hits = self.lib.search("mill", 100, retriever="dense")
        return {len(h.chunk.text.split()) for h in hits}


def place(task):
    _, _, _, edition, _, doc_id = task.address.split("/")
    return int(edition), doc_id


@pytest.fixture
def office(tmp_path):
    office = Office(tmp_path)
    yield office
    office.lib.close()


OLD_WORDS, NEW_WORDS = {8, 7, 2, 4}, {3, 1}


def test_each_document_is_given_out_once_and_the_last_one_switches(office):
    job_id = office.begin()
    tasks = [office.work.next_task() for _ in range(3)]
    assert [t.uri for t in tasks] == ["a", "b", "c"]
    assert office.work.next_task() is None
    for task in tasks[:2]:
        assert office.do(task) == "stored"
    assert office.work.next_task() is None  # one is still being made
    assert office.words() == OLD_WORDS
    assert office.do(tasks[2]) == "stored"
    assert office.work.next_task() is None
    assert office.words() == NEW_WORDS
    job = office.job(job_id)
    assert (job.state, job.progress, job.chunks) == ("ready", 1.0, 6 + 5 + 2)
    assert job.seconds > 0
    steps.check(office.lib)


def test_it_says_how_far_it_is_and_how_long_it_will_take(office):
    job_id = office.begin()
    assert office.work.remaining_s(job_id) is None
    task = office.work.next_task()
    office.now += 10.0
    office.do(task)
    a, b, c = (len(text) for text in TEXTS.values())
    assert office.work.remaining_s(job_id) == pytest.approx(10.0 * (b + c) / a)
    assert office.job(job_id).progress == pytest.approx(0.98 * a / (a + b + c), abs=1e-3)


def test_a_paused_one_waits_and_so_does_one_of_a_paused_collection(office):
    job_id = office.begin()
    office.do(office.work.next_task())

    def pause(paused):
        with office.lib.database.write() as connection:
            (ledger_people.pause if paused else ledger_people.resume)(connection, LOCAL, job_id)

    pause(True)
    assert office.work.next_task() is None and get_job(office.lib.database, LOCAL, job_id).state == "encoding"
    pause(False)
    office.work_off()
    assert get_job(office.lib.database, LOCAL, job_id).state == "ready"
    with office.lib.database.write() as connection:
        ledger_people.pause_collection(connection, LOCAL, "c", True)
    assert get_job(office.lib.database, LOCAL, office.begin(chunk_tokens=50)).paused
    assert office.work.next_task() is None


def test_a_stop_in_the_middle_repeats_only_what_was_in_flight(office):
    job_id = office.begin()
    office.do(office.work.next_task())
    assert office.work.next_task().uri == "b"
    office.restart()
    assert office.job(job_id).state == "encoding"
    assert office.words() == OLD_WORDS
    assert sorted(office.work_off()) == ["b", "c"]
    assert office.job(job_id).state == "ready"
    assert office.words() == NEW_WORDS
    steps.check(office.lib)


def test_a_stop_right_after_the_switch_ends_as_ready(office, monkeypatch):
    job_id = office.begin()

    def stop(_change):
        raise KeyboardInterrupt

    for _ in range(3):
        office.do(office.work.next_task())
    monkeypatch.setattr(office.lib.engine, "publish", stop)
    with pytest.raises(KeyboardInterrupt):
        office.work.next_task()
    assert office.job(job_id).state == "indexing"
    office.restart()
    assert office.words() == NEW_WORDS
    office.work.tidy()
    assert office.job(job_id).state == "ready"
    steps.check(office.lib)


def test_a_worker_that_falls_silent_loses_its_document_to_another(office):
    office.begin()
    lost = office.work.next_task()
    assert [office.work.next_task().uri for _ in range(2)] == ["b", "c"]
    office.now += LEASE_S - 1
    assert office.work.copies.go_on(*place(lost))
    office.now += 2
    assert [office.work.next_task().uri for _ in range(2)] == ["b", "c"]
    office.now += LEASE_S
    assert "a" in {office.work.next_task().uri for _ in range(3)}


def test_a_worker_process_that_dies_takes_no_document_from_another(office):
    job_id = office.begin()
    slow = office.work.next_task("w7-left.0")
    # Beside it one process after the other dies with the rest in hand, or is stopped, as containers are.
    for n in range(3):
        given = [office.work.next_task(f"w{n}-right.{thread}") for thread in range(2)]
        assert {task.uri for task in given} == {"b", "c"}
        office.work.copies.forget_worker(f"w{n}-right.")
    assert office.work.next_task("w9-right.0") is None, "each was tried three times, and one is being made"
    assert office.job(job_id).state not in ("ready", "partial")
    assert office.do(slow) == "stored"
    office.work.next_task("w9-right.0")
    reason = office.job(job_id).reason
    assert ("b: given up" in reason, "c: given up" in reason, "a: " in reason) == (True, True, False)


def test_a_worker_that_lives_keeps_its_documents_however_often_another_is_stopped(office):
    job_id = office.begin()
    slow = [office.work.next_task("w7-left.0") for _ in range(3)]
    for _ in range(4):
        office.work.copies.forget_worker("w7.")  # beside the server, of the same number
        office.work.copies.forget_worker("w8-right.")
        assert office.work.next_task("w9-right.0") is None
    assert [office.do(task) for task in slow] == ["stored"] * 3
    assert office.work.next_task("w9-right.0") is None
    assert office.job(job_id).state == "ready"


def test_a_document_that_cannot_be_made_is_named_and_stays(office):
    job_id = office.begin()
    task = office.work.next_task()
    office.work.copies.fail(*place(task), "the file is broken")
    assert sorted(office.work_off()) == ["b", "c"]
    job = office.job(job_id)
    assert job.state == "partial"
    assert job.reason == "1 document stayed as before: a: the file is broken"
    assert office.words() == {8, 2, 3, 1}
    steps.check(office.lib)


def test_a_lost_original_does_not_hold_up_the_others(office):
    job_id = office.begin()
    task = office.work.next_task()
    office.work.copies.fail(*place(task), "", cancelled=True)
    Path(task.path).unlink()
    assert sorted(office.work_off()) == ["b", "c"]
    assert "upload the file again" in office.job(job_id).reason
    assert office.words() == {8, 2, 3, 1}


def test_a_document_that_stops_its_worker_every_time_is_given_up(office):
    job_id = office.begin()
    for _ in range(3):
        while (task := office.work.next_task()) is not None:
            if task.uri != "b":
                office.do(task)
        office.restart()
    assert office.work.next_task() is None
    job = office.job(job_id)
    assert (job.state, "b: given up after 3 attempts" in job.reason) == ("partial", True)


def test_if_nothing_can_be_made_nothing_is_switched(office):
    job_id = office.begin()
    while (task := office.work.next_task()) is not None:
        office.work.copies.fail(*place(task), "no encoder here")
    assert office.job(job_id).state == "failed"
    assert "no encoder here" in office.job(job_id).reason
    assert office.words() == OLD_WORDS
    office.work.tidy()
    with pytest.raises(NotFound):
        office.work.roll_back(LOCAL, "c")
    steps.check(office.lib)


def test_a_cancelled_one_leaves_nothing_and_tells_its_worker(office):
    job_id = office.begin()
    office.do(office.work.next_task())
    task = office.work.next_task()
    with office.lib.database.write() as connection:
        request_cancel(connection, LOCAL, job_id)
    assert not office.work.copies.go_on(*place(task))
    assert office.do(task) == "stale"
    assert office.work.next_task() is None
    assert office.job(job_id).state == "cancelled"
    with office.lib.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM documents").scalar() == 3
    assert office.words() == OLD_WORDS
    steps.check(office.lib)


def test_what_is_deleted_added_or_changed_meanwhile_is_heeded(office):
    office.begin()
    late = office.work.next_task()
    office.lib.delete("c", "a")
    assert office.do(late) == "stale"
    task = office.work.next_task()
    office.put("b", "entirely other words")
    assert office.do(task) == "stale"
    office.put("d", "one more")
    new = TEXTS | {"b": "entirely other words", "d": "one more"}
    done = []
    while (task := office.work.next_task()) is not None:
        office.work.copies.store(*place(task), office.made(task, text=new[task.uri]))
        done.append(task.uri)
    assert sorted(done) == ["b", "c", "d"]
    hits = office.lib.search("words", 100, retriever="dense")
    assert {(h.title, h.chunk.text) for h in hits} == {
        ("b", "entirely other words"), ("c", "nothing here but"), ("c", "sand"), ("d", "one more"),
    }  # fmt: skip
    steps.check(office.lib)
    office.work.roll_back(LOCAL, "c")
    hits = office.lib.search("words", 100, retriever="dense")
    assert {h.title for h in hits} == {"b", "c", "d"}
    steps.check(office.lib)


def test_the_way_back_keeps_what_the_collection_said_of_itself(office):
    office.begin(chunker="sentence")
    office.work_off()
    with office.lib.database.read() as connection:
        assert editions.pipeline_of(connection, "c")["chunker"] == "sentence"
    assert office.work.roll_back(LOCAL, "c") == pipeline_of(office.settings)
    assert office.words() == OLD_WORDS


def test_only_who_may_write_may(office):
    stranger = Principal(user_id="stranger")
    for call in (
        lambda: office.work.start(stranger, "c", {}),
        lambda: office.work.roll_back(stranger, "c"),
        lambda: office.work.forget(stranger, "c"),
    ):
        with pytest.raises((NotFound, Forbidden)):
            call()


def test_a_pipeline_that_does_not_fit_is_refused_with_what_would(office):
    with pytest.raises(InvalidRequest, match=r"chunk_tokens = 2: .*16"):
        office.begin(chunk_tokens=2)
    assert with_pipeline(office.settings, {"forgotten_key": 1}) == office.settings
