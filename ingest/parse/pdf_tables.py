"""Tables of a PDF page: those with ruling lines (``pdf_grid``), and those that are told by white space alone.

Most tables of reports have no lines that could be followed; what makes them tables is that words stand under each
other with empty strips between. Lines are cut into cells where a gap is wider than a space (``pdf_rows``), cells are
gathered into columns (``pdf_table_columns``), and the rows above the first figures become one header, each column
with all that stands over it (``pdf_table_header``).

It knows where words are, not what they mean. A table that it does not see stays lines of text: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from ingest.parse.pdf_grid import ruled_tables
from ingest.parse.pdf_lines import Line, ends_in_figures
from ingest.parse.pdf_rows import Row, Word, follows, is_data, is_prose, page_rows
from ingest.parse.pdf_table_body import body_rows
from ingest.parse.pdf_table_columns import Column, find_columns
from ingest.parse.pdf_table_header import caption_words, column_names, header_rows, is_header, stands_over
from ingest.parse.tables import SEGMENT_SEPARATOR, table_segments

_MAX_LABELS_IN_A_ROW = 4
_MAX_COLUMNS = 40
_FIGURES_WITHIN = 3  # lines
_MIN_VALUES = 4  # fewer figures may be the numbers of equations


@dataclass(frozen=True, slots=True)
class Table:
    """A table as Markdown, and where each of its words stands on the page.

    ``places`` are (offset in ``markdown``, length, index in the page's text) of each word, those of a repeated header
    but once; ``lines`` are the page's lines that it replaces.
    """

    markdown: str
    places: tuple[tuple[int, int, int], ...]
    lines: frozenset[int]


def find_tables(textpage: Any, lines: Sequence[Line], indexes: Sequence[int] | None, rotation: int) -> list[Table]:
    """The tables of a page, in the order of its lines.

    Args:
        lines, indexes: as ``page_lines`` and ``page_characters`` gave them.
        rotation: of the page, in quarter turns.
        textpage: None for a page that was read by OCR, whose lines know their words and whose rules nobody knows.
    """
    tables: list[Table] = []
    used: set[int] = set()
    for names, body, inside in ruled_tables(textpage, lines, indexes, rotation) if textpage is not None else ():
        ruled = _markdown(names, [], body, inside)
        if ruled is not None and used.isdisjoint(inside):
            tables.append(ruled)
            used |= inside
    if not may_have_table(lines):
        return sorted(tables, key=lambda table: min(table.lines))
    rows = page_rows(textpage, lines, indexes, rotation, used)
    for first, last in _blocks(rows):
        for a, b in _split_at_headers(rows, first, last):
            table = _table(rows, a, b, used)
            if table is not None:
                tables.append(table)
                used |= table.lines
    return sorted(tables, key=lambda table: min(table.lines))


def with_tables(lines: Sequence[Line], tables: Sequence[Table]) -> list[Line]:
    """``lines`` with those of each table replaced by one that holds its Markdown."""
    first = {min(table.lines): table for table in tables}
    gone = {n for table in tables for n in table.lines}
    result: list[Line] = []
    for n, line in enumerate(lines):
        if n in first:
            inside = [lines[i] for i in first[n].lines if lines[i].placed]
            y0, y1 = min((i.y0 for i in inside), default=0.0), max((i.y1 for i in inside), default=0.0)
            result.append(Line(first[n].markdown, line.start, line.end, False, y0=y0, y1=y1, is_table=True))
        if n not in gone:
            result.append(line)
    return result


def may_have_table(lines: Sequence[Line]) -> bool:
    """Whether two lines or more are wider than their letters, stand beside another, or end in two figures near each other.

    Costs no look at the page. The columns of a narrow table stand so near each other that its lines are not wide.
    """
    found = 0
    since = _FIGURES_WITHIN
    previous: Line | None = None
    for line in lines:
        if not line.placed:
            continue
        stretched = line.x1 - line.x0 > 0.62 * line.size * len(line.text) + 2 * line.size
        beside = (
            previous is not None
            and min(previous.y1, line.y1) - max(previous.y0, line.y0) > 0.5 * min(previous.height, line.height)
            and line.x0 - previous.x1 > line.size
        )
        found += stretched or beside
        figures = ends_in_figures(line)
        if found >= 2 or (figures and since < _FIGURES_WITHIN):
            return True
        since = 0 if figures else since + 1
        previous = line
    return False


def _blocks(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Half-open ranges of rows that may be tables: rows of several cells, with labels of their own line between."""
    blocks: list[tuple[int, int]] = []
    i = 0
    while i < len(rows):
        if len(rows[i].segments) < 2:
            i += 1
            continue
        last = i
        j = i + 1
        while j < len(rows) and j - last <= _MAX_LABELS_IN_A_ROW and follows(rows[j - 1], rows[j]):
            if len(rows[j].segments) >= 2:
                last = j
            elif is_prose(rows[j]) and rows[j].x1 > rows[last].segments[1].x0:
                break
            j += 1
        blocks.append((i, last + 1))
        i = last + 1
    return [(a, b) for a, b in blocks if b - a >= 2]


def _split_at_headers(rows: Sequence[Row], first: int, last: int) -> list[tuple[int, int]]:
    """Parts a block where a header follows figures: another table begins."""
    left = min(row.x0 for row in rows[first:last])
    right = max(row.x1 for row in rows[first:last])
    kinds = [is_header(row, left, right) for row in rows[first:last]]
    cuts = [first]
    data = False
    i = first
    while i < last:
        run = i
        while run < last and kinds[run - first]:
            run += 1
        # A centred line by itself ("LIABILITIES AND EQUITY") is the label of a part, not a header.
        if run > i and any(len(row.segments) > 1 or row.segments[0].is_year for row in rows[i:run]):
            if data:
                cuts.append(i)
            data = False
        elif run == i:
            data = data or is_data(rows[i])
        i = max(run, i + 1)
    return list(pairwise([*cuts, last]))


def _table(rows: Sequence[Row], first: int, last: int, used: Set[int]) -> Table | None:
    block = rows[first:last]
    data = [row for row in block if is_data(row)]
    if len(data) < 2 or sum(len(row.values) for row in data) < _MIN_VALUES:
        return None
    left = min(row.x0 for row in block)
    size = median(row.size for row in block)
    has_label = [not row.segments[0].is_value or row.x0 < left + 2 * size for row in data]
    cells = [s for row, label in zip(data, has_label, strict=True) for s in row.segments[1 if label else 0 :]]
    columns = find_columns([(s.x0, s.x1, s.is_value) for s in cells], size)
    if not 1 <= len(columns) <= _MAX_COLUMNS:
        return None
    labels = [row.segments[0].x1 for row, label in zip(data, has_label, strict=True) if label]
    label = Column(left, min(columns[0].x0, max(labels, default=left)))
    over_from = min(label.x1 - size, columns[0].x0 - 3 * size)
    if not _fits(data, columns):
        return None

    body_from = _body_from(rows, first, last, columns[0].x0, over_from)
    while last > body_from and not is_data(rows[last - 1]) and not _ends_label(rows[last - 2], rows[last - 1]):
        last -= 1  # what follows the last figures is the next part's title
    heads = header_rows(rows, body_from, last, over_from, used)
    names = column_names(heads, columns, over_from)
    body = body_rows(rows[body_from:last], columns, label, size)
    caption = caption_words(rows, heads[0] if heads else rows[body_from])
    return _markdown(names, caption, body, _lines_of([*heads, *rows[body_from:last]]))


def _fits(data: Sequence[Row], columns: Sequence[Column]) -> bool:
    """Whether rows fill different columns with their cells: words of prose that happen to stand apart do not."""
    good = 0
    for row in data:
        taken = [max(range(len(columns)), key=lambda c: columns[c].overlap(s.x0, s.x1)) for s in row.values]
        good += len(set(taken)) == len(taken)
    return good >= 0.75 * len(data)


def _body_from(rows: Sequence[Row], first: int, last: int, columns_from: float, over_from: float) -> int:
    """The first row of the body: that of the first figures, or of the labels right over it ("Net sales:")."""
    data = body = next(i for i in range(first, last) if is_data(rows[i]))
    while body > 0 and data - body < _MAX_LABELS_IN_A_ROW and _is_label(rows[body - 1], columns_from):
        if not follows(rows[body - 1], rows[body]):
            break
        body -= 1
    if body < first and not (body > 0 and stands_over(rows[body - 1], rows[body], over_from)):
        return first  # without a header over them these are lines of text
    return body


def _is_label(row: Row, columns_from: float) -> bool:
    return len(row.segments) == 1 and row.x0 < columns_from - 3 * row.size and row.x1 < columns_from + 6 * row.size


def _ends_label(above: Row, row: Row) -> bool:
    """Whether ``row`` is the end of a label that began with the figures in the line above."""
    return (
        row.text[:1].islower()
        and len(row.segments) == 1
        and above.y0 - row.y1 < 0.6 * (row.y1 - row.y0)
        and is_data(above)
    )


def _markdown(
    names: Sequence[Sequence[Word]],
    caption: Sequence[Word],
    body: Sequence[Sequence[Sequence[Word]]],
    lines: frozenset[int],
) -> Table | None:
    header = any(names[1:])
    top = [[*caption, *names[0]], *names[1:]]
    grid: list[Sequence[Sequence[Word]]] = [top, *body] if header else list(body)
    texts = [[" ".join(w.text for w in cell) for cell in row] for row in grid]
    parts: list[str] = []
    places: list[tuple[int, int, int]] = []
    offset = 0
    depths = [row[0][0].x0 if row[0] else None for row in grid]
    for n, segment in enumerate(table_segments(texts, header, depths=depths)):
        if n:
            parts.append(SEGMENT_SEPARATOR)
            offset += len(SEGMENT_SEPARATOR)
        for k, (index, line) in enumerate(segment):
            if k:
                parts.append("\n")
                offset += 1
            if index is not None:
                places += _word_places(line, [w for cell in grid[index] for w in cell], offset)
            parts.append(line)
            offset += len(line)
    return Table("".join(parts), tuple(places), lines) if parts else None


def _word_places(line: str, words: Sequence[Word], offset: int) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    position = 0
    for word in words:
        at = line.find(word.text, position)
        if at >= 0:  # one with a "|" is written otherwise
            found.append((offset + at, len(word.text), word.start))
            position = at + len(word.text)
    return found


def _lines_of(rows: Sequence[Row]) -> frozenset[int]:
    return frozenset(n for row in rows for n in row.lines)
