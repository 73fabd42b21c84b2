"""Runs of words that questions share with what was seen before."""

from __future__ import annotations

import pytest

from core.errors import InvalidRequest
from eval.contamination import contamination

LONG = (
    "which of the two old bridges over the river was built by master odo harrow in that year"  # 18 words, 11 runs of 8
)


def test_a_question_that_was_copied_is_found_and_one_that_shares_words_is_not() -> None:
    found = contamination(
        {
            "copied": LONG,
            "own": "how many silver coins does the keeper of the gate take from those who cross in winter",
        },
        {
            "train": [
                ("t1", "nothing"),
                ("t2", f"Q: {LONG.upper()}?!"),
                ("t3", "the keeper of the gate and the river"),
            ],
            "other": [("o", "the two old bridges")],
        },
    )
    assert found.contaminated == {"train": 1, "other": 0} and found.n_texts == {"train": 3, "other": 1}
    (only,) = found.found
    assert (only.question_id, only.source, only.share, only.where) == ("copied", "train", 1.0, "t2")


def test_half_of_the_runs_may_come_from_several_texts() -> None:
    said = LONG.split()
    first, second = " ".join(said[:10]), " ".join(said[8:])  # 3 runs and 3 runs
    assert contamination({"q": LONG}, {"s": [("a", first), ("b", second)]}).found[0].share == pytest.approx(6 / 11)
    assert contamination({"q": LONG}, {"s": [("a", first)]}).found == ()  # 3 of 11


def test_a_question_shorter_than_a_run_counts_whole_and_a_very_short_one_cannot_be_told() -> None:
    found = contamination(
        {"short": "who built the old bridge", "tiny": "what is x"},
        {"s": [("a", "Who built the old bridge? What is x?")]},
    )
    assert found.n_short == 1 and [o.question_id for o in found.found] == ["short"]
    with pytest.raises(InvalidRequest):
        contamination({}, {})
