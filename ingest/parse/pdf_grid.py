"""Tables of a PDF page that are drawn with ruling lines: cells are what the lines enclose.

Lines that touch make a grid; a cell without a line to its neighbour is one with it. It knows lines and where words
lie, and leaves every table whose lines do not close cells to ``pdf_tables``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pypdfium2.raw as pdfium_c

from ingest.parse.pdf_calls import Colours, object_boxes, page_objects
from ingest.parse.pdf_lines import Line, turned
from ingest.parse.pdf_rows import Segment, Word, line_words

_MAX_OBJECTS = 4000  # a page with more is a drawing
_MAX_RULES = 1500
_THICK_PT = 3.0  # a rectangle thinner than this is a line
_NEAR_PT = 2.5  # lines nearer than this are one, and touch
_MAX_COLUMNS, _MAX_ROWS = 60, 300
_MAX_HEADER_ROWS = 3
_MIN_FILLED = 0.4  # of the cells; boxes of a diagram are mostly empty
_MAX_CELL_CHARACTERS = 800  # a cell with more is a box around text
_MAX_NAME_CHARACTERS = 150  # of a column
_MAX_REPEATED_CHARACTERS = 60  # what stands in a cell over several rows or columns is repeated in each if so short


@dataclass(frozen=True, slots=True)
class Rule:
    """A horizontal (``at`` is y) or vertical (``at`` is x) line from ``start`` to ``end``."""

    at: float
    start: float
    end: float


@dataclass(slots=True)
class Grid:
    """``xs`` and ``ys`` are the lines' places, ``ys`` from the top down; the rules say which of them are drawn where."""

    xs: list[float]
    ys: list[float]
    horizontal: list[Rule]
    vertical: list[Rule]
    lines: set[int] = field(default_factory=set)
    names: list[list[Word]] = field(default_factory=list)
    body: list[list[list[Word]]] = field(default_factory=list)


def ruled_tables(
    textpage: Any, lines: Sequence[Line], indexes: Sequence[int] | None, rotation: int
) -> Iterator[tuple[list[list[Word]], list[list[list[Word]]], frozenset[int]]]:
    """Yields (header cells, rows of cells, lines they stand in) of each ruled table; cells are words."""
    for grid in _grids(*_rules(textpage.page, rotation)):
        _fill(grid, textpage, lines, indexes, rotation)
        if grid.body and grid.lines:
            yield grid.names, grid.body, frozenset(grid.lines)


def _rules(page: Any, rotation: int) -> tuple[list[Rule], list[Rule]]:
    """The horizontal and the vertical lines drawn on the page itself."""
    horizontal: list[Rule] = []
    vertical: list[Rule] = []
    if pdfium_c.FPDFPage_CountObjects(page) > _MAX_OBJECTS:
        return [], []
    paths, colours = page_objects(page, pdfium_c.FPDF_PAGEOBJ_PATH, _MAX_OBJECTS), Colours()
    for path, box in zip(paths, object_boxes(paths), strict=True):
        if box is None:
            continue
        x0, y0, x1, y1 = turned(*box, rotation)
        if y1 - y0 <= _THICK_PT < x1 - x0:
            horizontal.append(Rule((y0 + y1) / 2, x0, x1))
        elif x1 - x0 <= _THICK_PT < y1 - y0:
            vertical.append(Rule((x0 + x1) / 2, y0, y1))
        elif colours.path_mode(path)[1]:
            horizontal += [Rule(y0, x0, x1), Rule(y1, x0, x1)]
            vertical += [Rule(x0, y0, y1), Rule(x1, y0, y1)]
        if len(horizontal) + len(vertical) > _MAX_RULES:
            return [], []
    return _joined(horizontal), _joined(vertical)


def _joined(rules: list[Rule]) -> list[Rule]:
    """Pieces of one line made whole."""
    joined: list[Rule] = []
    for rule in sorted(rules, key=lambda r: (round(r.at / _NEAR_PT), r.start)):
        last = joined[-1] if joined else None
        if last is not None and abs(last.at - rule.at) <= _NEAR_PT and rule.start <= last.end + _NEAR_PT:
            joined[-1] = Rule(last.at, last.start, max(last.end, rule.end))
        else:
            joined.append(rule)
    return joined


def _grids(horizontal: Sequence[Rule], vertical: Sequence[Rule]) -> list[Grid]:
    """Groups of lines that touch, if they enclose two rows and two columns at least; from the top of the page down."""
    if len(horizontal) < 3 or len(vertical) < 1:
        return []
    parent = list(range(len(horizontal) + len(vertical)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, h in enumerate(horizontal):
        for j, v in enumerate(vertical, len(horizontal)):
            across = h.start - _NEAR_PT <= v.at <= h.end + _NEAR_PT
            if across and v.start - _NEAR_PT <= h.at <= v.end + _NEAR_PT:
                parent[root(i)] = root(j)
    groups: defaultdict[int, tuple[list[Rule], list[Rule]]] = defaultdict(lambda: ([], []))
    for i, rule in enumerate([*horizontal, *vertical]):
        groups[root(i)][i >= len(horizontal)].append(rule)
    grids = []
    for hs, vs in groups.values():
        if len(hs) < 3 or not vs:
            continue
        # A table may be open at its sides: its horizontal lines say how far it goes.
        xs = _places([*(v.at for v in vs), min(h.start for h in hs), max(h.end for h in hs)])
        ys = _places([h.at for h in hs])[::-1]
        if 3 <= len(xs) <= _MAX_COLUMNS and 3 <= len(ys) <= _MAX_ROWS:
            grids.append(Grid(xs, ys, hs, vs))
    return sorted(grids, key=lambda g: -g.ys[0])


def _places(values: Sequence[float]) -> list[float]:
    places: list[float] = []
    for value in sorted(values):
        if not places or value - places[-1] > _NEAR_PT:
            places.append(value)
    return places


def _fill(grid: Grid, textpage: Any, lines: Sequence[Line], indexes: Sequence[int] | None, rotation: int) -> None:
    """Puts the words of the page into the cells of ``grid`` and makes header and body of them."""
    down = [-y for y in grid.ys]
    n_rows, n_columns = len(down) - 1, len(grid.xs) - 1
    cells: defaultdict[tuple[int, int], list[Word]] = defaultdict(list)
    for number, line in enumerate(lines):
        if not line.placed or not grid.ys[-1] < (line.y0 + line.y1) / 2 < grid.ys[0]:
            continue
        if line.x0 < grid.xs[0] - _NEAR_PT or line.x1 > grid.xs[-1] + _NEAR_PT:
            continue
        row = bisect_right(down, -(line.y0 + line.y1) / 2) - 1
        words = line_words(textpage, line, indexes, rotation)
        for word in words:
            column = bisect_right(grid.xs, (word.x0 + word.x1) / 2) - 1
            cells[row, min(max(column, 0), n_columns - 1)].append(word)
        if words:
            grid.lines.add(number)
    regions = _regions(grid, n_rows, n_columns)
    merged: defaultdict[tuple[int, int], list[Word]] = defaultdict(list)
    for place in sorted(cells):
        merged[regions[place]] += cells[place]
    if any(sum(len(w.text) + 1 for w in words) > _MAX_CELL_CHARACTERS for words in merged.values()):
        grid.lines.clear()
        return
    own = sum(1 for place in merged if merged[place])
    shown = [
        (r, [_cell(merged[regions[r, c]], regions[r, c] == (r, c)) for c in range(n_columns)]) for r in range(n_rows)
    ]
    rows = [(r, row) for r, row in shown if any(row)]
    filled = [sum(1 for _, row in rows if row[c]) for c in range(n_columns)]
    if len(rows) < 2 or sum(count > 1 for count in filled) < 2 or own < _MIN_FILLED * len(rows) * n_columns:
        grid.lines.clear()
        return
    header = _header_rows([row for _, row in rows])
    grid.names = [_distinct([row[c] for _, row in rows[:header]]) for c in range(n_columns)]
    # Below the header what reaches over several columns is the label of a group.
    grid.body = [[cell if regions[r, c][1] == c else [] for c, cell in enumerate(row)] for r, row in rows[header:]]


def _cell(words: list[Word], is_first: bool) -> list[Word]:
    """What a cell of a merged region shows: everything in its first, and what is short in every one."""
    return words if is_first or sum(len(w.text) + 1 for w in words) <= _MAX_REPEATED_CHARACTERS else []


def _regions(grid: Grid, n_rows: int, n_columns: int) -> dict[tuple[int, int], tuple[int, int]]:
    """For each cell the first cell of the region it belongs to: neighbours without a line between them are one."""
    vertical = [[r for r in grid.vertical if abs(r.at - x) <= _NEAR_PT] for x in grid.xs]
    horizontal = [[r for r in grid.horizontal if abs(r.at - y) <= _NEAR_PT] for y in grid.ys]
    regions: dict[tuple[int, int], tuple[int, int]] = {}
    for r in range(n_rows):
        y = (grid.ys[r] + grid.ys[r + 1]) / 2
        for c in range(n_columns):
            x = (grid.xs[c] + grid.xs[c + 1]) / 2
            place = (r, c)
            if c and not any(rule.start <= y <= rule.end for rule in vertical[c]):
                place = regions[r, c - 1]
            elif r and not any(rule.start <= x <= rule.end for rule in horizontal[r]):
                place = regions[r - 1, c]
            regions[r, c] = place
    return regions


def _header_rows(rows: Sequence[Sequence[Sequence[Word]]]) -> int:
    """How many rows at the top are header: those above the first figures, at most three; one if there are none.

    Where the first row is prose there is no header: the table goes on from the page before.
    """
    if any(sum(len(w.text) + 1 for w in cell) > _MAX_NAME_CHARACTERS for cell in rows[0]):
        return 0
    for n, row in enumerate(rows[: _MAX_HEADER_ROWS + 1]):
        if any(Segment(list(cell)).is_figure for cell in row[1:] if cell):
            return n
    return 1


def _distinct(cells: Sequence[list[Word]]) -> list[Word]:
    """The words of cells one over the other; a cell that spans both is said once."""
    return [w for n, cell in enumerate(cells) for w in cell if n == 0 or cell is not cells[n - 1]]
