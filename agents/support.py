"""How well passages support what a model said, sentence by sentence, whatever it cites. Calls the verifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.cite import MARKER
from agents.evidence import evidence_text
from core.protocols import Verifier
from core.text import sentence_spans
from core.types import Hit, Verdict

_RANK = {"supported": 3, "partial": 2, "contradicted": 1, "unsupported": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A sentence without its markers, and the most favourable verdict that any passage gives it."""

    text: str
    verdict: Verdict


def support_of(text: str, hits: Sequence[Hit], verifier: Verifier) -> list[Claim]:
    """The claims of ``text``; what states nothing is left out."""
    found = []
    for a, b in sentence_spans(text):
        sentence = " ".join(MARKER.sub(" ", text[a:b]).split())
        best = Verdict(label="unsupported", score=0.0, reason="no passage says it")
        for hit in hits:
            verdict = verifier.check(sentence, [evidence_text(hit)])
            if verdict.label == "not_a_claim":
                best = verdict
                break
            if (_RANK.get(verdict.label, 0), verdict.score) > (_RANK[best.label], best.score):
                best = verdict
        if best.label != "not_a_claim":
            found.append(Claim(text=sentence, verdict=best))
    return found
