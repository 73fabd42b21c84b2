"""Measuring a verifier: counts by hand, the area under the curve against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn")
from sklearn.metrics import roc_auc_score

from eval.datasets import FaithfulnessDataset, FaithfulnessPair
from eval.faithfulness import auroc, run_faithfulness
from eval.report import faithfulness_report
from tests.support.word_overlap import OverlapVerifier


def dataset(*rows: tuple[str, str, int]) -> FaithfulnessDataset:
    pairs = [FaithfulnessPair(id=str(i), evidence=e, claim=c, label=label) for i, (e, c, label) in enumerate(rows)]  # type: ignore[arg-type]
    return FaithfulnessDataset(name="tiny", pairs=tuple(pairs), sha256="")


ROWS = dataset(
    ("cats purr", "cats purr", 1),  # called supported: right
    ("cats purr", "cats sing", 1),  # called unsupported (1 of 2 words): wrong
    ("cats purr", "purr cats", 0),  # called supported: wrong
    ("cats purr", "dogs bark", 0),  # right
    ("cats purr", "cats bark loudly", 0),  # right
    ("cats purr", "unreadable", 1),  # no verdict, hence not supported: wrong
)


def test_counts_become_shares() -> None:
    result = run_faithfulness(ROWS, OverlapVerifier())
    assert result.precision == 1 / 2
    assert result.recall == 1 / 3
    assert result.f1 == pytest.approx(2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))
    assert result.balanced_accuracy == pytest.approx((1 / 3 + 2 / 3) / 2)
    # Scores of the supported: 1, 1/2, 0; of the others: 1, 0, 1/3. Of 9 pairs: ½ + 1 + 1, 0 + 1 + 1, 0 + ½ + 0.
    assert result.auroc == pytest.approx(5 / 9)
    assert result.kappa == 0.0  # 3 of 6 agree; by chance 3/6 · 2/6 + 3/6 · 4/6 = 1/2 would
    assert (result.n, result.n_supported, result.n_unverified, result.threshold) == (6, 3, 1, None)
    assert [v["accuracy"] for v in result.per_query.values()] == [1, 0, 0, 1, 1, 0]


def test_a_threshold_decides_by_score_instead_of_by_label() -> None:
    result = run_faithfulness(ROWS, OverlapVerifier(), threshold=0.5)
    assert (result.recall, result.precision, result.threshold) == (2 / 3, 2 / 3, 0.5)
    assert result.kappa == pytest.approx(1 / 3)  # (4/6 − 1/2) / (1 − 1/2)
    assert "decided by score ≥ 0.500" in faithfulness_report(result)


def test_a_verifier_that_states_its_threshold_has_it_in_the_result() -> None:
    class Stating(OverlapVerifier):
        threshold = 0.75

    result = run_faithfulness(ROWS, Stating())
    assert (result.threshold, result.decided_by, result.recall) == (0.75, "label", 1 / 3)


def test_one_class_alone_has_no_balanced_accuracy_and_no_curve() -> None:
    result = run_faithfulness(dataset(("a", "a", 1)), OverlapVerifier())
    assert (result.balanced_accuracy, result.auroc, result.kappa, result.recall) == (None, None, None, 1)
    document = result.to_json()
    assert {"n", "balanced_accuracy", "f1", "precision", "recall", "auroc", "threshold"} <= document.keys()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.50001, 1.0])), min_size=2, max_size=40))
def test_auroc_equals_scikit_learn(rows: list[tuple[bool, float]]) -> None:
    truth, scores = [t for t, _ in rows], [s for _, s in rows]
    if len(set(truth)) == 1:
        assert auroc(truth, scores) is None
    else:
        assert auroc(truth, scores) == pytest.approx(roc_auc_score(np.array(truth), np.array(scores)), abs=1e-12)
