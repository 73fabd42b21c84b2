"""Verifiers around a model that others trained: the rules first, then the model.

Not known here: what kind of model it is, and where it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agents.verify.cascade import Thresholds, conclude, screen
from agents.verify.rules import examine
from core.protocols import Verifier
from core.types import Verdict
from models.grounding import Grounding

# Where the smaller verifier is not sure, and a larger one is asked.
DOUBT = (0.1, 0.9)
_CONTRADICTED = 0.5


class Grounder(Protocol):
    """``models.grounding.GroundingModel`` is one."""

    @property
    def name(self) -> str: ...

    def judge(self, claim: str, text: str) -> Grounding: ...


class ModelVerifier:
    """A ``core.protocols.Verifier``. Thread-safe if its model is.

    Args:
        model: gives probabilities.
        threshold: a claim is supported from this one; half of it is partial support.
    """

    def __init__(self, model: Grounder, threshold: float = 0.5) -> None:
        self._model = model
        self._at = Thresholds(supported=threshold, partial=threshold / 2)

    @property
    def threshold(self) -> float:
        """The score from which a claim is called supported."""
        return self._at.supported

    def check(self, claim: str, evidence: Sequence[str]) -> Verdict:
        """As ``RuleVerifier.check``."""
        screened = screen(claim, evidence)
        if isinstance(screened, Verdict):
            return screened
        text = "\n\n".join(screened.texts)
        found = self._model.judge(screened.claim, text)
        if found.contradicted >= _CONTRADICTED and found.contradicted > found.supported:
            score = min(found.supported, self._at.partial / 2)
            return Verdict(label="contradicted", score=score, reason=f"{self._model.name} finds a contradiction")
        why = f"{self._model.name} gives it {found.supported:.0%}"
        return conclude(found.supported, examine(screened.claim, text).findings, self._at, why=why)


class SecondOpinion:
    """Asks ``second`` where the score of ``first`` lies within ``doubt``; what the rules decided stays decided."""

    def __init__(self, first: Verifier, second: Verifier, doubt: tuple[float, float] = DOUBT) -> None:
        self._first, self._second, self._doubt = first, second, doubt

    def check(self, claim: str, evidence: Sequence[str]) -> Verdict:
        """The verdict of whichever was asked last."""
        verdict = self._first.check(claim, evidence)
        low, high = self._doubt
        if verdict.label in ("not_a_claim", "contradicted") or not low < verdict.score < high:
            return verdict
        return self._second.check(claim, evidence)
