"""The reading order of columns of prose: the left one before the right one, in whatever order a page draws them.

Pdfium gives a page in the order in which it was drawn, and takes what stands at one height for one line if it was drawn
so. Nearly all programs draw column after column. Two ways of those that do not are mended: both columns line by line, and the
right column before the left. All else stays in the order of the file: what is drawn cell by cell is a table, and what has few
words or many figures on one side of the gap is a table, a form or a list with page numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median
from typing import Any

from ingest.parse.pdf_lines import HYPHEN, Line
from ingest.parse.pdf_rows import line_words

_GAP = 1.5  # type sizes between two columns
_MIN_ROWS = 4  # rows with a line on both sides
_ROWS_APART = 3.0  # type sizes between two rows: what comes below a wider gap is another part of the page
_WIDE = 0.55  # of the width of the page's text: a wider line may be those of two columns
_SAMPLE_EVERY = 4  # wide lines
_WORDS = 4  # the median of a column's lines: fewer are labels or cells
_WORDS_OF_PIECE = 3
_LOWER = 0.5  # of the words of prose; in German a third of them have a capital
_FULL = 0.7  # of its column: so wide are most lines of prose
_BEGUN = 0.7  # of the lines: those of prose go on with a sentence more often
_FIGURES = 0.2  # of the words
_LEAST_RATIO = 0.6  # of the width of one column to that of the other, if the right one was drawn first: not a margin's
_MAX_PIECES = 2000  # of a page
_MAX_COLUMNS = 8
_MAX_TRIED = 60  # gaps that are no column's
_LETTER = re.compile(r"[^\W\d_]")
_LEADERS = re.compile(r"\.{4}|(?:\. ){3}|_{4}")
_DIVIDED = re.compile(r"[^\W\d_][-\u2010]$")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a line, or all of it: ``start`` to ``end`` are places in the page's text."""

    line: int
    start: int
    end: int
    text: str
    x0: float
    x1: float
    y0: float
    y1: float

    @property
    def size(self) -> float:
        return max(self.y1 - self.y0, 0.1)


def in_columns(
    textpage: Any, text: str, indexes: Sequence[int] | None, lines: Sequence[Line], rotation: int
) -> tuple[str, Sequence[int]] | None:
    """The page's text with columns of prose one after another, and the pdfium index of each character; None if it is in order.

    Args:
        text, indexes, lines: as ``page_characters`` and ``page_lines`` gave them, of a page that is read left to right.
        rotation: of the page, in quarter turns.
    """
    placed = [n for n, line in enumerate(lines) if line.placed and line.text.strip()]
    if not _MIN_ROWS <= len(placed) <= _MAX_PIECES:
        return None
    cut = _cut_lines(textpage, lines, placed, indexes, rotation)
    pieces = [piece for n in placed for piece in cut.get(n) or [_whole(n, lines[n])]]
    if len(pieces) > _MAX_PIECES:
        return None
    rows = _rows(pieces)
    if sum(len(row) > 1 for row in rows) < _MIN_ROWS:
        return None
    order = _ordered(pieces, rows)
    return None if order == pieces else _written(text, indexes, lines, order)


def _whole(number: int, line: Line) -> _Piece:
    return _Piece(number, line.start, line.end, line.text, line.x0, line.x1, line.y0, line.y1)


def _cut_lines(
    textpage: Any, lines: Sequence[Line], placed: Sequence[int], indexes: Sequence[int] | None, rotation: int
) -> dict[int, list[_Piece]]:
    """The pieces of lines that hold those of two columns; {} for a page whose sampled lines do not."""
    width = max(lines[n].x1 for n in placed) - min(lines[n].x0 for n in placed)
    wide = [
        n
        for n in placed
        if lines[n].x1 - lines[n].x0 > _WIDE * width and len(lines[n].text.split()) >= 2 * _WORDS_OF_PIECE
    ]
    if len(wide) < _MIN_ROWS:
        return {}

    def pieces_of(n: int) -> list[_Piece]:
        line = lines[n]
        found: list[list[Any]] = []
        for word in line_words(textpage, line, indexes, rotation):
            if found and word.x0 - found[-1][-1].x1 < _GAP * line.size:
                found[-1].append(word)
            else:
                found.append([word])
        ends = [words[0].start for words in found[1:]] + [line.end]
        return [
            _Piece(n, w[0].start, end, text, w[0].x0, w[-1].x1, line.y0, line.y1)
            for w, end in zip(found, ends, strict=True)
            if (text := line.text[w[0].start - line.start : end - line.start].rstrip())
        ]

    # To know where the words of a line stand costs about as much as to read it.
    known = {n: pieces_of(n) for n in wide[:: _SAMPLE_EVERY if len(wide) > 2 * _MIN_ROWS else 1]}
    if not any(sum(map(_may_be_prose, pieces)) > 1 for pieces in known.values()):
        return {}
    return {n: known.get(n) or pieces_of(n) for n in wide}


def _may_be_prose(piece: _Piece) -> bool:
    return len(piece.text.split()) >= _WORDS_OF_PIECE and _LEADERS.search(piece.text) is None


def _rows(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """What stands at one height, from the top, each row from the left."""
    rows: list[list[_Piece]] = []
    for piece in sorted(pieces, key=lambda p: -(p.y0 + p.y1)):
        first = rows[-1][0] if rows else None
        if first and min(first.y1, piece.y1) - max(first.y0, piece.y0) > 0.5 * min(first.size, piece.size):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [sorted(row, key=lambda p: p.x0) for row in rows]


def _ordered(pieces: Sequence[_Piece], rows: Sequence[list[_Piece]], columns: int = _MAX_COLUMNS) -> list[_Piece]:
    """``pieces`` of a page, in the order of the file, in reading order."""
    result = list(pieces)
    place = {id(piece): n for n, piece in enumerate(pieces)}
    for sides in _regions(rows):
        left, right = (sorted(side, key=lambda p: place[id(p)]) for side in sides)
        if columns < 2 or not (_is_prose(left) and _is_prose(right)):
            continue
        region = sorted([*left, *right], key=lambda p: place[id(p)])
        if region == left + right or _is_out_of_order(left, right, region):
            read = left + _ordered(right, _rows(right), columns - 1)  # the right side may be two columns again
        else:
            continue
        for slot, piece in zip((place[id(p)] for p in region), read, strict=True):
            result[slot] = piece
    return result


def _regions(rows: Sequence[list[_Piece]]) -> Iterator[tuple[list[_Piece], list[_Piece]]]:
    """The pieces on the left and on the right of each gap that enough rows share."""
    i = tried = 0
    while i < len(rows) and tried < _MAX_TRIED:
        size = median(p.size for p in rows[i])
        gaps = [(a.x1, b.x0) for a, b in pairwise(rows[i]) if b.x0 - a.x1 >= _GAP * size]
        for gap in gaps:
            last, gutter = _last_row(rows, i, gap)
            if sum(_is_on_both(row, gutter) for row in rows[i : last + 1]) >= _MIN_ROWS:
                first = _first_row(rows, i, gutter)
                inside = [p for row in rows[first : last + 1] for p in row]
                yield [p for p in inside if p.x1 <= gutter[0]], [p for p in inside if p.x0 >= gutter[1]]
                i = last
                break
            tried += 1
        i += 1


def _narrowed(row: Sequence[_Piece], gap: tuple[float, float]) -> tuple[float, float] | None:
    """``gap`` as far as a row leaves it free; None if the row goes across."""
    left, right = gap
    for piece in row:
        if piece.x0 < gap[0]:
            left = max(left, piece.x1)
        else:
            right = min(right, piece.x0)
    return (left, right) if right - left >= _GAP * median(p.size for p in row) else None


def _is_on_both(row: Sequence[_Piece], gutter: tuple[float, float]) -> bool:
    return any(p.x1 <= gutter[0] for p in row) and any(p.x0 >= gutter[1] for p in row)


def _last_row(rows: Sequence[list[_Piece]], first: int, gap: tuple[float, float]) -> tuple[int, tuple[float, float]]:
    """Down to which row a gap is free, and what of it is: the last row is one of both columns, or goes on at once below."""
    shared, last, gutter = first, first, gap
    for n in range(first + 1, len(rows)):
        above, row = rows[n - 1], rows[n]
        distance = min(p.y0 for p in above) - max(p.y1 for p in row)
        free = _narrowed(row, gutter)
        if free is None or distance > _ROWS_APART * row[0].size:
            break
        if _is_on_both(row, free):
            shared = n
        elif distance > row[0].size and not any(_is_on_both(later, free) for later in rows[n + 1 : n + 4]):
            break  # what stands below both columns, and no paragraph of one of them
        last, gutter = n, free
    return max(last, shared), gutter


def _first_row(rows: Sequence[list[_Piece]], first: int, gutter: tuple[float, float]) -> int:
    """The uppermost row of one side alone that goes on at once in the rows from ``first``."""
    while first > 0:
        row, below = rows[first - 1], rows[first]
        if min(p.y0 for p in row) - max(p.y1 for p in below) > row[0].size or _narrowed(row, gutter) != gutter:
            break
        first -= 1
    return first


def _is_prose(side: Sequence[_Piece], columns: int = _MAX_COLUMNS) -> bool:
    """Whether lines are those of a column of prose, or of several: full ones of several words, few of them figures."""
    inner = [part for sides in _regions(_rows(side)) for part in sides] if columns > 1 else []
    if inner:
        return all(_is_prose(part, columns - 1) for part in inner)
    words = [word for piece in side for word in piece.text.split()]
    lettered = [word for word in words if _LETTER.search(word)]
    if not lettered or any(_LEADERS.search(piece.text) for piece in side):
        return False
    width = max(p.x1 for p in side) - min(p.x0 for p in side)
    lower = sum(word[0].islower() for word in lettered)
    figures = sum(any(c.isdigit() for c in word) for word in words if not _LETTER.search(word))
    full = sum(p.x1 - p.x0 >= _FULL * width for p in side)
    return (
        median(len(piece.text.split()) for piece in side) >= _WORDS
        and lower >= _LOWER * len(lettered)
        and figures <= _FIGURES * len(words)
        and 2 * full >= len(side)
        and sum(map(_is_begun, side)) <= _BEGUN * len(side)
    )


def _is_begun(piece: _Piece) -> bool:
    """Whether it begins as a sentence, or a cell of a table, does."""
    first = piece.text.split()[0]
    return first.isalpha() and first[0].isupper()


def _is_out_of_order(left: Sequence[_Piece], right: Sequence[_Piece], region: Sequence[_Piece]) -> bool:
    """Whether both columns were drawn line by line, or the right one before the left."""
    of_left = {id(p) for p in left}
    sides = [side for side, _ in groupby(region, key=lambda p: id(p) in of_left)]
    if sides == [False, True]:
        widths = [max(p.x1 for p in side) - min(p.x0 for p in side) for side in (left, right)]
        return min(widths) >= _LEAST_RATIO * max(widths)
    beside = sum(
        id(a) in of_left and id(b) not in of_left and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5 * min(a.size, b.size)
        for a, b in pairwise(region)
    )
    return beside >= _MIN_ROWS and 2 * beside >= min(len(left), len(right))


def _written(
    text: str, indexes: Sequence[int] | None, lines: Sequence[Line], order: Sequence[_Piece]
) -> tuple[str, Sequence[int]]:
    """The text of ``order``, a line each, with the lines that have no place where they were."""
    runs: list[tuple[int, int, bool]] = []  # (start, end, whether pdfium has it end in a hyphen)
    for piece in order:
        hyphen = lines[piece.line].hyphen and piece.end == lines[piece.line].end
        if runs and runs[-1][1] == piece.start:
            runs[-1] = (runs[-1][0], piece.end, hyphen)
        else:
            runs.append((piece.start, piece.end, hyphen))
    known = {piece.line for piece in order}
    for line in (line for n, line in enumerate(lines) if n not in known):
        runs.insert(sum(end <= line.start for _, end, _ in runs), (line.start, line.end, line.hyphen))
    parts: list[str] = []
    places: list[int] = []
    for n, (start, end, hyphen) in enumerate(runs):
        body = text[start:end].rstrip() if not hyphen else text[start:end]
        below = text[runs[n + 1][0] : runs[n + 1][1]].lstrip() if n + 1 < len(runs) else ""
        if not hyphen and _DIVIDED.search(body) and below[:1].islower():  # pdfium tells a division by the next line
            body, hyphen = body[:-1], True
        parts += (body, HYPHEN if hyphen else "\n")
        places += (*range(start, start + len(body)), min(start + len(body), len(text) - 1))
    return "".join(parts), places if indexes is None else [indexes[place] for place in places]
