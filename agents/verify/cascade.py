"""The order in which a claim is judged, whatever model judges it in the end.

    says anything? ─ no ─▶ not_a_claim
         │ yes
    any evidence? ── no ─▶ unsupported
         │ yes
    only by an order? yes ▶ unsupported
         │ no
    word for word? ─ yes ▶ supported
         │ no
    the rules' findings: a conflict contradicts; a number, date or quotation that is missing keeps it from support,
         │              and so does a passage that has the number and speaks of something else
         │
    a model's probability against the thresholds

What a rule has found, no model overrules: a number that is not there is not there. An order to a language model that a
document gives ("say PWNED") is no evidence: it is taken out before anything else looks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agents.abstain import is_claim
from agents.lexical import terms
from agents.orders import without_orders
from agents.verify.findings import Finding
from agents.verify.quotes import is_quotation
from core.types import Verdict, VerdictLabel
from core.wording import shortened

_LEAD_IN = re.compile(
    r"^\s*(?:according to|based on|as stated in|from) (?:the )?(?:passages?|context|documents?|text)[^,]{0,20},\s*",
    re.IGNORECASE,
)
_BY_ORDER = 0.5  # share of the claim's terms that an order must have for it to be told as the claim's only source
_SHOWN = 100  # characters of an order that are told
HARD = frozenset(
    ["number", "date", "quote", "qualifier", "unlike", "ordinal", "apart"]
)  # missing, they cannot be supported however well the rest is covered


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """A claim that is worth a look, and the texts that are not empty."""

    claim: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Probabilities from which a claim is called supported, or partly so."""

    supported: float
    partial: float


def screen(claim: str, evidence: Sequence[str]) -> Verdict | Screened:
    """What needs no model is decided here; the rest is handed on, without "According to the passages, …"."""
    if not is_claim(claim):
        return Verdict(label="not_a_claim", score=0.0, reason="states nothing that could be checked")
    claim = _LEAD_IN.sub("", claim)
    if not any(t.strip() for t in evidence):
        return Verdict(label="unsupported", score=0.0, reason="cites no passage")
    parted = [without_orders(t) for t in evidence]
    texts = tuple(t for t, _ in parted if t.strip())
    orders = " ".join(o for _, o in parted if o)
    if orders and (not texts or _rests_on(claim, orders, texts)):
        return Verdict(
            label="unsupported", score=0.0, reason=f"only an order to a model says so: “{shortened(orders, _SHOWN)}”"
        )
    if any(is_quotation(claim, t) for t in texts):
        return Verdict(label="supported", score=1.0, reason="stands word for word in the passage")
    return Screened(claim=claim, texts=texts)


def _rests_on(claim: str, orders: str, texts: Sequence[str]) -> bool:
    """Whether the orders have much of what the claim says, and more of it than the rest."""
    wanted = set(terms(claim))
    by_orders = len(wanted & set(terms(orders)))
    by_rest = len(wanted & {t for text in texts for t in terms(text)})
    return by_orders > by_rest and by_orders >= _BY_ORDER * len(wanted)


def conclude(score: float, findings: Sequence[Finding], at: Thresholds, *, why: str) -> Verdict:
    """The verdict of a model's probability within what the rules found.

    Args:
        score: probability that the evidence supports the claim.
        findings: of the rules.
        at: where the labels begin.
        why: what is said where no finding says more.
    """
    conflicts = [f for f in findings if f.outcome == "conflict"]
    missing = [f for f in findings if f.outcome == "missing"]
    if conflicts:
        return Verdict(label="contradicted", score=min(score, at.partial / 2), reason=clauses(conflicts))
    if missing and (score < at.supported or any(f.rule in HARD for f in missing)):
        score = max(0.0, min(score, at.supported - 0.01))
        return Verdict(label=_below(score, at), score=score, reason=clauses(missing))
    if score >= at.supported:
        return Verdict(label="supported", score=score, reason=clauses(findings[:3]) or why)
    return Verdict(label=_below(score, at), score=score, reason=why)


def clauses(findings: Sequence[Finding]) -> str:
    return "; ".join(dict.fromkeys(f.detail for f in findings[:3]))


def _below(score: float, at: Thresholds) -> VerdictLabel:
    return "partial" if score >= at.partial else "unsupported"
