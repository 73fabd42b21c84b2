"""`calibrate` over a real server: a threshold that can be vouched for is kept and holds; too few questions are refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from app.cli.calibrate import _report
from app.client import ApiError, Client
from tests.support.commands import json_of, openbook
from tests.support.examples import shown_as
from tests.support.jobs import settled
from tests.support.servers import RunningServer

TOWNS = ["Alby", "Brenna", "Corvey", "Dunmor", "Estrel", "Fanwick", "Gorsla", "Hemmet", "Istria", "Jarnvik"]
TEXT = "\n\n".join(f"The bridge of {town} is {100 + 7 * n} metres long." for n, town in enumerate(TOWNS))
KNOWN = [
    {"id": f"k{n}", "question": f"How long is the bridge of {town}?", "answers": [f"{100 + 7 * n} metres"], "answerable": True}
    for n, town in enumerate(TOWNS)
]  # fmt: skip
UNKNOWN = [
    {"id": f"u{n}", "question": f"Who is the {what}?", "answers": [], "answerable": False}
    for n, what in enumerate(["king of Norway", "inventor of the telephone", "author of Hamlet", "pope", "fastest runner"])
]  # fmt: skip


@pytest.fixture(scope="module")
def bridges(server: RunningServer) -> str:
    with server.client() as client:
        client.create_collection("bridges")
        (job,) = client.upload("bridges", [("bridges.md", io.BytesIO(TEXT.encode()))])
        assert settled(client, job["job_id"])["state"] == "ready"
    return "bridges"


def test_a_threshold_is_kept_and_decides_from_then_on(client: Client, bridges: str) -> None:
    fitted = client.calibrate(bridges, [*KNOWN, *UNKNOWN], error=0.3, dataset="towns")
    assert fitted["applied"], fitted["refused"]
    shown_as("POST /v1/collections/{collection}/calibrate", fitted)
    assert fitted["chosen"]["upper"] <= 0.3
    assert fitted["n_answers_compared"] == len(KNOWN)
    (kept,) = client.calibrations(bridges)
    assert kept["threshold"] == fitted["threshold"] and kept["dataset"] == "towns"
    assert len(kept["curve"]) == len(KNOWN) + len(UNKNOWN)
    assert {"coverage", "risk", "upper", "threshold"} <= set(kept["curve"][0])
    answer = client.ask(KNOWN[0]["question"], [bridges])
    assert answer.get("confidence") is not None
    assert answer["abstained"] == (answer["confidence"] < fitted["threshold"])  # type: ignore[operator]
    client.reset_calibration(bridges)
    assert client.calibrations(bridges) == []


def test_too_few_questions_are_refused_with_how_many_more(client: Client, bridges: str) -> None:
    fitted = client.calibrate(bridges, [*KNOWN, *UNKNOWN])
    assert not fitted["applied"] and fitted["threshold"] is None
    assert fitted["more_questions"] == 59 - len(KNOWN) - len(UNKNOWN)
    assert client.calibrations(bridges) == []


def test_questions_that_can_all_be_answered_calibrate_nothing(client: Client, bridges: str) -> None:
    with pytest.raises(ApiError, match="add some that the documents do not answer"):
        client.calibrate(bridges, KNOWN)


@pytest.mark.slow  # processes of their own
def test_the_command_fits_on_a_files_own_contexts_and_says_what_is_missing(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [{**q, "contexts": [{"title": "Bridges", "text": TEXT}]} for q in [*KNOWN, *UNKNOWN]]
    file = tmp_path / "towns.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines))
    found = json_of(openbook("calibrate", "--dataset", file, "--error", "0.3", "--json"))
    assert found["fitted"] and not found["applied"]
    refused = openbook("calibrate", "--dataset", file)
    assert refused.returncode == 1
    assert "more questions" in refused.stderr and len(refused.stderr.splitlines()) == 1
    assert openbook("calibrate").returncode == 2


def test_a_report_says_each_point_of_the_curve_once() -> None:
    point = {"coverage": 1.0, "wrong": 2, "answered": 2, "risk": 1.0, "upper": 1.0}
    found = {"collection": "c", "n_questions": 2, "n_unanswerable": 1, "strategy": "extract", "aurc": 1.0}
    report = _report({**found, "aurc_best": 1.0, "curve": [point], "chosen": None, "applied": False})
    assert report.count("2 of 2 wrong") == 1
