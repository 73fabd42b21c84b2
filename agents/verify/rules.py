"""The verifier that needs no model: rules on quotations, numbers, dates, names, negation and word coverage.

The rules give findings and the coverage gives shares; a logistic regression over both, fitted on human judgements
(``python -m bench.verify_rules``, which also writes its error rates), gives the probability that the claim is
supported. It reads words, not meaning: a paraphrase looks unsupported to it, and a sentence made of the passage's own
words in a new order looks supported.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from agents.verify.apart import check_apart
from agents.verify.cascade import Thresholds, conclude, screen
from agents.verify.coverage import Coverage, cover
from agents.verify.dates import check_dates, dates
from agents.verify.findings import Finding
from agents.verify.framed import check_framed
from agents.verify.names import check_names
from agents.verify.negation import check_direction
from agents.verify.numbers import check_numbers
from agents.verify.paired import check_paired
from agents.verify.quotes import check_quotes
from agents.verify.substituted import check_substituted
from core.errors import InvalidRequest
from core.types import Verdict

FILE = "verify_rules.json"
FEATURES = (
    "terms",
    "window",
    "words",
    "trigrams",
    "log_terms",
    "speaks",
    "asks",
    "numbers_missing",  # share of its numbers and dates
    "names_missing",  # share of its names
)
# A conflict is only one if both speak of the same thing.
_SAME_SUBJECT = 0.7
_NEAR = 0.5  # … for words to be laid side by side, which asks for more by itself
_SAME_DENIED = 0.6  # … of what is denied: at 0.5 WiCE's supported claims begin to be called contradicted


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Everything the rules saw."""

    coverage: Coverage
    findings: tuple[Finding, ...]
    asks: bool  # has a question mark
    near: str  # the sentence of the evidence that the claim may run along; empty if there is none

    def said(self) -> str:
        """How much of the claim's words the evidence has, for a person."""
        share = f"{self.coverage.terms:.0%} of its words are in the passage"
        absent = ", ".join(self.coverage.absent[:5])
        return f"{share}; not: {absent}" if absent else share

    def features(self) -> NDArray[np.float64]:
        """(len(FEATURES),)"""
        c = self.coverage
        figures = [f for f in self.findings if f.rule in ("number", "date")]
        called = [f for f in self.findings if f.rule == "name"]
        return np.array(
            [
                c.terms,
                c.window,
                c.words,
                c.trigrams,
                np.log1p(c.n_terms),
                float(c.speaks),
                float(self.asks),
                _share_absent(figures),
                _share_absent(called),
            ]
        )


def _share_absent(findings: Sequence[Finding]) -> float:
    return sum(f.outcome != "match" for f in findings) / len(findings) if findings else 0.0


def examine(claim: str, evidence: str) -> Examination:
    """Runs every rule."""
    coverage = cover(claim, evidence)
    findings = [*check_quotes(claim, evidence)]
    same = coverage.likely if coverage.sentence >= _SAME_SUBJECT else ""
    findings += check_dates(claim, evidence, same)
    findings += check_numbers(claim, evidence, [(d.start, d.end) for d in dates(claim)], same)
    findings += check_paired(claim, evidence, same)
    findings += check_names(claim, evidence)
    findings += check_direction(claim, same, coverage.likely if coverage.sentence >= _SAME_DENIED else "")
    near = coverage.likely if coverage.sentence >= _NEAR else ""
    findings += check_substituted(claim, near)
    findings += check_framed(claim, near)
    return Examination(coverage=coverage, findings=tuple(findings), asks="?" in claim, near=near)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleWeights:
    weights: NDArray[np.float64]
    bias: float
    threshold: float  # probability from which a claim is called supported
    partial_from: float  # … partly supported

    def probability(self, features: NDArray[np.float64]) -> float:
        log_odds = float(features @ self.weights) + self.bias
        return float(1 / (1 + np.exp(-np.clip(log_odds, -40, 40))))


def load_weights() -> RuleWeights:
    """The shipped weights; raises InvalidRequest where they do not fit this code."""
    data = json.loads(resources.files("agents.data").joinpath(FILE).read_text("utf-8"))
    named = data["weights"]
    if sorted(named) != sorted(FEATURES):
        raise InvalidRequest(
            f"{FILE} has the weights {', '.join(named)}: make it anew with python -m bench.verify_rules --write",
            code="bad-calibration",
        )
    return RuleWeights(
        weights=np.array([float(named[f]) for f in FEATURES]),
        bias=float(data["bias"]),
        threshold=float(data["threshold"]),
        partial_from=float(data["partial_from"]),
    )


class RuleVerifier:
    """A ``core.protocols.Verifier``. Thread-safe; holds nothing but its weights.

    Args:
        weights: None reads the shipped ones.
    """

    def __init__(self, weights: RuleWeights | None = None) -> None:
        self._weights = weights or load_weights()

    @property
    def threshold(self) -> float:
        """The score from which a claim is called supported."""
        return self._weights.threshold

    def check(self, claim: str, evidence: Sequence[str]) -> Verdict:
        """Judges one sentence, without its citation markers, against the texts that it cites jointly.

        Without evidence a claim is unsupported; what claims nothing is told apart first.
        """
        screened = screen(claim, evidence)
        if isinstance(screened, Verdict):
            return screened
        evidence = "\n\n".join(screened.texts)
        seen = examine(screened.claim, evidence)
        findings = [*seen.findings, *check_apart(screened.claim, evidence, seen.findings)]
        w = self._weights
        score = w.probability(seen.features())
        at = Thresholds(supported=w.threshold, partial=w.partial_from)
        return conclude(score, findings, at, why=seen.said())
