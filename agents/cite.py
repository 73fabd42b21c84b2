"""Citation markers: how a model writes them, and that each one names a passage that was in the context.

A model's markers name passages by their place in the prompt. In the answer each pair of passage and quoted span has a
number of its own, counted from 1 as they appear, so that [2] always opens the same words. A marker that names no
passage is taken out and counted; it never becomes a citation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agents.evidence import best_span, citation_for, evidence_text
from core.protocols import Verifier
from core.types import Citation, Hit

MARKER = re.compile(
    r"[\[【]\s*(?:(?:passages?|sources?|documents?|docs?|refs?|citations?|see|p)\b\.?\s*)?[#^]?"
    r"(?P<list>\d{1,4}(?:\s*(?:[,;&]|and|-|–|†\S*)\s*(?:passage\s*)?\d{1,4})*)[^\]】\d]{0,12}[\]】]",
    re.IGNORECASE,
)
OPENING = "[【"
CLOSING = "]】"
MAX_MARKER = 48  # characters; an opening bracket without its end within these is text
_MAX_RANGE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """A passage and the span of it that is quoted, in document offsets."""

    hit: Hit
    start: int
    end: int

    @property
    def text(self) -> str:
        chunk = self.hit.chunk
        return chunk.text[self.start - chunk.start : self.end - chunk.start]


def numbers_in(marker: str) -> list[int]:
    """The numbers of one marker as ``MARKER`` matches it: "[1, 3-5]" is 1, 3, 4, 5. No order, no repeats."""
    m = MARKER.fullmatch(marker)
    if m is None:
        return []
    found: list[int] = []
    for part in re.split(r"[,;&]|\band\b", m["list"], flags=re.IGNORECASE):
        ends = [int(n) for n in re.findall(r"\d+", part)]
        if len(ends) == 2 and re.search(r"[-–]", part) and ends[0] <= ends[1] <= ends[0] + _MAX_RANGE:
            found += range(ends[0], ends[1] + 1)
        else:
            found += ends
    return list(dict.fromkeys(found))


class Bibliography:
    """Numbers what is cited in one answer. ``hits[i]`` is passage i + 1 of the prompt."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self._hits = hits
        self._numbers: dict[tuple[str, int, int], int] = {}
        self._quoted: list[Quoted] = []

    def known(self, passage: int) -> bool:
        return 1 <= passage <= len(self._hits)

    def cite(self, passage: int, claim: str) -> int:
        """The answer's number for what ``passage`` says about ``claim``."""
        hit = self._hits[passage - 1]
        a, b = best_span(claim, hit.chunk.text)
        quoted = Quoted(hit=hit, start=hit.chunk.start + a, end=hit.chunk.start + b)
        key = (hit.chunk.chunk_id, quoted.start, quoted.end)
        if key not in self._numbers:
            self._quoted.append(quoted)
            self._numbers[key] = len(self._quoted)
        return self._numbers[key]

    def quoted(self, marker: int) -> Quoted:
        return self._quoted[marker - 1]

    def citation(self, marker: int) -> Citation:
        quoted = self.quoted(marker)
        return citation_for(quoted.hit, marker, quoted.start, quoted.text)


def attribute(claim: str, hits: Sequence[Hit], verifier: Verifier, limit: int = 2) -> list[int]:
    """Passages (1-based) that support a sentence which names none; at most ``limit``, best first.

    By the verifier's verdict, never by similarity alone: an empty list leaves the sentence unsupported.
    """
    supporting: list[tuple[float, int]] = []
    for number, hit in enumerate(hits, 1):
        verdict = verifier.check(claim, [evidence_text(hit)])
        if verdict.label == "not_a_claim":
            return []
        if verdict.label == "supported":
            supporting.append((-verdict.score, number))
    return [number for _, number in sorted(supporting)[:limit]]
