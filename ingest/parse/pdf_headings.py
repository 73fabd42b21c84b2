"""Headings of a PDF: from its outline if it has one, else from lines that are set larger or bolder than the body.

The second is a guess: it knows sizes and weights, not meaning. A heading that is set like the body is missed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ingest.parse.clean import clean, expand_ligatures, one_line
from ingest.parse.document import Heading, Page
from ingest.parse.pdf_lines import Line

_MAX_HEADING_CHARACTERS = 120
_MAX_LEVELS = 6
# Among headings of one look, "Item 2" stands over "Note 7", and both over "Earnings per share".
_RANKS = (
    (3, re.compile(r"part\s+[\dIVX]+\b", re.IGNORECASE)),
    (2, re.compile(r"(?:item|chapter|article)\s+[\dIVX]+", re.IGNORECASE)),
    (1, re.compile(r"(?:note|section|appendix|annex)\s+[\dIVXA-Z]+\b", re.IGNORECASE)),
)
_DOTS_AND_NUMBER = re.compile(r"(?:\.\s*){4,}\d*\s*$")


def headings_from_outline(
    outline: Sequence[tuple[int, str, int | None]], text: str, pages: Sequence[Page]
) -> tuple[Heading, ...]:
    """Headings from (level from 0, title, page index) entries, placed where the title stands on its page.

    An entry whose title is not on its page is placed at the beginning of the page; one without a page is dropped.
    """
    headings: list[Heading] = []
    last = 0
    for level, raw_title, index in outline:
        title = one_line(expand_ligatures(raw_title))
        if not title or index is None or not 0 <= index < len(pages):
            continue
        page = pages[index]
        start = _find(title, text, max(page.start, min(last, page.end)), page.end)
        if start is None:
            start = _find(title, text, page.start, page.end)
        last = page.start if start is None else start
        headings.append(Heading(level + 1, title, last))
    return tuple(sorted(headings, key=lambda h: h.start))


def _find(title: str, text: str, start: int, end: int) -> int | None:
    # White space and numbering differ between an outline and the page.
    words = [re.escape(w) for w in title.split()]
    match = re.compile(r"\s+".join(words), re.IGNORECASE).search(text, start, end)
    return match.start() if match else None


def headings_from_lines(
    pages: Sequence[Sequence[Line]], starts: Sequence[Sequence[int]], printed: Sequence[Sequence[Line]]
) -> tuple[Heading, ...]:
    """Headings from the look of the lines.

    Args:
        pages: the lines of each page that stand in the text.
        starts: where each of them begins in the document's text.
        printed: all lines of each page: they tell what the usual look is.
    """
    sizes: Counter[float] = Counter()
    bold = total = 0
    for lines in printed:
        for line in lines:
            if line.placed:
                sizes[round(line.size * 2) / 2] += len(line.text)
                bold += len(line.text) * line.bold
                total += len(line.text)
    if not total:
        return ()
    body = sizes.most_common(1)[0][0]
    bold_tells = bold < 0.3 * total
    found: list[tuple[tuple[float, bool, int], str, int]] = []
    for lines, line_starts in zip(pages, starts, strict=True):
        for i, (line, start) in enumerate(zip(lines, line_starts, strict=True)):
            if _is_heading(lines, i, body, bold_tells):
                title = one_line(expand_ligatures(clean(line.text)))
                found.append(((round(line.size * 2) / 2, line.bold, _rank(title)), title, start))
    repeated = {t for t, n in Counter(title for _, title, _ in found).items() if n > max(2, len(pages) // 4)}
    found = [f for f in found if f[1] not in repeated]  # running heads
    levels = {look: min(rank, _MAX_LEVELS) for rank, look in enumerate(sorted({f[0] for f in found}, reverse=True), 1)}
    return tuple(Heading(levels[look], title, start) for look, title, start in found)


def _rank(title: str) -> int:
    return next((rank for rank, pattern in _RANKS if pattern.match(title)), 0)


def _is_heading(lines: Sequence[Line], i: int, body: float, bold_tells: bool) -> bool:
    line = lines[i]
    text = line.text.strip()
    if (
        not line.placed
        or line.hyphen
        or line.running
        or not 3 <= len(text) <= _MAX_HEADING_CHARACTERS
        or text[-1] in ",;:.–-"
    ):
        return False
    larger = line.size >= 1.15 * body
    if not larger and not (bold_tells and line.bold and line.size >= 0.95 * body):
        return False
    letters = sum(c.isalpha() for c in text)
    if (
        letters < 0.5 * len(text)
        or not (text[0].isupper() or text[0].isdigit() or text[0] in "§(")
        or _DOTS_AND_NUMBER.search(text)
    ):
        return False
    # A heading has the line to itself: a neighbour at its height makes it a cell of a table or a run of bold words.
    for j in (i - 1, i + 1):
        if 0 <= j < len(lines) and lines[j].placed:
            other = lines[j]
            if min(line.y1, other.y1) - max(line.y0, other.y0) > 0.3 * line.height:
                return False
    return larger or _stands_apart(lines, i)


def _stands_apart(lines: Sequence[Line], i: int) -> bool:
    """Bold at body size: only with white space above, and with text (not another such line's columns) below."""
    line = lines[i]
    previous = lines[i - 1] if i else None
    if (
        previous is not None
        and previous.placed
        and 0 <= previous.y0 - line.y1 < 0.4 * line.height
        and not previous.bold
    ):
        return False
    following = lines[i + 1] if i + 1 < len(lines) else None
    # Column heads of a table are centred over it: what follows starts far to the left, or is bold as well.
    return following is not None and following.placed and following.x0 > line.x0 - 3 * line.size
