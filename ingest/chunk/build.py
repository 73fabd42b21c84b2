"""Chunks from ranges: exact text, token counts, page and heading path; what is still too long is halved."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import chain

from core.ids import chunk_id
from core.protocols import Tokenizer
from core.types import Chunk, Document
from ingest.chunk.atoms import joins
from ingest.parse.document import Heading

_MAX_PATH = 8


def build_chunks(
    document: Document,
    headings: Sequence[Heading],
    ranges: Sequence[tuple[int, int]],
    tokenizer: Tokenizer,
    max_tokens: int,
    kind: str,
    version: str,
) -> list[Chunk]:
    """One chunk per range, in order; ``n_tokens`` is the tokenizer's own count of the chunk's text."""
    counted = _within_budget(document.text, ranges, tokenizer, max_tokens)
    page_starts = [page.start for page in document.pages]
    paths = _HeadingPaths(headings)
    chunks = []
    for start, end, tokens in counted:
        page = bisect_right(page_starts, start) - 1
        chunks.append(
            Chunk(
                chunk_id=chunk_id(document.doc_id, document.sha256, kind, start, end, version),
                doc_id=document.doc_id,
                text=document.text[start:end],
                start=start,
                end=end,
                n_tokens=tokens,
                page=document.pages[page].number if page >= 0 else None,
                heading_path=paths.at(start),
            )
        )
    return chunks


def _within_budget(
    text: str, ranges: Sequence[tuple[int, int]], tokenizer: Tokenizer, max_tokens: int
) -> list[tuple[int, int, int]]:
    """(start, end, tokens), halving what the tokenizer counts over the budget.

    Rare: the cost of a range is the sum over its words as they stand in the document, and a tokenizer may cut a
    piece otherwise when it stands alone.
    """
    done: list[tuple[int, int, int]] = []
    pending = list(ranges)
    while pending:
        counts = tokenizer.count([text[a:b] for a, b in pending])
        again: list[tuple[int, int]] = []
        for (a, b), tokens in zip(pending, counts, strict=True):
            cut = _middle(text, a, b) if tokens > max_tokens else None
            if cut is None:
                done.append((a, b, tokens))
            else:
                again += [_stripped(text, a, cut), _stripped(text, cut, b)]
        pending = [(a, b) for a, b in again if b > a]
    return sorted(done)


def _middle(text: str, a: int, b: int) -> int | None:
    """A place near the middle to cut at: after white space if there is any, else between two letters."""
    middle = (a + b) // 2
    for reach in range((b - a) // 4):
        for i in (middle - reach, middle + reach):
            if a < i < b and text[i - 1].isspace():
                return i
    for i in chain(range(middle, b), range(middle - 1, a, -1)):
        if a < i < b and not joins(text, i):
            return i
    return middle if a < middle < b else None


def _stripped(text: str, a: int, b: int) -> tuple[int, int]:
    while a < b and text[a].isspace():
        a += 1
    while b > a and text[b - 1].isspace():
        b -= 1
    return a, b


class _HeadingPaths:
    """The headings over an offset, outermost first. Asked with growing offsets or not, it costs a bisection."""

    def __init__(self, headings: Sequence[Heading]) -> None:
        self._starts: list[int] = []
        self._paths: list[tuple[str, ...]] = []
        open_headings: list[Heading] = []
        for heading in sorted(headings, key=lambda h: h.start):
            while open_headings and open_headings[-1].level >= heading.level:
                open_headings.pop()
            open_headings.append(heading)
            self._starts.append(heading.start)
            self._paths.append(tuple(h.text for h in open_headings[-_MAX_PATH:]))

    def at(self, offset: int) -> tuple[str, ...]:
        index = bisect_right(self._starts, offset) - 1
        return self._paths[index] if index >= 0 else ()
