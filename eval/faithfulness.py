"""How well a verifier tells supported claims from unsupported ones.

"Supported" is the positive class. The verifier's label decides by default, since that is what people see; with a
threshold, its score does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from scipy.stats import rankdata

from core.protocols import Verifier
from eval.datasets import FaithfulnessDataset
from eval.metrics.kappa import cohens_kappa
from eval.progress import Progress, silent


@runtime_checkable
class StatesThreshold(Protocol):
    """A verifier that can say from which score on its label is "supported"."""

    @property
    def threshold(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FaithfulnessResult:
    """Shares in [0, 1]; None where the divisor is 0 (a data set with one class only, nothing called supported).

    ``kappa`` is Cohen's, between the verdicts and the labels: agreement beyond what their shares would give by chance.
    ``decided_by`` is "label" or "score". ``threshold`` is the score from which a claim counts as supported: the one that
    was asked for, else the verifier's own; None where it does not state one.
    ``n_unverified``: verdicts that could not be made; they count as "not supported".
    """

    dataset: str
    dataset_sha256: str
    n: int
    n_supported: int
    n_unverified: int
    balanced_accuracy: float | None
    f1: float | None
    precision: float | None
    recall: float | None
    auroc: float | None
    kappa: float | None
    threshold: float | None
    decided_by: Literal["label", "score"]
    seconds_per_claim: float
    per_query: Mapping[str, Mapping[str, float]]
    verdicts: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """The document of `eval faithfulness --json`, which `eval compare` reads back."""
        return {
            "kind": "faithfulness",
            "dataset": self.dataset,
            "n": self.n,
            "balanced_accuracy": self.balanced_accuracy,
            "f1": self.f1,
            "precision": self.precision,
            "recall": self.recall,
            "auroc": self.auroc,
            "kappa": self.kappa,
            "threshold": self.threshold,
            "decided_by": self.decided_by,
            "n_supported": self.n_supported,
            "n_unverified": self.n_unverified,
            "seconds_per_claim": self.seconds_per_claim,
            "dataset_sha256": self.dataset_sha256,
            "per_query": {one: dict(values) for one, values in self.per_query.items()},
            "verdicts": {one: dict(verdict) for one, verdict in self.verdicts.items()},
        }


def run_faithfulness(
    dataset: FaithfulnessDataset, verifier: Verifier, *, threshold: float | None = None, progress: Progress = silent
) -> FaithfulnessResult:
    """Checks each claim against its evidence.

    Args:
        dataset: from ``eval.datasets.load_faithfulness``.
        verifier: under test.
        threshold: a claim is called supported from this score; None takes the verifier's label.
        progress: called with ("checking", done, n).
    """
    started = time.perf_counter()
    verdicts = []
    for done, pair in enumerate(dataset.pairs):
        progress("checking", done, len(dataset.pairs))
        verdicts.append(verifier.check(pair.claim, [pair.evidence]))
    progress("checking", len(dataset.pairs), len(dataset.pairs))
    seconds = time.perf_counter() - started

    truth = [pair.label == 1 for pair in dataset.pairs]
    called = [v.label == "supported" if threshold is None else v.score >= threshold for v in verdicts]
    tp = sum(t and c for t, c in zip(truth, called, strict=True))
    fp = sum(c and not t for t, c in zip(truth, called, strict=True))
    fn = sum(t and not c for t, c in zip(truth, called, strict=True))
    tn = len(truth) - tp - fp - fn
    stated = verifier.threshold if isinstance(verifier, StatesThreshold) else None
    sensitivity, specificity = _share(tp, tp + fn), _share(tn, tn + fp)
    balanced = None if sensitivity is None or specificity is None else (sensitivity + specificity) / 2
    return FaithfulnessResult(
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        n=len(truth),
        n_supported=sum(truth),
        n_unverified=sum(v.label == "unverified" for v in verdicts),
        balanced_accuracy=balanced,
        f1=_share(2 * tp, 2 * tp + fp + fn),
        precision=_share(tp, tp + fp),
        recall=sensitivity,
        auroc=auroc(truth, [v.score for v in verdicts]),
        kappa=cohens_kappa(list(zip(truth, called, strict=True))),
        threshold=stated if threshold is None else threshold,
        decided_by="label" if threshold is None else "score",
        seconds_per_claim=seconds / len(truth) if truth else 0.0,
        per_query={
            pair.id: {"accuracy": float(t == c)} for pair, t, c in zip(dataset.pairs, truth, called, strict=True)
        },
        verdicts={
            pair.id: {"label": v.label, "score": v.score, "reason": v.reason}
            for pair, v in zip(dataset.pairs, verdicts, strict=True)
        },
    )


def auroc(truth: Sequence[bool], scores: Sequence[float]) -> float | None:
    """P(score of a positive > score of a negative) + ½ P(equal): the Mann–Whitney U over n₊ n₋. None with one class."""
    positive = np.asarray(truth, dtype=bool)  # (n,)
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return None
    u = float(rankdata(scores)[positive].sum()) - n_positive * (n_positive + 1) / 2
    return u / (n_positive * n_negative)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
