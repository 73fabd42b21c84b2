"""Running heads and feet of a PDF: what stands outside of the text, at the same height, on page after page.

A line is one only if all of this holds, so that nothing of the text is taken for it:

- nothing but other such lines lies above it (or below it), and there is white space between it and the text;
- it is not part of a table, and set no larger than the text;
- the same stands at the same height on at least two of the four nearest pages, or of the four nearest on the same side
  of a book. Numbers may differ, if they go up with the pages; a line with such a number may stand at any height.

It knows lines and where they lie, not what they mean: "Item 1" over forty pages is a running head as well.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ingest.parse.clean import one_line, plain
from ingest.parse.pdf_lines import Line, usual_size

Found: TypeAlias = dict[int, "_Outer"]  # by the line's place on its page

_MAX_ROWS = 4  # at the top of a page, and at its foot
_MAX_CHARACTERS = 200
_MAX_PIECES = 3  # side by side; more are the head of a table
_SAME_HEIGHT_PT = 2.0
_SAME_SIZE_PT = 0.6
_LARGEST = 1.1  # of the text's size
_SPACE = 0.5  # of the line's height, between it and the text
_AGREEING = 2
_NEAREST = ((-2, -1, 1, 2), (-4, -2, 2, 4))  # pages on both sides; pages of the same side
_MAX_TOLD = 10_000  # characters of all of them together
_NUMBER = re.compile(r"\d+|\b[ivxlc]{1,8}\b")  # or it may be one: "civil" has no value
_ROMAN = re.compile("(?:c|xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})")
_ROMAN_VALUES = {"c": 100, "xc": 90, "l": 50, "xl": 40, "x": 10, "ix": 9, "v": 5, "iv": 4, "i": 1}


@dataclass(frozen=True, slots=True)
class _Outer:
    """A line that lies outermost on its page: what stands between its numbers, and these."""

    line: Line
    words: tuple[str, ...]
    numbers: tuple[str, ...]


@dataclass(slots=True)
class Running:
    """``lines`` are, for each page, the indexes of its running lines. ``name_of`` tells which have the same text: by
    (page's index, line's index), with "#" for a number that goes up with the pages. ``ends`` are the texts of the first
    and of the last line of each name."""

    lines: list[frozenset[int]]
    name_of: dict[tuple[int, int], str] = field(default_factory=dict)
    ends: dict[str, tuple[str, str]] = field(default_factory=dict)

    def told(self) -> str:
        """All of them on one line, each once, with the first and the last number: "Annual report · 1–46". "" if there are none."""
        return one_line(" · ".join(_between(*ends) for ends in self.ends.values()), _MAX_TOLD)


def find_running(pages: Sequence[Sequence[Line]]) -> Running:
    """The running heads and feet of consecutive pages.

    Args:
        pages: the lines of each page; [] for a page that shall keep all of its lines.
    """
    largest = _LARGEST * usual_size(line for lines in pages for line in lines)
    rows = [_rows(lines) for lines in pages]
    outer = [_outermost(lines, high, largest) for lines, high in zip(pages, rows, strict=True)]
    names: list[dict[int, str]] = [
        {i: name for i, one in found.items() if (name := _name(one, outer, n))} for n, found in enumerate(outer)
    ]
    running = Running([_set_apart(*page) for page in zip(pages, rows, names, strict=True)])
    for n, indexes in enumerate(running.lines):
        for i in sorted(indexes):
            name, text = names[n][i], _text(pages[n][i])
            running.name_of[n, i] = name
            running.ends[name] = (running.ends.get(name, (text, text))[0], text)
    return running


def _outermost(lines: Sequence[Line], rows: Sequence[Sequence[int]], largest: float) -> Found:
    """Lines of the first and the last few rows that may be running."""
    return {
        i: _Outer(lines[i], tuple(_NUMBER.split(text)), tuple(_NUMBER.findall(text)))
        for row in {id(row): row for row in (*rows[:_MAX_ROWS], *rows[-_MAX_ROWS:])}.values()
        for i in row
        if len(row) <= _MAX_PIECES
        and not lines[i].is_table
        and lines[i].size <= largest
        and len(text := _text(lines[i])) <= _MAX_CHARACTERS
        and not lines[i].hyphen
    }


def _rows(lines: Sequence[Line]) -> list[list[int]]:
    """The lines that have a place by their height, top down; a table is a row."""
    rows: list[list[int]] = []
    for i in sorted((i for i, line in enumerate(lines) if _has_height(line)), key=lambda i: -lines[i].y1):
        last = lines[rows[-1][0]] if rows else None
        if last is not None and min(last.y1, lines[i].y1) - max(last.y0, lines[i].y0) > 0.5 * lines[i].height:
            rows[-1].append(i)
        else:
            rows.append([i])
    return rows


def _has_height(line: Line) -> bool:
    return line.placed or (line.is_table and line.y1 > line.y0)


def _text(line: Line) -> str:
    return " ".join(plain(line.text).split())


def _name(one: _Outer, outer: Sequence[Found], page: int) -> str:
    """The text of a line that returns on the pages near it; "" of one that does not."""
    for offsets in _NEAREST:
        agreeing: list[tuple[str, ...]] = []
        for offset in offsets:
            if 0 <= page + offset < len(outer):
                same = next((o for o in outer[page + offset].values() if _agree(one, o, offset)), None)
                agreeing += [same.numbers] if same is not None else []
        if len(agreeing) >= _AGREEING:
            shown = ["#" if any(other[k] != n for other in agreeing) else n for k, n in enumerate(one.numbers)]
            return one.words[0] + "".join(n + words for n, words in zip(shown, one.words[1:], strict=True))
    return ""


def _agree(one: _Outer, other: _Outer, offset: int) -> bool:
    """Whether ``other``, on the page ``offset`` after that of ``one``, is the same line."""
    if one.words != other.words or abs(one.line.size - other.line.size) > _SAME_SIZE_PT:
        return False
    numbers = list(zip(one.numbers, other.numbers, strict=True))
    if any(n != m and _value(n) != _value(m) + offset for m, n in numbers):
        return False
    # A number that goes up with the pages is no chance: what was printed from the web has it below its text, wherever that ends.
    return any(n != m for m, n in numbers) or abs(one.line.y0 - other.line.y0) <= _SAME_HEIGHT_PT


def _value(number: str) -> float:
    """Of an Arabic number or a small Roman one; NaN, which equals nothing, of what is neither."""
    if number.isdecimal():
        return int(number)
    if not _ROMAN.fullmatch(number):
        return math.nan
    return sum(_ROMAN_VALUES[part] for part in re.findall("xc|xl|ix|iv|[clxvi]", number))


def _set_apart(lines: Sequence[Line], rows: Sequence[Sequence[int]], returning: Iterable[int]) -> frozenset[int]:
    """Those of the ``returning`` lines that have nothing of the page beyond them, and white space on the other side."""
    found = frozenset(returning)
    top = _leading(rows, found)
    bottom = _leading(rows[::-1], found)
    if top + bottom >= len(rows):
        return frozenset()  # a page that has nothing else keeps them
    while top and not _is_apart(lines, rows[top - 1], rows[top]):
        top -= 1
    while bottom and not _is_apart(lines, rows[-bottom - 1], rows[-bottom]):
        bottom -= 1
    return frozenset(i for row in (*rows[:top], *rows[len(rows) - bottom :]) for i in row)


def _leading(rows: Sequence[Sequence[int]], found: frozenset[int]) -> int:
    n = 0
    while n < min(_MAX_ROWS, len(rows)) and found.issuperset(rows[n]):
        n += 1
    return n


def _is_apart(lines: Sequence[Line], upper: Sequence[int], lower: Sequence[int]) -> bool:
    gap = min(lines[i].y0 for i in upper) - max(lines[i].y1 for i in lower)
    return gap >= _SPACE * max(lines[i].height for i in (*upper, *lower) if not lines[i].is_table)


def _between(first: str, last: str) -> str:
    """ "Page 1 of 9" and "Page 9 of 9" as "Page 1–9 of 9"."""
    numbers = iter(_NUMBER.findall(last))
    return _NUMBER.sub(
        lambda m: m.group() if (n := next(numbers, "")) in ("", m.group()) else f"{m.group()}–{n}", first
    )
