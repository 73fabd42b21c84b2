"""Any sequence of calls to the ledger of jobs, against a model of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.errors import Busy, Conflict
from ingest.job import FINAL_STATES, STATES, WORKING_STATES
from tests.support.ledger_bench import ANN, Bench


class LedgerMachine(RuleBasedStateMachine):
    """Any sequence of calls against a model: state and attempts of each job in a dictionary."""

    @initialize(path=st.just(None))
    def start(self, path):
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.bench = Bench(Path(self.folder.name), max_queued=3, max_attempts=2)
        self.paused: set[str] = set()
        self.names: dict[str, str] = {}
        self.model: dict[str, list] = {}  # job_id -> [state, attempts, cancel requested]

    def teardown(self):
        if hasattr(self, "bench"):
            self.bench.database.close()
            self.folder.cleanup()

    def waiting(self):
        return [j for j, m in self.model.items() if m[0] == "queued"]

    def pick(self, index):
        return list(self.model)[index % len(self.model)]

    @rule(name=st.sampled_from(["a.pdf", "b.pdf"]))
    def add(self, name):
        if len(self.waiting()) >= 3:
            with pytest.raises(Busy):
                self.bench.add(file=name)
        else:
            job_id = self.bench.add(file=name).job_id
            self.model[job_id] = ["queued", 0, False]
            self.names[job_id] = name

    @rule()
    def claim(self):
        job = self.bench.claim("w")
        busy = {self.names[j] for j, m in self.model.items() if m[0] in WORKING_STATES}
        free = [j for j in self.waiting() if j not in self.paused and self.names[j] not in busy]
        assert (job.job_id if job else None) == next(iter(free), None)
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
            jobs = {j.job_id: (j.state, j.attempts) for j in self.bench.list_jobs(ANN)[0]}
            assert jobs == {job: (found[0], found[1]) for job, found in self.model.items()}
            assert set(self.bench.counts(ANN)) == set(STATES)


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
