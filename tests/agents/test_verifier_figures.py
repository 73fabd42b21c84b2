"""The shipped verifier on the judgements that it was fitted on: no held-out figures, but a change of code shows in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.verify import TrainedVerifier
from core.protocols import Encoder
from eval.datasets import load_faithfulness
from eval.faithfulness import run_faithfulness


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least"), [("wice", 0.74), ("begin-wow", 0.92), ("begin-cmu", 0.92), ("begin-tc", 0.92)]
)
def test_the_label_is_as_good_as_the_report_says(shared_data: Path, encoder: Encoder, name: str, least: float) -> None:
    data = load_faithfulness(shared_data / "faithfulness" / f"{name}-dev.jsonl")
    result = run_faithfulness(data, TrainedVerifier(encoder))
    assert result.balanced_accuracy is not None
    assert result.balanced_accuracy >= least
    assert result.n_unverified == 0
