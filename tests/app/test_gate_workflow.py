"""The workflow that the guide shows, run as it stands: it lets the same quality through, and stops a worse one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).resolve().parents[2]
TRADES = (
    "salt", "timber", "wool", "copper", "amber", "glass", "paper", "honey", "rope", "iron", "linen", "ivory", "barley", "candle",
    "leather", "marble", "pepper", "saffron", "silver", "tin", "vinegar", "wax",
)  # fmt: skip

pytestmark = pytest.mark.slow  # six processes that load the encoder


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def corpus(trades: tuple[str, ...]) -> str:
    return lines([{"_id": f"d{n}", "title": "", "text": f"The guild of {t} traders."} for n, t in enumerate(trades)])


def run(folder: Path, step: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """A step as the runner has it: bash that stops at the first failure."""
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "PYTHONPATH": str(REPO)}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with as many questions as an interval takes, and ``openbook`` on its path."""
    questions = tmp_path / "questions"
    (questions / "qrels").mkdir(parents=True)
    (questions / "corpus.jsonl").write_text(corpus(TRADES))
    asked = [{"_id": f"q{n}", "text": f"Who trades in {trade}?"} for n, trade in enumerate(TRADES)]
    (questions / "queries.jsonl").write_text(lines(asked))
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(len(TRADES)))
    (questions / "qrels" / "dev.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    (tmp_path / "bin").mkdir()
    openbook = tmp_path / "bin" / "openbook"
    openbook.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m app.cli "$@"\n')
    openbook.chmod(0o755)
    return tmp_path


def test_the_gate_of_the_guide_opens_for_the_same_quality_and_closes_for_a_worse_one(project: Path) -> None:
    text = (REPO / "docs" / "guide" / "gate-workflow.yml").read_text("utf-8")
    (job,) = yaml.safe_load(text)["jobs"].values()
    steps = {step["name"]: step for step in job["steps"] if "name" in step}
    assert list(steps) == ["Install", "Measure", "Compare", "Gate"]
    first = run(project, steps["Measure"])
    assert first.returncode == 0, first.stderr
    (project / "new.json").rename(project / "questions" / "baseline.json")
    for name in ("Measure", "Compare", "Gate"):
        done = run(project, steps[name])
        assert done.returncode == 0, (name, done.stderr)
    assert "ndcg@10" in (project / "summary.md").read_text()
    (project / "questions" / "corpus.jsonl").write_text(corpus(TRADES[5:] + TRADES[:5]))
    assert run(project, steps["Measure"]).returncode == 0
    gate = run(project, steps["Gate"])
    assert gate.returncode == 1 and "may be worse than questions/baseline.json" in gate.stderr
    assert "ndcg@10" in gate.stderr
