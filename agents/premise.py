"""What a question takes for granted, and a passage that says otherwise: "Why was it planted in 1992?", when it was 1987.

By rule alone: years, dates, numbers and directions that stand in the question as given. A question that asks whether
something is so takes nothing for granted. Whether a name in it is the wrong one no rule here can tell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agents.evidence import evidence_text
from agents.verify.coverage import cover
from agents.verify.dates import check_dates, dates
from agents.verify.findings import Finding
from agents.verify.names import check_names
from agents.verify.numbers import check_numbers, quantities
from core.types import Hit

_ASKING = re.compile(
    r"^\W*(?:(?:and|but|so|then|in|at|by|for|from|of|on|to|with)\s+)?"
    r"(?:who|whom|whose|what|which|when|where|why|how)\b(?:\s+(?:many|much|long|far|often|old|big|large|high|come))?"
    r"(?:\s+(?:did|does|do|was|were|is|are|has|have|had|will|would|can|could|should))?\s*",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"\b(?:when|while|after|before|since|that|which|where|although|because)\s+(?P<clause>.+)$", re.IGNORECASE
)
_SHARED = 0.75  # of the premise's terms, dates and numbers apart, that one sentence must have to speak of the same
_LEAST_TERMS = 2  # … so many of them, at least


@dataclass(frozen=True, slots=True, kw_only=True)
class FalsePremise:
    """``detail`` says what the passage has in its place."""

    hit: Hit
    item: str  # as the question has it
    detail: str

    def note(self) -> str:
        page = f", page {self.hit.chunk.page}" if self.hit.chunk.page is not None else ""
        title = " ".join(self.hit.title.split())
        return f"The question takes “{self.item}” for granted, but {self.detail} (“{title}”{page})."


def presupposed(question: str) -> str:
    """The question without what asks: what it takes for granted. Empty where it only asks whether something is so."""
    asked = question.strip()
    match = _ASKING.match(asked)
    return asked[match.end() :].rstrip(" ?？؟") if match else ""


def false_premise(question: str, hits: Sequence[Hit]) -> FalsePremise | None:
    """What the best passage that speaks of the same says otherwise, if no passage says it as the question does."""
    whole = presupposed(question)
    # "Who was mayor when the bridge was opened in 1992?" takes two things for granted.
    clauses = [m.group("clause") for m in _CLAUSE.finditer(whole)]
    for premise in (whole, *clauses):
        if any(c.isdigit() for c in premise) and (found := _denied(premise, hits)) is not None:
            return found
    return None


def _denied(premise: str, hits: Sequence[Hit]) -> FalsePremise | None:
    given = [(d.start, d.end) for d in dates(premise)]
    counted = [(q.start, q.start + len(q.text)) for q in quantities(premise)]
    bare = _without(premise, [*given, *(c for c in counted if not any(a <= c[0] < b for a, b in given))])
    found: FalsePremise | None = None
    for hit in hits:
        evidence = evidence_text(hit)
        said = cover(bare, evidence)
        if said.sentence < _SHARED or said.n_terms < _LEAST_TERMS:
            continue
        findings = [
            *check_dates(premise, evidence, said.likely),
            *check_numbers(premise, evidence, given, said.likely),
            *check_names(premise, evidence),
        ]
        if all(f.outcome == "match" for f in findings):
            return None
        if found is None and (conflict := _conflict(findings)) is not None:
            found = FalsePremise(hit=hit, item=conflict.item, detail=conflict.detail)
    return found


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + " " + text[end:]
    return text


def _conflict(findings: Sequence[Finding]) -> Finding | None:
    """The one thing that differs; nothing where a name is missing, or date and number both differ: that is another event."""
    if any(f.outcome == "missing" for f in findings):
        return None
    conflicts = [f for f in findings if f.outcome == "conflict"]
    return conflicts[0] if len(conflicts) == 1 else None
