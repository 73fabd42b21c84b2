"""From found passages to the sentences that may be quoted.

Passages of one document that touch or overlap are joined by their offsets before they are cut into sentences, so that a
sentence which a chunk boundary cut in two is whole again. Every offset is into the stored text of the document.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from core.protocols import Tokenizer
from core.text import fold, sentence_spans, words
from core.types import Hit

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_HEADING = re.compile(r"#{1,6}\s")
_EMPHASIS = " \t\n#*_"
_QUOTES = "\"'“”„«»‹›‘’"
_QUESTION_MARKS = ("?", "？", "؟")
# What is marked as a heading, or is one, and closes so is a comment of a program, or a sentence that was made a heading.
_FULL_STOPS = (".", "!", "。", "！")
# "Annual report of Alby Inc."
_CLOSES_NOTHING = re.compile(r"\b(?:inc|ltd|co|corp|bros|jr|sr|etc|al|vol|no)\.$", re.IGNORECASE)
_LEAST_WORDS = 4  # of such a sentence; "Orders." and "Version 4.2." state nothing

MAX_CANDIDATES = 160  # sentences per question; hits come best first, so the far end is what is left out

# Word pieces read for one question. Reading is most of the time that an answer takes: 1,000 are a fifth of a second on
# two cores in fp32. docs/results/extract.md was made with this bound.
MAX_READ_TOKENS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A run of stored text that one or more hits cover without a gap; ``hits`` are theirs, best first."""

    doc_id: str
    start: int  # offset of text[0] in the document
    text: str
    hits: tuple[Hit, ...]

    @property
    def rank(self) -> int:
        """The rank of its best hit, from 1."""
        return self.hits[0].rank

    def hit_at(self, start: int, end: int) -> Hit:
        """The hit that holds document offsets ``start`` to ``end``; else the one that holds most of them."""
        return max(self.hits, key=lambda h: (min(end, h.chunk.end) - max(start, h.chunk.start), -h.rank))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One sentence: ``region.text[start:end] == text``."""

    region: int  # index into the regions
    start: int  # within the region
    end: int
    text: str
    whole: bool  # False where the edge of the region may have cut it
    paragraph: int = 0  # of its region, between blank lines
    says: bool = True  # False of what states nothing, to be read and not quoted: a heading, a title, a question


def affordable(hits: Sequence[Hit], tokenizer: Tokenizer, max_tokens: int = MAX_READ_TOKENS) -> list[Hit]:
    """The first hits that together have at most ``max_tokens`` word pieces; at least one."""
    kept: list[Hit] = []
    used = 0
    for hit, size in zip(hits, tokenizer.count([h.chunk.text for h in hits]) if hits else [], strict=True):
        used += size
        if kept and used > max_tokens:
            break
        kept.append(hit)
    return kept


def regions(hits: Sequence[Hit]) -> list[Region]:
    """Joins what touches; regions come in the order of their best hits."""
    by_document: dict[str, list[Hit]] = {}
    for hit in hits:
        by_document.setdefault(hit.chunk.doc_id, []).append(hit)
    joined: list[Region] = []
    for doc_id, of_document in by_document.items():
        run: list[Hit] = []
        text, start = "", 0
        for hit in sorted(of_document, key=lambda h: (h.chunk.start, h.chunk.end)):
            chunk = hit.chunk
            end = start + len(text)
            if run and chunk.start <= end:
                text += chunk.text[end - chunk.start :] if chunk.end > end else ""
                run.append(hit)
                continue
            if run:
                joined.append(_region(doc_id, start, text, run))
            run, text, start = [hit], chunk.text, chunk.start
        joined.append(_region(doc_id, start, text, run))
    return sorted(joined, key=lambda r: r.rank)


def _region(doc_id: str, start: int, text: str, hits: list[Hit]) -> Region:
    return Region(doc_id=doc_id, start=start, text=text, hits=tuple(sorted(hits, key=lambda h: h.rank)))


def candidates(found: Sequence[Region], limit: int = MAX_CANDIDATES) -> list[Candidate]:
    """The sentences of all regions that say something, at most ``limit``; those of better regions are kept."""
    kept: list[Candidate] = []
    for index, region in enumerate(found):
        spans = sentence_spans(region.text)
        blank = [m.start() for m in _BLANK_LINE.finditer(region.text)]
        heads = {_bare(head) for hit in region.hits for head in (hit.title, *hit.chunk.heading_path)}
        for position, (a, b) in enumerate(spans):
            text = region.text[a:b]
            if sum(c.isalnum() for c in text) < 2:
                continue
            first_cut = position == 0 and region.start > 0 and text[0].islower()
            last_cut = position == len(spans) - 1 and b == len(region.text) and text[-1].isalnum()
            whole = not (first_cut or last_cut)
            kept.append(
                Candidate(
                    region=index,
                    start=a,
                    end=b,
                    text=text,
                    whole=whole,
                    paragraph=bisect_left(blank, a),
                    says=_states(text, heads),
                )
            )
            if len(kept) == limit:
                return kept
    return kept


def _states(text: str, heads: Collection[str]) -> bool:
    """Whether a sentence states something, whatever it is.

    Args:
        text: the sentence.
        heads: title and headings of where it stands, bare.
    """
    if (_bare(text) in heads or _HEADING.match(text)) and not _closes(text):
        return False
    asked = text.strip(_EMPHASIS)
    # 'Her last words were "Why me?"' states something, "“Why me?”" does not.
    if asked[:1] in _QUOTES:
        asked = asked.rstrip(_QUOTES)
    return not asked.endswith(_QUESTION_MARKS)


def _closes(text: str) -> bool:
    said = text.rstrip(_EMPHASIS)
    closed = said.endswith(_FULL_STOPS) and _CLOSES_NOTHING.search(said) is None
    return closed and len(words(said)) >= _LEAST_WORDS


def _bare(text: str) -> str:
    return fold(text).strip(_EMPHASIS)
