"""Is a claim supported by the documents? Each of its sentences is searched for and judged against what is found.

The verdict is one of three. "supported": every sentence that claims something is, by one passage or by several
together. "refuted": of at least one sentence the documents say otherwise, and none says the same. "not enough": anything
else, sources that disagree among it; then each side is cited, because which of them is right is not for us to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from agents.evidence import citation_for, evidence_text, search_spread
from agents.followup import leans_on_history
from agents.sources import DatesOf, Stand, conflicts_between, no_dates, own_date, stands
from core.errors import InvalidRequest
from core.protocols import Retriever, Verifier
from core.text import sentence_spans
from core.types import Citation, Conflict, Sentence, Verdict, VerdictLabel, Where

ClaimVerdict: TypeAlias = Literal["supported", "refuted", "not enough"]

MAX_SENTENCES = 20  # of one claim; each is a search and up to k + 1 judgements
_CITED = 3  # passages cited for, and against, one sentence
_NEAREST = 2  # … where none is for or against it
_TOGETHER = 3  # passages that are tried jointly


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedClaim:
    """``citations[i].verdict`` is what that passage alone says to the sentence that first cited it."""

    claim: str
    verdict: ClaimVerdict
    score: float  # in [0, 1]: the weakest sentence's support
    reason: str
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    conflicts: tuple[Conflict, ...]


class ClaimChecker:
    """Checks claims against documents. Thread-safe, as its parts are.

    Args:
        retriever: finds the passages.
        verifier: judges.
        k: passages per sentence.
        dates: of documents, told where sources disagree.
    """

    def __init__(self, *, retriever: Retriever, verifier: Verifier, k: int = 8, dates: DatesOf = no_dates) -> None:
        self._retriever = retriever
        self._verifier = verifier
        self._k = k
        self._dates = dates

    def check(self, claim: str, where: Where) -> CheckedClaim:
        """Raises InvalidRequest for a claim without words, or of too many sentences."""
        spans = sentence_spans(claim)
        if not any(c.isalnum() for c in claim):
            raise InvalidRequest("the claim is empty: state something in words", code="empty-claim")
        if len(spans) > MAX_SENTENCES:
            raise InvalidRequest(
                f"the claim has {len(spans)} sentences and may have {MAX_SENTENCES}: check it in parts",
                code="claim-too-long",
            )
        passages = _Passages(self._dates)
        sentences: list[Sentence] = []
        conflicts: list[Conflict] = []
        for n, (start, end) in enumerate(spans):
            text = claim[start:end]
            # "It has 412 trees": what "it" is was said before.
            before = claim[slice(*spans[n - 1])] if n and leans_on_history(text) else ""
            sentence, found = self._sentence(text, f"{before} {text}".strip(), start, where, passages)
            sentences.append(sentence)
            conflicts += found
        verdict, reason = _verdict(sentences, conflicts)
        return CheckedClaim(
            claim=claim,
            verdict=verdict,
            score=min((s.score for s in sentences if s.verdict != "not_a_claim"), default=0.0),
            reason=reason,
            sentences=tuple(sentences),
            citations=tuple(passages.citations),
            conflicts=tuple(conflicts),
        )

    def _sentence(
        self, text: str, query: str, start: int, where: Where, passages: _Passages
    ) -> tuple[Sentence, list[Conflict]]:
        if self._verifier.check(text, ()).label == "not_a_claim":
            nothing = Verdict(label="not_a_claim", score=0.0, reason="states nothing that could be checked")
            return _checked(text, start, nothing, ()), []
        hits = search_spread(self._retriever, query, self._k, where)
        found = sorted(stands(text, hits, self._verifier), key=lambda s: -s.verdict.score)
        supporting = [s for s in found if s.position == "supports"]
        refuting = [s for s in found if s.position == "refutes"]
        if supporting or refuting:
            cited = [*supporting[:_CITED], *refuting[:_CITED]]
            markers = tuple(passages.cite(s) for s in cited)
            best = (supporting or refuting)[0].verdict
            conflicts = conflicts_between(text, cited, passages.cite, self._dates)
            if conflicts:
                best = Verdict(label="partial", score=min(best.score, 0.5), reason=conflicts[0].text)
            return _checked(text, start, best, markers), conflicts
        together = found[:_TOGETHER]
        if len(together) > 1:
            joint = self._verifier.check(text, [evidence_text(s.hit) for s in together])
            if joint.label == "supported":
                return _checked(text, start, joint, tuple(passages.cite(s) for s in together)), []
        nearest = found[:_NEAREST]
        if not nearest:
            return _checked(text, start, Verdict(label="unsupported", score=0.0, reason="no passage was found"), ()), []
        best = nearest[0].verdict
        if best.label == "contradicted":
            # Of another time or someone else: that is no refutation.
            best = replace(best, label="unsupported")
        return _checked(text, start, best, tuple(passages.cite(s) for s in nearest)), []


class _Passages:
    """Numbers what is cited, from 1; the same words of the same passage once."""

    def __init__(self, dates: DatesOf) -> None:
        self._dates = dates
        self._numbers: dict[tuple[str, int, int], int] = {}
        self.citations: list[Citation] = []

    def cite(self, stand: Stand) -> int:
        key = (stand.hit.chunk.chunk_id, stand.start, stand.end)
        if key not in self._numbers:
            number = self._numbers[key] = len(self.citations) + 1
            doc_id = stand.hit.chunk.doc_id
            self.citations.append(
                replace(
                    citation_for(stand.hit, number, stand.start, stand.quote),
                    verdict=_LABELS.get(stand.position, "unsupported")
                    if stand.verdict.label != "partial"
                    else "partial",
                    score=stand.verdict.score,
                    date=own_date(self._dates, doc_id),
                )
            )
        return self._numbers[key]


_LABELS: dict[str, VerdictLabel] = {"supports": "supported", "refutes": "contradicted"}


def _checked(text: str, start: int, verdict: Verdict, markers: tuple[int, ...]) -> Sentence:
    return Sentence(
        text=text,
        start=start,
        end=start + len(text),
        verdict=verdict.label,
        score=verdict.score,
        reason=verdict.reason,
        citations=tuple(dict.fromkeys(markers)),
    )


def _verdict(sentences: Sequence[Sentence], conflicts: Sequence[Conflict]) -> tuple[ClaimVerdict, str]:
    claims = [s for s in sentences if s.verdict != "not_a_claim"]
    if not claims:
        return "not enough", "It states nothing that could be checked."
    refuted = [s for s in claims if s.verdict == "contradicted"]
    if refuted:
        return "refuted", _capital(refuted[0].reason)
    if conflicts:
        return "not enough", conflicts[0].text
    lacking = [s for s in claims if s.verdict != "supported"]
    if not lacking:
        return "supported", _capital(claims[0].reason) if len(claims) == 1 else "Every sentence is supported."
    if len(claims) == 1:
        return "not enough", _capital(lacking[0].reason)
    return "not enough", f"{len(lacking)} of {len(claims)} sentences are not supported; the first: {lacking[0].reason}"


def _capital(reason: str) -> str:
    return reason[:1].upper() + reason[1:] + ("" if reason.endswith((".", "”")) else ".") if reason else ""
