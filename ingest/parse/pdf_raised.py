"""Raised type right after a digit on a PDF page: "10⁶", the mark of a footnote at a figure. What parts the two is put into the
page's text (``raised``), as if it stood there with the place of the raised character, so that whatever is asked of the text later has it.

Pages have hundreds of figures and hardly ever such type: so of each word that begins with a digit two characters are asked of,
and their line, which is known. Raised is smaller type on a higher baseline, close after a digit. A large letter that begins a chapter
stands lower than what follows, and is more than twice as large.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pypdfium2.raw as pdfium_c

from ingest.parse.pdf_calls import Box
from ingest.parse.pdf_lines import Line, placed_boxes, turned
from ingest.parse.raised import before_raised

_FIGURE = re.compile(r"\d(?=[\w−–+-])\w*(?:[-−–+]\w+)?")
_LONGEST = 12  # characters of a mark or an exponent
_SMALLER = (0.42, 0.88)  # of the type before it
_HIGHER = (0.12, 0.75)  # of the height of the type before it, from baseline to baseline
_APART = 0.2  # of that height, at most


def raised_places(
    textpage: Any, text: str, indexes: Sequence[int] | None, lines: Sequence[Line], rotation: int
) -> dict[int, str]:
    """What is to stand before characters of ``text``, by their places in it; {} for nearly every page.

    Args:
        text, indexes, lines: as ``page_characters`` and ``page_lines`` gave them.
        rotation: of the page, in quarter turns clockwise.
    """
    look = _Look(textpage, indexes, rotation)
    found: dict[int, str] = {}
    for first, last in _doubtful(look, lines):
        for place in range(first + 1, last + 1):
            if text[place - 1].isdecimal() and look.is_raised(place - 1, place):
                found[place] = _between(look, text, place - 1, place)
                break
    for above, line in pairwise(lines):  # pdfium begins another line where it moves up
        # The size of a line is that of its first character, so nothing can be told from it of its last.
        reach = max(above.size, line.size) / 2
        if above.hyphen or not (above.placed and line.placed) or not -reach < line.x0 - above.x1 < reach:
            continue
        before = above.start + len(above.text.rstrip()) - 1
        place = line.end - len(line.text.lstrip())
        if text[before].isdecimal() and look.is_raised(before, place):
            found[place] = _between(look, text, before, place)
    return {place: between for place, between in found.items() if between}


def _doubtful(look: _Look, lines: Sequence[Line]) -> list[tuple[int, int]]:
    """(first, last) place of each word with a figure whose last character is smaller and higher than its first."""
    ends = [
        line.start + place
        for line in lines
        if line.placed
        for match in _FIGURE.finditer(line.text)
        for place in (match.start(), match.end() - 1)
    ]
    boxes = look.boxes(ends)
    return [
        (first, last)
        for first, last, a, b in zip(ends[::2], ends[1::2], boxes[::2], boxes[1::2], strict=True)
        if a is not None and b is not None and _looks_raised(a, b)
    ]


def _between(look: _Look, text: str, before: int, place: int) -> str:
    """What parts the raised characters from ``place`` on from the digit at ``before``."""
    last = place
    a, *boxes = look.boxes([before, *range(place, min(place + _LONGEST, len(text)))])
    for last, box in enumerate(boxes, place):
        if a is None or box is None or text[last].isspace() or not _looks_raised(a, box):
            break
    else:
        last = place + len(boxes)
    return before_raised(text[before], text[place:last], text[last : last + 4].lstrip()[:1])


def with_marks(text: str, indexes: Sequence[int] | None, marks: Mapping[int, str]) -> tuple[str, Sequence[int]]:
    """``text`` with each mark before its place, and the pdfium index of each character: a mark has that of the one after it."""
    parts: list[str] = []
    places: list[int] = []
    at = 0
    for place in sorted(marks):
        parts += (text[at:place], marks[place])
        places += (*range(at, place), place)
        at = place
    parts.append(text[at:])
    places += range(at, len(text))
    return "".join(parts), places if indexes is None else [indexes[place] for place in places]


class _Look:
    """Asks how characters stand to each other."""

    def __init__(self, textpage: Any, indexes: Sequence[int] | None, rotation: int) -> None:
        self._textpage, self._indexes, self._rotation = textpage, indexes, rotation

    def boxes(self, places: Sequence[int]) -> list[Box | None]:
        known = places if self._indexes is None else [self._indexes[place] for place in places]
        return placed_boxes(self._textpage, known, self._rotation)

    def is_raised(self, before: int, place: int) -> bool:
        """Whether the character at ``place`` is raised against the one at ``before``, and follows it at once."""
        a, b = self.boxes([before, place])
        if a is None or b is None or not _looks_raised(a, b):
            return False
        height = a[3] - a[1]
        rise = self._baseline(place) - self._baseline(before)
        return _HIGHER[0] * height <= rise <= _HIGHER[1] * height and -_APART * height < b[0] - a[2] < _APART * height

    def _baseline(self, place: int) -> float:
        x, y = ctypes.c_double(), ctypes.c_double()
        index = place if self._indexes is None else self._indexes[place]
        pdfium_c.FPDFText_GetCharOrigin(self._textpage, index, x, y)
        return turned(x.value, y.value, x.value, y.value, self._rotation)[1]


def _looks_raised(a: Box, b: Box) -> bool:
    height = a[3] - a[1]
    return height > 0 and _SMALLER[0] * height <= b[3] - b[1] <= _SMALLER[1] * height and b[1] > a[1]
