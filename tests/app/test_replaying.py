"""A replay against the recording of an older version, and one that is changed: what needs no server."""

from __future__ import annotations

import json

from agents.run import Provenance, Recorder
from app.shapes import trace_json
from app.trace_diff import in_fields_of
from core.types import Answer


def test_a_recording_of_before_steps_could_be_notes_is_met_byte_for_byte() -> None:
    recorder = Recorder(run_id="r-1", strategy="reflexion", question="Who lit the lamp?", provenance=Provenance())
    recorder.step("act", thought="I look.")
    recorder.step("reflect", thought="I should have looked in the annex.", note=True)
    now = json.loads(json.dumps(trace_json(recorder.done(Answer(text="Tom Varga."), "answered").trace)))
    then = {**now, "steps": [{name: value for name, value in step.items() if name != "note"} for step in now["steps"]]}
    assert now != then and in_fields_of(now, then) == then
    assert in_fields_of(now, now) == now
    longer = in_fields_of(now, {**then, "steps": then["steps"][:1]})
    assert longer["steps"] == [then["steps"][0], now["steps"][1]]
