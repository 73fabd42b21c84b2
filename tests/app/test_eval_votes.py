"""Blind votes: no names on a ballot, one vote per person and pair, and who was left is undone when it is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.eval_configs import Configuration
from app.eval_results import EvalResult, Measured
from app.eval_runs import EvalRuns
from app.eval_sets import EvalSets
from app.eval_votes import Choice, EvalVotes
from app.people import local_principal
from app.wiring import MIGRATIONS
from core.database import Database, migrate, open_database
from core.errors import InvalidRequest
from eval.questions import MadeQuestion
from retrieval.store import Store
from tests.support.examples import shown_as

ME = local_principal()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    found = open_database(tmp_path)
    migrate(found, MIGRATIONS)
    return found


def result(database: Database, tmp_path: Path) -> EvalResult:
    with database.write() as connection:
        Store(database, tmp_path / "originals").create_collection(connection, "c", ME.user_id)
    sets, runs = EvalSets(database), EvalRuns(database)
    made = [
        MadeQuestion(question=f"question {i}", answers=("x",), answerable=True, kind="cloze", gold=(), split="dev")
        for i in range(8)
    ]
    of = sets.add(ME, "c", "n", made, {})
    questions = tuple(sets.questions(ME, of.set_id))
    ways = [Configuration(strategy="good"), Configuration(strategy="bad")]
    run = runs.start(ME, of, questions, ways)

    def rows(name: str) -> dict[str, Any]:
        said = {q.question_id: {"metrics": {}, "answer": f"{name} answer", "found": []} for q in questions}
        said[questions[0].question_id]["answer"] = "the same"
        return said

    measured = tuple(
        Measured(configuration=way, key=name, rows=rows(name), facts={})
        for way, name in zip(ways, ("good", "bad"), strict=True)
    )
    return EvalResult(run=run, of=of, questions=questions, measured=measured)


def test_a_reader_who_prefers_one_is_understood_wherever_it_stands(database: Database, tmp_path: Path) -> None:
    votes, of = EvalVotes(database), result(database, tmp_path)
    sides = set()
    while (ballot := votes.next(ME, of)) is not None:
        assert "strategy" not in str(ballot) and ballot["n_all"] == 7  # answers that are the same are no choice
        shown_as("GET /v1/evals/{eval_id}/ballot", ballot)
        side: Choice = "left" if ballot["left"] == "good answer" else "right"
        sides.add(side)
        votes.vote(ME, of, ballot["ballot"], "tie")
        votes.vote(ME, of, ballot["ballot"], side)  # in place of the first
    assert sides == {"left", "right"}
    standing = votes.standing(ME, of)
    assert standing["n_votes"] == 7
    assert [s["label"] for s in standing["strengths"]] == ["answers by good", "answers by bad"]
    # What a judge is held against, whichever of the two is called A.
    assert set(votes.labels(ME, of.run.eval_id, 0, 1).values()) == {"a"}
    assert set(votes.labels(ME, of.run.eval_id, 1, 0).values()) == {"b"}
    assert votes.labels(ME, of.run.eval_id, 0, 2) == {}
    with pytest.raises(InvalidRequest, match="no ballot"):
        votes.vote(ME, of, "nothing", "left")
