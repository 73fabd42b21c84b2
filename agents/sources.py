"""What each found passage says to one claim: it supports it, says otherwise, or neither; and where sources disagree.

A passage says otherwise only if it speaks of the same: another number beside another date or in another quarter is another
occasion, and a passage that lacks a name of the claim speaks of someone else. Knows claims and passages, not where either comes from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agents.evidence import best_span, evidence_text
from agents.verify.dates import dates
from agents.verify.numbers import quantities
from agents.verify.rules import examine
from core.ids import ATTACHED
from core.protocols import Verifier
from core.types import Conflict, Hit, Verdict
from core.wording import shortened, tell_apart

Position: TypeAlias = Literal["supports", "refutes", "neither"]


@dataclass(frozen=True, slots=True)
class SourceDate:
    """A day of a document as YYYY-MM-DD: what it says of itself, or, for want of that, when it was added."""

    day: str
    added: bool = False

    @property
    def own(self) -> str | None:
        return None if self.added else self.day

    def __str__(self) -> str:
        return f"added {self.day}" if self.added else self.day


DatesOf: TypeAlias = Callable[[Sequence[str]], Mapping[str, SourceDate]]  # of documents, where known


def own_date(dates_of: DatesOf, doc_id: str) -> str | None:
    """The date that a document says of itself."""
    known = dates_of([doc_id]).get(doc_id)
    return known.own if known else None


_SAYS_INSTEAD = re.compile(r"the passage says (?P<instead>.+?), not (?P<claimed>.+)")
_SHORT = 120  # characters of a quote within a sentence of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """One passage before one claim. ``start`` and ``end`` are document offsets of the part that speaks of it."""

    hit: Hit
    start: int
    end: int
    position: Position
    verdict: Verdict

    @property
    def quote(self) -> str:
        chunk = self.hit.chunk
        return chunk.text[self.start - chunk.start : self.end - chunk.start]


def no_dates(doc_ids: Sequence[str]) -> Mapping[str, SourceDate]:
    """Where documents are not known to have dates."""
    del doc_ids
    return {}


def stand_of(claim: str, hit: Hit, verifier: Verifier) -> Stand:
    """What one passage says to ``claim``."""
    a, b = best_span(claim, hit.chunk.text)
    verdict = verifier.check(claim, [evidence_text(hit)])
    position: Position = "neither"
    if verdict.label == "supported":
        position = "supports"
    elif verdict.label == "contradicted" and speaks_of_the_same(claim, hit):
        position = "refutes"
    return Stand(hit=hit, start=hit.chunk.start + a, end=hit.chunk.start + b, position=position, verdict=verdict)


def stands(claim: str, hits: Sequence[Hit], verifier: Verifier) -> list[Stand]:
    """One per hit, in their order."""
    return [stand_of(claim, hit, verifier) for hit in hits]


def speaks_of_the_same(claim: str, hit: Hit) -> bool:
    """Whether what differs is one thing, said of the same names at the same time."""
    findings = examine(claim, evidence_text(hit)).findings
    if any(f.outcome == "missing" and f.rule in ("name", "date", "ordinal") for f in findings):
        return False
    differing = {f.rule for f in findings if f.outcome == "conflict"}
    return not {"date", "number"} <= differing


def conflict_text(
    claim: str, on_one_side: Stand, on_the_other: Stand, numbers: tuple[int, int], dates_of: DatesOf
) -> str:
    """ "A" (2021) says 12 [1]; "B" (2024) says 15 [2].

    Args:
        claim: what ``on_one_side`` supports and ``on_the_other`` refutes.
        numbers: the marker of either.
        dates_of: the documents' dates, shown where known.
    """
    known = dates_of([on_one_side.hit.chunk.doc_id, on_the_other.hit.chunk.doc_id])
    instead = _SAYS_INSTEAD.search(on_the_other.verdict.reason)
    said = (
        (instead["claimed"].partition(";")[0], instead["instead"])
        if instead
        else (_quoted(on_one_side.quote), _quoted(on_the_other.quote))
    )
    apart = tell_apart([_known_of(side.hit) for side in (on_one_side, on_the_other)])
    sides = [
        f"{_named(side.hit, known, which)} says {words} [{number}]"
        for side, words, number, which in zip((on_one_side, on_the_other), said, numbers, apart, strict=True)
    ]
    return f"Sources disagree: {'; '.join(sides)}."


def conflicts_between(
    claim: str, found: Sequence[Stand], number_of: Callable[[Stand], int], dates_of: DatesOf
) -> list[Conflict]:
    """One conflict per document that refutes what the best supporting passage says of ``claim``."""
    supporting = next((s for s in found if s.position == "supports"), None)
    if supporting is None:
        return []
    against: dict[str, Stand] = {}
    for stand in found:
        if stand.position == "refutes":
            against.setdefault(stand.hit.chunk.doc_id, stand)
    made = []
    for stand in against.values():
        numbers = (number_of(supporting), number_of(stand))
        made.append(Conflict(text=conflict_text(claim, supporting, stand, numbers, dates_of), citations=numbers))
    return made


def disputed(claim: str, stated_by: Hit, hits: Sequence[Hit], verifier: Verifier) -> list[Stand]:
    """Passages of other documents than ``stated_by`` that say otherwise; one per document. A claim without a number or a
    date is not looked into: nothing else is told for sure."""
    if not quantities(claim) and not dates(claim):
        return []
    against: dict[str, Stand] = {}
    for hit in hits:
        doc_id = hit.chunk.doc_id
        # The rules first: what speaks of something else refutes nothing, and the verifier need not read it.
        if doc_id != stated_by.chunk.doc_id and doc_id not in against and speaks_of_the_same(claim, hit):
            stand = stand_of(claim, hit, verifier)
            if stand.position == "refutes":
                against[doc_id] = stand
    return list(against.values())


def stated(claim: str, hit: Hit, verdict: Verdict) -> Stand:
    """``hit`` as the passage that supports ``claim``."""
    a, b = best_span(claim, hit.chunk.text)
    return Stand(hit=hit, start=hit.chunk.start + a, end=hit.chunk.start + b, position="supports", verdict=verdict)


def _known_of(hit: Hit) -> tuple[str, str, str]:
    """Title, uri and collection, without the collection of a conversation's files: nobody gave it that name."""
    return hit.title, hit.uri, "" if hit.collection.startswith(ATTACHED) else hit.collection


def _named(hit: Hit, dates: Mapping[str, SourceDate], which: str) -> str:
    date = dates.get(hit.chunk.doc_id)
    told = ", ".join(part for part in (which, str(date) if date else "") if part)
    return f"“{' '.join(hit.title.split())}”" + (f" ({told})" if told else "")


def _quoted(text: str) -> str:
    return f"“{shortened(text, _SHORT)}”"
