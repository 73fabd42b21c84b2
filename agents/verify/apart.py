"""A figure of the claim stands in the evidence, which speaks of something else: "The moon has 30 days." beside a passage
on goods that may be returned within 30 days.

Knows words, not meaning: a claim all of whose other words are synonyms of the passage's, or of another language, looks as far
from it. So it is asked by the verifiers that know no more than words themselves, and a model that reads is not overruled by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agents.irregular import base
from agents.lexical import terms
from agents.verify.dates import dates
from agents.verify.findings import Finding
from agents.verify.numbers import quantities

_LEAST = 0.5  # of a claim's terms beside its figures and their units, that its evidence must have
# "He died in 1998.", "It cost $5.": the claim names no subject, so that the passage's may be what it speaks of, and its one
# other word is as easily a synonym as something else.
_NAMES_NO_SUBJECT = re.compile(r"\W*(?:he|she|it|they|this|that|these|those|there|we|you)\b", re.IGNORECASE)


def check_apart(claim: str, evidence: str, found: Sequence[Finding]) -> Iterator[Finding]:
    """One finding where the evidence has a figure of ``claim``, and of its other terms fewer than half.

    Args:
        claim: one sentence.
        evidence: all that it cites.
        found: what the rules on numbers and dates say of the two.
    """
    figures = [f.item for f in found if f.rule in ("number", "date") and f.outcome == "match"]
    wanted = _beside_figures(claim) if figures else set()
    if len(wanted) == 1 and _NAMES_NO_SUBJECT.match(claim):
        return
    if wanted and len(wanted & {base(t) for t in terms(evidence)}) < _LEAST * len(wanted):
        said = f"the passage has {' and '.join(figures[:2])}, but speaks of something else"
        yield Finding(rule="apart", outcome="missing", item=claim, detail=said)


def _beside_figures(claim: str) -> set[str]:
    spans = [*((q.start, q.end) for q in quantities(claim)), *((d.start, d.end) for d in dates(claim))]
    for start, end in spans:
        claim = claim[:start] + " " * (end - start) + claim[end:]
    return {base(t) for t in terms(claim)}
