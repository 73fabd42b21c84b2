"""The lines of a PDF page, where they lie, and how one follows another: same line, same paragraph, new paragraph.

Pdfium gives characters in reading order with a line break wherever the pen moved. It does not say whether the break
ends a paragraph, a table row, or only the width of the column; that is told here from where the lines lie. A wrong
guess costs a space for a newline, never a character.

Coordinates are PDF points with the page as displayed, x to the right, y up; for a right-to-left line x is mirrored,
so that "starts" and "ends" mean the same for every script.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import pypdfium2.raw as pdfium_c

from ingest.parse.pdf_calls import Box, char_boxes, font_names

HYPHEN = "\ufffe"  # what pdfium puts for a hyphen at a line end
_BREAK = re.compile(f"{HYPHEN}|\r\n|\r|\n")
_BULLET = re.compile(r"[•‣◦▪●○■□◆➢►✓·∙–—]\s|[\uf0b7\uf0a7]|\(?[0-9a-zA-Z]{1,3}[.)]\s")
_NUMBER_CELL = re.compile(r"[($€£¥]*[-−–+]?\d[\d.,]*[)%]*(?:\^\w{1,4})?|[—–-]|\$|%|\)|N/[AM]", re.IGNORECASE)
_BOLD = re.compile(rb"bold|black|heavy|medi", re.IGNORECASE)


@dataclass(slots=True)
class Line:
    """One visual line. ``start``/``end`` are pdfium character indexes; ``text`` has no hyphen mark and no line end."""

    text: str
    start: int
    end: int
    hyphen: bool  # ended by a hyphen that pdfium took for a division
    x0: float = 0.0
    x1: float = 0.0
    y0: float = 0.0
    y1: float = 0.0
    size: float = 0.0
    bold: bool = False
    placed: bool = False  # whether the geometry means anything
    is_table: bool = (
        False  # the text is a table in Markdown, in place of the lines it was found in: only its height is known
    )
    running: bool = False  # a running head or foot: see ``pdf_running``
    # (start in the page's text, x0, x1) of each word, of a line that pdfium does not know: it was read by OCR.
    words: tuple[tuple[int, float, float], ...] = ()

    @property
    def height(self) -> float:
        return max(self.y1 - self.y0, 0.1)


def page_characters(textpage: Any) -> tuple[str, Sequence[int] | None]:
    """The page's text, and the pdfium index of each of its code points (None: they are the same).

    The text comes in one call, which is fast; only where pdfium leaves characters out of it (no Unicode value,
    astral planes) is it read character by character, so that offsets stay exact.
    """
    count = textpage.count_chars()
    if count <= 0:
        return "", None
    text = textpage.get_text_range(0, count)
    if len(text) == count and max(text) <= "\uffff":
        return text, None
    return _one_by_one(textpage, count)


def _one_by_one(textpage: Any, count: int) -> tuple[str, Sequence[int]]:
    characters: list[str] = []
    indexes: list[int] = []
    pending = 0  # a high surrogate that waits for its other half
    for index in range(count):
        code = pdfium_c.FPDFText_GetUnicode(textpage, index)
        if 0xD800 <= code < 0xDC00:
            pending = code
            continue
        if 0xDC00 <= code < 0xE000 and pending:
            code = 0x10000 + ((pending - 0xD800) << 10) + (code - 0xDC00)
        pending = 0
        if code == 0 or code > 0x10FFFF:
            continue  # no Unicode value at all; counted by unmapped_share
        characters.append(HYPHEN if code == 2 else chr(code))  # 2 is how the single-character call spells the hyphen
        indexes.append(index)
    return "".join(characters), indexes


def page_lines(
    textpage: Any, text: str, indexes: Sequence[int] | None, rotation: int, place: bool = True
) -> list[Line]:
    """Cuts ``text`` at its line breaks and hyphens and looks up where each line lies.

    Args:
        rotation: of the page, in quarter turns clockwise.
        place: False leaves the geometry out.
    """
    lines: list[Line] = []
    position = 0
    for match in [*_BREAK.finditer(text), None]:
        end, following = match.span() if match else (len(text), len(text))
        piece = text[position:end]
        hyphen = text[end:following] == HYPHEN
        if hyphen or (piece and not piece.isspace()):
            lines.append(Line(piece, position, end, hyphen))
        position = following
    if place:
        _place(lines, textpage, indexes, rotation)
    return lines


def _place(lines: Sequence[Line], textpage: Any, indexes: Sequence[int] | None, rotation: int) -> None:
    told = [line for line in lines if line.text.strip()]
    ends: list[int] = []  # the first and the last character of each that is not a space
    for line in told:
        first = line.end - len(line.text.lstrip())
        last = line.start + len(line.text.rstrip()) - 1
        ends += (first, last) if indexes is None else (indexes[first], indexes[last])
    boxes = placed_boxes(textpage, ends, rotation)
    fonts = font_names(textpage, ends[::2])
    looks = {name: _BOLD.search(name) is not None for name in set(fonts)}
    for line, font, a, b in zip(told, fonts, boxes[::2], boxes[1::2], strict=True):
        if a is not None and b is not None:
            _place_between(line, a, b)
            line.bold = looks[font]


def _place_between(line: Line, a: Box, b: Box) -> None:
    """Places a line by the boxes of its first and its last character."""
    line.x0, line.x1 = min(a[0], b[0]), max(a[2], b[2])
    line.y0, line.y1 = a[1], a[3]
    line.placed = abs(a[1] - b[1]) < 2 * max(a[3] - a[1], b[3] - b[1]) and line.x1 > line.x0
    if a[0] > b[0] and _is_rtl(line.text):
        line.x0, line.x1 = -line.x1, -line.x0
    line.size = line.height


def placed_boxes(textpage: Any, indexes: Sequence[int], rotation: int) -> list[Box | None]:
    """(x0, y0, x1, y1) of characters on the page as displayed; None for one that has no place."""
    boxes = char_boxes(textpage, indexes)
    return [box and turned(*box, rotation) for box in boxes] if rotation else boxes


def turned(left: float, bottom: float, right: float, top: float, rotation: int) -> Box:
    """(x0, y0, x1, y1) of a box of the page after ``rotation`` quarter turns clockwise."""
    match rotation:
        case 1:
            return bottom, -right, top, -left
        case 2:
            return -right, -top, -left, -bottom
        case 3:
            return -top, left, -bottom, right
        case _:
            return left, bottom, right, top


def usual_size(lines: Iterable[Line]) -> float:
    """The type size, to half a point, in which most of the text is set; 0 if no line has a place."""
    sizes: Counter[float] = Counter()
    for line in lines:
        if line.placed:
            sizes[round(line.size * 2) / 2] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def _is_rtl(text: str) -> bool:
    return any(unicodedata.bidirectional(c) in ("R", "AL") for c in text[:40])


def join_lines(
    lines: Sequence[Line], hyphen: Callable[[str, str], str], breaks: Set[int] = frozenset(), open_end: bool = False
) -> tuple[str, list[int]]:
    """The text of a page, and where each line begins in it.

    Args:
        hyphen: given the words before and after a hyphen at a line end, "" to join them or "-" to keep it.
        breaks: lines that begin a paragraph wherever they stand.
        open_end: the last line goes on with the next page, and so does its hyphen.
    """
    if not lines:
        return "", []
    gaps = [a.y0 - b.y1 for a, b in pairwise(lines) if a.placed and b.placed and _below(a, b)]
    usual_gap = median(g for g in gaps) if gaps else 0.0
    parts: list[str] = []
    starts: list[int] = []
    length = 0
    for i, line in enumerate(lines):
        body = line.text.strip()
        if i:
            if i in breaks:
                separator = "-\n\n" if lines[i - 1].hyphen else "\n\n"
            else:
                separator = _separator(lines, i - 1, usual_gap, hyphen)
            parts.append(separator)
            length += len(separator)
        starts.append(length)
        parts.append(body)
        length += len(body)
    if lines[-1].hyphen and not open_end:
        parts.append("-")
    return "".join(parts), starts


def _below(a: Line, b: Line) -> bool:
    return -0.5 * a.height < a.y0 - b.y1 < 1.2 * a.height and b.x0 < a.x1 and a.x0 < b.x1


def _separator(lines: Sequence[Line], i: int, usual_gap: float, hyphen: Callable[[str, str], str]) -> str:
    a, b = lines[i], lines[i + 1]
    if a.is_table or b.is_table:
        return "\n\n"
    if a.hyphen:
        return hyphen(a.text, b.text)
    if not (a.placed and b.placed):
        return "\n"
    overlap = min(a.y1, b.y1) - max(a.y0, b.y0)
    if overlap > 0.5 * min(a.height, b.height) and -a.size < b.x0 - a.x1 < 3 * a.size:
        # One visual line in two pieces: a superscript, or a change of font.
        return "" if b.x0 - a.x1 < 0.12 * a.size else " "
    gap = a.y0 - b.y1
    if gap > max(0.5 * a.height, usual_gap + 0.35 * a.height):
        return "\n\n"
    wrapped = is_wrapped(lines, i)
    if gap < -0.5 * a.height:  # the pen went up: next column, or a margin
        return " " if wrapped and goes_on(a, b) else "\n\n"
    if a.bold != b.bold or abs(a.size - b.size) > 0.12 * max(a.size, b.size):
        return " " if wrapped and goes_on(a, b) else "\n"
    if is_bullet(b) and not (wrapped and b.text.lstrip()[:1].isalnum() and goes_on(a, b)):
        return "\n"
    if not wrapped or (ends_in_number(a) and not b.text.lstrip()[:1].islower()):
        return "\n"
    if 0.8 * a.size < b.x0 - a.x0 < 5 * a.size and a.text.rstrip()[-1:] in ".:!?":
        return "\n\n"  # an indented first line
    return " "


def is_wrapped(lines: Sequence[Line], i: int) -> bool:
    """Whether the line ends because its column does: the next word would not have fitted."""
    a, b = lines[i], lines[i + 1]
    right, left, size = a.x1, a.x0, a.size
    aside, unlike = 1.5 * size, 0.15 * size
    for other in lines[max(0, i - 8) : i + 9]:  # of the same column, in type of the same size
        if (
            other.x1 > right
            and other.placed
            and -aside <= other.x0 - left <= aside
            and -unlike <= other.size - size <= unlike
        ):
            right = other.x1
    words = b.text.split(maxsplit=1)
    if not words:
        return False
    character = (a.x1 - a.x0) / max(len(a.text.strip()), 1)
    # A line of a few words is a cell, a label or a heading, however narrow the neighbours are.
    return a.x1 + (min(len(words[0]), 20) + 1) * character > right and a.x1 - a.x0 > 8 * a.size


def is_bullet(line: Line) -> bool:
    """Whether it begins as an item of a list does."""
    return _BULLET.match(line.text.lstrip()) is not None


def goes_on(a: Line, b: Line) -> bool:
    return a.text.rstrip()[-1:] not in ".:!?" and b.text.lstrip()[:1].islower()


def ends_in_number(line: Line) -> bool:
    words = line.text.split()
    return bool(words) and bool(_NUMBER_CELL.fullmatch(words[-1]))


def ends_in_figures(line: Line) -> bool:
    """Whether its last two words are figures, and another stands before them."""
    words = line.text.rsplit(maxsplit=2)
    return len(words) == 3 and all(map(_NUMBER_CELL.fullmatch, words[1:]))
