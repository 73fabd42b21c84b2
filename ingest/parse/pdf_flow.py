"""How the text of a PDF goes on from page to page, and the notes at the foot of a page that would part it.

A page's span of the text is one piece, so that a place in the text tells the page. What stands at the foot of a page below a
paragraph that goes on therefore comes before that paragraph. It knows lines and where they lie.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ingest.parse.pdf_lines import Line, ends_in_number, goes_on, is_bullet, join_lines, usual_size

_SMALLER = 0.92  # of the text's size: notes are set smaller
_NARROW = 8  # of the type's size: a narrower line is a cell, a label or a heading
_MARK = re.compile(r"\s*(?:\(?\d{1,3}\)?[.:]?|[*†‡§¶‖#]{1,3}|\(?[a-z]\)|[⁰¹²³⁴-⁹]{1,3})(?=\s*\S|\s*$)")
_DIVIDED = re.compile(r"[^\W\d_][-\u2010]$")
_NOTED = re.compile(r"[^\W\d][.:!?][\"'”’»)\]]*(?:\d{1,3}|[*†‡§¶]{1,3})$")  # a sentence's end and the mark of a note


def notes_from(lines: Sequence[Line]) -> int:
    """Where the footnotes of a page begin: lines at its end, in smaller type, the first of them with a mark.

    Args:
        lines: of a page in reading order, without running feet.

    Returns:
        An index of ``lines``; their number if there are no notes.
    """
    usual = usual_size(lines)
    first = found = len(lines)
    for i in range(len(lines) - 1, 0, -1):
        line = lines[i]
        if not line.placed or line.is_table or line.size > _SMALLER * usual:
            break
        if i + 1 < len(lines) and line.y0 < lines[i + 1].y0 - 0.5 * line.height:
            break  # a column to the left
        first = i
        if _MARK.match(line.text):
            found = first
    if found < len(lines) and lines[found].y1 > lines[found - 1].y0 + 0.5 * lines[found].height:
        return len(lines)  # marks in the text that a program draws after all else
    return found


def over_the_page(before: Sequence[Line], after: Sequence[Line], hyphen: Callable[[str, str], str]) -> str | None:
    """What stands between two pages if a paragraph goes on over them: a space, a hyphen or nothing; None if none does.

    Args:
        before, after: the lines of both pages, without what is no part of the flow.
        hyphen: see ``join_lines``.
    """
    if not before or not after:
        return None
    a, b = before[-1], after[0]
    if not (a.placed and b.placed) or a.is_table or b.is_table:
        return None
    if a.bold != b.bold or abs(a.size - b.size) > 0.12 * max(a.size, b.size):
        return None
    begin, end = b.text.lstrip(), a.text.rstrip()
    if _DIVIDED.search(end) and begin[:1].islower():  # pdfium knows a division by the next line alone
        a.text, a.hyphen = end[:-1], True
    if a.hyphen:
        return hyphen(a.text, b.text) if begin[:1].isalpha() else None
    if is_bullet(b) or _NOTED.search(end) or ends_in_number(a) or a.x1 - a.x0 < _NARROW * a.size:
        return None
    # The line need not be full: what was printed from the web broke off where its own page ended. A capital overleaf
    # tells nothing: as often as a name it is the text under a title at the foot of the page.
    return " " if goes_on(a, b) else None


def paragraph_start(lines: Sequence[Line], hyphen: Callable[[str, str], str]) -> int:
    """The line with which the last paragraph of a page begins."""
    text, starts = join_lines(lines, hyphen)
    at = max(text.rfind("\n", 0, starts[-1]) + 1, 0)
    return next(i for i, start in enumerate(starts) if start >= at)
