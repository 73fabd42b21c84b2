"""The verifier that needs no model: rules on quotations, numbers, dates, names, negation and word coverage.

The rules give findings and the coverage gives shares; a logistic regression over both, fitted on human judgements
(``python -m bench.verify_rules``, which also writes its error rates), gives the probability that the claim is
supported. It reads words, not meaning: a paraphrase looks unsupported to it, and a sentence made of the passage's own
words in a new order looks supported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from agents.abstain import says_unknown
from agents.verify.coverage import Coverage, cover
from agents.verify.dates import check_dates, dates
from agents.verify.findings import Finding
from agents.verify.names import check_names
from agents.verify.negation import check_direction
from agents.verify.numbers import check_numbers
from agents.verify.quotes import check_quotes, is_quotation
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
_LEAD_IN = re.compile(
    r"^\s*(?:according to|based on|as stated in|from) (?:the )?(?:passages?|context|documents?|text)[^,]{0,20},\s*",
    re.IGNORECASE,
)
# A conflict is only one if both speak of the same thing.
_SAME_SUBJECT = 0.7
_GREETING = re.compile(
    r"\W*(?:sure|certainly|of course|yes|no|ok(?:ay)?|thank(?:s| you)|hello|hi|great|here (?:is|are)|"
    r"based on the (?:passages?|context)|in (?:summary|conclusion))\W*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Everything the rules saw."""

    coverage: Coverage
    findings: tuple[Finding, ...]
    asks: bool  # has a question mark

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
    findings += check_names(claim, evidence)
    findings += check_direction(claim, same)
    return Examination(coverage=coverage, findings=tuple(findings), asks="?" in claim)


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
        if not _is_claim(claim):
            return Verdict(label="not_a_claim", score=0.0, reason="states nothing that could be checked")
        claim = _LEAD_IN.sub("", claim)  # "According to the passages, …" is not itself in the passages
        texts = [t for t in evidence if t.strip()]
        if not texts:
            return Verdict(label="unsupported", score=0.0, reason="cites no passage")
        if any(is_quotation(claim, t) for t in texts):
            return Verdict(label="supported", score=1.0, reason="stands word for word in the passage")
        return self._judge(examine(claim, "\n\n".join(texts)))

    def _judge(self, seen: Examination) -> Verdict:
        w = self._weights
        score = w.probability(seen.features())
        conflicts = [f for f in seen.findings if f.outcome == "conflict"]
        missing = [f for f in seen.findings if f.outcome == "missing"]
        share = f"{seen.coverage.terms:.0%} of its words are in the passage"
        if conflicts:
            return Verdict(label="contradicted", score=min(score, w.partial_from / 2), reason=_clauses(conflicts))
        if missing:
            # A number or a name that is not there cannot be supported, however well the rest is covered.
            hard = any(f.rule in ("number", "date", "quote") for f in missing)
            if hard or score < w.threshold:
                score = min(score, w.threshold - 0.01)
                label = "partial" if score >= w.partial_from else "unsupported"
                return Verdict(label=label, score=max(0.0, score), reason=_clauses(missing))  # type: ignore[arg-type]
        if score >= w.threshold:
            return Verdict(label="supported", score=score, reason=_clauses(seen.findings[:3]) or share)
        absent = ", ".join(seen.coverage.absent[:5])
        reason = f"{share}; not: {absent}" if absent else share
        if score >= w.partial_from:
            return Verdict(label="partial", score=score, reason=reason)
        return Verdict(label="unsupported", score=score, reason=reason)


def _clauses(findings: Sequence[Finding]) -> str:
    return "; ".join(f.detail for f in findings[:3])


def _is_claim(text: str) -> bool:
    stripped = text.strip()
    if not any(c.isalnum() for c in stripped) or stripped.endswith(("?", "？", "؟", ":")):
        return False
    return not _GREETING.fullmatch(stripped) and not says_unknown(stripped)
