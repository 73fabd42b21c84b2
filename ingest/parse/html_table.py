"""A table of a web page as rows of texts, each cell under its own header: spans are spread over the cells that they cover.

A short text that spans columns or rows stands in each cell that it covers, a figure only down its rows: across columns it would look like
several. Several header rows are one, each column with all that stands over it. Columns that only spans reach are left out, and a text over
the whole table stays one.

It knows nothing of how a cell's text is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ingest.parse.document import ParseLimits
from ingest.parse.text import check_characters

MAX_CELLS = 200_000
_MAX_SPAN = 1000  # columns, as browsers have it
_MAX_HEADER_ROWS = 6
_LEAST_FIGURES = 2  # below a name
_LONGEST_CELL = 1500  # characters: a column of prose is layout
_LONGEST_REPEATED = 200
_FIGURE = re.compile(r"[-−–+($€£¥\s]*\d[\d.,\s]*[)%\s]*")
_YEAR = re.compile(r"(?:19|20)\d\d")


@dataclass(frozen=True, slots=True)
class TableText:
    """``captions`` stand over the table: header rows of one text. ``rows`` begin with the header if ``header``."""

    captions: list[str]
    rows: list[list[str]]
    header: bool


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    head: bool
    row: int = 0
    column: int = 0
    width: int = 1
    height: int = 1  # rows that it covers; 0: all that follow in its group

    @property
    def is_figure(self) -> bool:
        return bool(_FIGURE.fullmatch(self.text)) and not _YEAR.fullmatch(self.text)


@dataclass(slots=True)
class _Row:
    number: int
    group: Any  # the thead, tbody or tfoot that it stands in
    own: list[_Cell]
    cells: dict[int, _Cell]  # by column; a cell that spans stands at each

    @property
    def texts(self) -> list[_Cell]:
        return [cell for cell in self.own if cell.text]

    @property
    def is_label(self) -> bool:
        """Whether its only text begins it: that is about the whole row, however wide it is."""
        first = self.cells.get(0)
        return first is not None and all(cell is first for cell in self.cells.values() if cell.text)

    @property
    def is_head(self) -> bool:
        """Whether it may be a row of the header: in a thead, or of header cells alone."""
        return self.group.tag == "thead" or all(cell.head for cell in self.texts)


def read_table(
    rows: Sequence[Any], cell_text: Callable[[Any], str | None], filename: str, limits: ParseLimits
) -> TableText | None:
    """The texts of a table; None if it only lays the page out: no row of two texts, or cells of prose; or if its
    rows, filled up to one width, would be far larger than what they hold.

    Args:
        rows: its tr elements that are shown.
        cell_text: the text of a td or th; None if it is not shown, and takes no place.

    Raises:
        TooLarge: spread over what it spans, its text is over ``max_characters``.
    """
    placed = _placed(rows, cell_text)
    if max((len(row.texts) for row in placed), default=0) < 2:
        return None
    if max(len(cell.text) for row in placed for cell in row.own) > _LONGEST_CELL:
        return None
    headed = any(cell.head for row in placed for cell in row.own)
    captions: list[str] = []
    while headed and len(placed) > 2 and _is_caption(placed[0]) and placed[1].is_head:
        captions.append(placed.pop(0).own[0].text)
    count = _header_rows(placed) if headed else int(_names_figures(placed))
    header, body = placed[:count], placed[count:]
    columns = _columns(header, body)
    if len(columns) * len(placed) > MAX_CELLS:
        return None
    over = [[row.cells[c].text for row in header if c in row.cells] for c in columns]
    texts = [list(_shown(row, columns)) for row in body]
    # Hardly anything is copied up to here: what it would come to is counted before it is made.
    check_characters(sum(len(text) + 3 for row in (*over, *texts) for text in row), filename, limits)
    if count:
        texts.insert(0, [" ".join(dict.fromkeys(filter(None, column))) for column in over])
    return TableText(captions, texts, count > 0)


def _placed(rows: Sequence[Any], cell_text: Callable[[Any], str | None]) -> list[_Row]:
    """Each row that has a text with its cells where they stand, those that reach down from rows above among them."""
    found: list[_Row] = []
    reaching: dict[int, tuple[int, _Cell]] = {}  # column -> rows that it still covers (0: all), and the cell
    covered = 0
    group: Any = None
    for number, element in enumerate(rows):
        if element.getparent() is not group or covered > MAX_CELLS:  # nothing reaches out of its thead or tbody
            group, reaching = element.getparent(), {}
        row = _Row(number, group, [], {column: cell for column, (_, cell) in reaching.items()})
        reaching = {c: (left and left - 1, cell) for c, (left, cell) in reaching.items() if left != 1}
        column = 0
        for read in _read(element, cell_text):
            while column in row.cells:
                column += 1
            spans = covered + len(row.cells) <= MAX_CELLS
            cell = replace(read, row=number, column=column) if spans else _Cell(read.text, read.head, number, column)
            row.own.append(cell)
            for c in range(column, column + cell.width):
                row.cells.setdefault(c, cell)
                if cell.height != 1:
                    reaching[c] = cell.height and cell.height - 1, cell
            column += cell.width
        covered += len(row.cells)
        if row.texts:
            found.append(row)
    return found


def _read(row: Any, cell_text: Callable[[Any], str | None]) -> Iterator[_Cell]:
    for element in row:
        if element.tag in ("td", "th"):
            text = cell_text(element)
            if text is not None:
                width, height = max(_span(element, "colspan"), 1), _span(element, "rowspan")
                yield _Cell(text, element.tag == "th", width=min(width, _MAX_SPAN), height=height)


def _span(element: Any, name: str) -> int:
    value = element.get(name, "1").strip()
    return int(value[:6]) if value.isdecimal() else 1


def _is_caption(row: _Row) -> bool:
    return len(row.cells) == row.own[0].width and len(row.own) == 1 and row.own[0].height == 1 and row.is_head


def _header_rows(rows: Sequence[_Row]) -> int:
    """How many of the first rows are header: the first, and those after it that fill more than one column and consist of header
    cells, or into which the first cell of the header reaches down."""
    if not rows[0].is_head or (rows[0].group.tag != "thead" and all(row.is_head for row in rows)):
        return 1
    count = 1
    while count < min(len(rows) - 1, _MAX_HEADER_ROWS) and (
        rows[count].is_head or rows[count].cells.get(0) is rows[0].cells.get(0)
    ):
        if len(rows[count].texts) < 2 and rows[count].group.tag != "thead":
            break  # the label of a section
        count += 1
    return count


def _names_figures(rows: Sequence[_Row]) -> bool:
    """Whether the first row of a table without header cells, as mail programs write them, is one of names over figures."""
    first, body = rows[0], rows[1:]
    names = [cell for cell in first.own if cell.column]
    if len(body) < 2 or not names or any(c.width > 1 or c.height != 1 for c in first.own):
        return False
    if not all(cell.text for cell in names) or any(cell.is_figure for cell in first.own):
        return False
    under = [[row.cells[c.column] for row in body if c.column in row.cells and row.cells[c.column].text] for c in names]
    return any(len(column) >= _LEAST_FIGURES and all(cell.is_figure for cell in column) for column in under)


def _columns(header: Sequence[_Row], body: Sequence[_Row]) -> list[int]:
    """The columns in which a text of the body begins, and those of headers that stand over none of these."""
    kept = {cell.column for row in body for cell in row.texts}
    for row in header:
        for cell in row.texts:
            if kept.isdisjoint(range(cell.column, cell.column + cell.width)):
                kept.add(cell.column)
    return sorted(kept)


def _shown(row: _Row, columns: Sequence[int]) -> Iterator[str]:
    """What stands in the cells of a row of the body."""
    label = row.is_label
    for column in columns:
        cell = row.cells.get(column)
        if cell is None:
            yield ""
        elif cell.row == row.number and cell.column == column:
            yield cell.text
        elif len(cell.text) > _LONGEST_REPEATED or (cell.column != column and (cell.is_figure or label)):
            yield ""
        else:
            yield cell.text
