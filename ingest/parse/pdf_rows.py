"""The words of a PDF page gathered into rows, and each row cut into segments where the gap is wider than a space.

Coordinates are those of ``pdf_lines``. It knows what a figure looks like, not what a table is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from ingest.parse.clean import plain
from ingest.parse.pdf_lines import Line, placed_boxes

_GAP = 0.8  # of the type size: a wider gap parts two cells
_ROWS_BACK = 6  # a line may join a row this far back in the stream: header cells of several lines come one by one
_HEADER_REACH = 10  # type sizes: a line this far up may belong to the header that is being drawn
_WORD = re.compile(r"\S+")
VALUE = re.compile(
    r"[-−–+(<>~≈±]*\s*(?:[A-Z]{0,3}[$€£¥])?\s*[-−–+(]*\d[\d.,:/'’ ]*\d?(?:[eE][-+]?\d+)?\s*[)%‰x°]*\s*(?:bps?|pts?|ppts?|pp|[)%])?(?:\s?\^\w{1,4})?"
    r"|(?:[$€£¥]\s*)?[—–-]+\s*%?|[$€£¥]|N/?[AM]|n/?[am]|\*|%",
)
_YEAR = re.compile(r"(?:FY|Q[1-4]|H[12])?\s*'?(?:19|20)\d\d\s*(?:Q[1-4]|E|\(\d\)|\^\w)?")
_CURRENCY = re.compile(r"[A-Z]{0,3}[$€£¥]")
_OPENS = re.compile(r"[$€£¥(]+")
_CLOSES = re.compile(r"[)%‰:;]+")
_BULLET = re.compile(r"[•‣◦▪●○■□◆➢►✓·∙–—*\uf0b7\uf0a7-]|\(?[0-9a-zA-Z]{1,3}[.)]")


@dataclass(slots=True)
class Word:
    text: str
    start: int  # index in the page's text
    x0: float
    x1: float


class Segment:
    """Words of a row with no wide gap between them: a cell, or a part of one. What is asked of it often is worked out once."""

    __slots__ = ("is_value", "text", "words", "x0", "x1")

    def __init__(self, words: list[Word]) -> None:
        self.words = words
        self.text = " ".join([w.text for w in words])
        self.x0, self.x1 = words[0].x0, words[-1].x1
        self.is_value = VALUE.fullmatch(self.text) is not None and not self.text.endswith(",")

    @property
    def is_figure(self) -> bool:
        """A value that is neither a year nor a mere sign ("%" may stand over a column)."""
        return self.is_value and not self.is_year and any(c.isdigit() for c in self.text)

    @property
    def is_year(self) -> bool:
        return _YEAR.fullmatch(self.text) is not None


@dataclass(slots=True)
class Row:
    """What stands at one height. ``lines`` are indexes of the page's lines."""

    y0: float
    y1: float
    size: float
    lines: list[int]
    words: list[Word] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    bold: bool = False

    @property
    def x0(self) -> float:
        return self.segments[0].x0

    @property
    def x1(self) -> float:
        return self.segments[-1].x1

    @property
    def text(self) -> str:
        return " ".join(s.text for s in self.segments)

    @property
    def values(self) -> list[Segment]:
        return [s for s in self.segments if s.is_value]


def page_rows(
    textpage: Any, lines: Sequence[Line], indexes: Sequence[int] | None, rotation: int, used: Set[int] = frozenset()
) -> list[Row]:
    """The lines of a page gathered by height, cut into segments, in the order of the stream; ``used`` are left out."""
    rows: list[Row] = []
    for number, line in enumerate(lines):
        words = line_words(textpage, line, indexes, rotation) if line.placed and number not in used else []
        if not words:
            # What has no place, or belongs to another table, ends every table.
            rows.append(Row(0.0, 0.0, 1.0, [number]))
            continue
        row = _row_beside(rows, line, words)
        if row is None:
            row = Row(line.y0, line.y1, line.size, [], bold=line.bold)
            rows.append(row)
        row.lines.append(number)
        row.words += words
    for row in rows:
        row.words.sort(key=lambda w: w.x0)
        row.segments = _segments(row)
    return _top_down(rows)


def _top_down(rows: list[Row]) -> list[Row]:
    """Puts rows that come after one just under them before it: header cells are often drawn one by one."""
    for i in range(1, len(rows)):
        j = i
        while (
            j > max(0, i - _ROWS_BACK)
            and rows[j].segments
            and rows[j - 1].segments
            and 0.3 * rows[j].size < rows[j].y0 - rows[j - 1].y0 < _HEADER_REACH * rows[j].size
        ):
            rows[j - 1], rows[j] = rows[j], rows[j - 1]
            j -= 1
    return rows


def line_words(textpage: Any, line: Line, indexes: Sequence[int] | None, rotation: int) -> list[Word]:
    """The words of ``line`` and where they stand; [] if one of them cannot be placed."""
    spans = [match.span() for match in _WORD.finditer(line.text)]
    known = {start: (x0, x1) for start, x0, x1 in line.words}
    places = (
        [known.get(line.start + a) for a, _ in spans]
        if known
        else _word_places(textpage, line, spans, indexes, rotation)
    )
    words: list[Word] = []
    for (a, b), place in zip(spans, places, strict=True):
        if place is None or place[1] < place[0]:
            return []
        words.append(Word(plain(line.text[a:b]), line.start + a, *place))
    if words and line.hyphen:
        words[-1].text += "-"
    return words


def _word_places(
    textpage: Any, line: Line, spans: Sequence[tuple[int, int]], indexes: Sequence[int] | None, rotation: int
) -> list[tuple[float, float] | None]:
    """Where the words of ``line`` that lie at ``spans`` of its text begin and end on the page."""
    ends = [line.start + place for a, b in spans for place in (a, b - 1)]
    boxes = placed_boxes(textpage, ends if indexes is None else [indexes[place] for place in ends], rotation)
    return [(a[0], b[2]) if a and b else None for a, b in zip(boxes[::2], boxes[1::2], strict=True)]


def _row_beside(rows: Sequence[Row], line: Line, words: Sequence[Word]) -> Row | None:
    """The row at the height of ``line`` that has room for its words, if there is one not far back."""
    for row in reversed(rows[-_ROWS_BACK:]):
        if min(row.y1, line.y1) - max(row.y0, line.y0) > 0.5 * min(row.y1 - row.y0, line.height):
            free = all(new.x0 > old.x1 - 1 or new.x1 < old.x0 + 1 for new in words for old in row.words)
            return row if free else None
    return None


def _segments(row: Row) -> list[Segment]:
    found: list[list[Word]] = []
    for word in row.words:
        # The "$" of the next column may stand closer to this figure than to its own.
        starts = found and _CURRENCY.fullmatch(word.text) and VALUE.fullmatch(found[-1][-1].text)
        if found and not starts and word.x0 - found[-1][-1].x1 <= _GAP * row.size:
            found[-1].append(word)
        else:
            found.append([word])
    # "$" belongs to the figure after it and ")" or "%" to the one before, however far away they are set.
    joined: list[list[Word]] = []
    for words in found:
        if joined and (_opens(joined) or _closes(joined[-1], words, row.size)):
            joined[-1] += words
        else:
            joined.append(words)
    return [Segment(words) for words in joined]


def _opens(joined: Sequence[Sequence[Word]]) -> bool:
    """Whether the last cell is a sign, or the first a bullet, that belongs to what comes after it."""
    if len(joined[-1]) > 1:
        return False
    text = joined[-1][0].text
    return _OPENS.fullmatch(text) is not None or (len(joined) == 1 and _BULLET.fullmatch(text) is not None)


def _closes(before: Sequence[Word], words: Sequence[Word], size: float) -> bool:
    return len(words) == 1 and _CLOSES.fullmatch(words[0].text) is not None and words[0].x0 - before[-1].x1 < 2 * size


def follows(above: Row, below: Row) -> bool:
    """Whether ``below`` lies under ``above``, not far, in type of about the same size."""
    if not above.segments or not below.segments:
        return False
    gap = above.y0 - below.y1
    height = max(above.y1 - above.y0, below.y1 - below.y0)
    return -0.7 * height < gap < 2.5 * height


def is_prose(row: Row) -> bool:
    return len(row.text) > 110 or (len(row.text) > 70 and row.text.rstrip()[-1:] in ".;")


def is_data(row: Row) -> bool:
    return len(row.segments) >= 2 and any(s.is_value and not s.is_year for s in row.segments[1:])
