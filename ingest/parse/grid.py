"""A sheet's cells as headings, paragraphs and tables: shared by every kind of spreadsheet.

It knows rows and columns, not where they came from. A sheet is taken apart at blank rows; of each block it is told
which rows are captions, which are the header and which are the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ingest.parse.number_format import Number
from ingest.parse.tables import markdown_table
from ingest.parse.text import check_characters
from ingest.parse.writer import TextWriter

Row = Mapping[int, str]  # column → text that is not blank; numbers are of the type ``Number``

_YEAR = re.compile(r"(?:19|20)\d\d")
_MAX_HEADER_ROWS = 4
_MAX_CAPTIONS = 6
_MAX_GAP = 2  # blank rows between a header and its body
_MAX_BLOCKS = 5000  # of a sheet; what follows is one
_SPARSE = 20  # cells of a table for each one that is filled, above which it is not written as a table
_SPARSE_FROM = 20_000  # cells
_FOOTNOTE = 40  # a lone text below a table that is longer than this is a note, not a row label


@dataclass(slots=True)
class _Block:
    """Rows without a blank one among them."""

    first: int
    rows: list[Row] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def columns(self) -> list[int]:
        return sorted({c for row in self.rows for c in row})


def write_grid(writer: TextWriter, rows: Iterable[tuple[int, Row]]) -> None:
    """Writes a sheet.

    Args:
        rows: (row number, cells) from the top; rows without cells may be left out or be empty.

    Raises:
        TooLarge: over ``max_characters``, counted before the text is made.
    """
    header: list[Row] = []  # of the table before, for blocks that go on with it below a blank row
    pending: _Block | None = None  # texts that may be the header of the block below
    last = 0
    for block in _blocks(rows, writer):
        _set_apart(block)
        if pending is not None:
            if block.first - last <= _MAX_GAP and not block.captions and _heads(pending, block):
                block.rows = pending.rows + block.rows
                block.captions = pending.captions
            else:
                header = _write(writer, pending, header)
            pending = None
        last = block.first + len(block.rows) + len(block.captions) + len(block.notes)
        if block.rows and not block.notes and len(block.rows) <= _MAX_HEADER_ROWS and not _numbers(block.rows):
            pending = block
        else:
            header = _write(writer, block, header)
    if pending is not None:
        _write(writer, pending, header)


def _blocks(rows: Iterable[tuple[int, Row]], writer: TextWriter) -> Iterator[_Block]:
    block: _Block | None = None
    expected = -1
    characters = divided = 0
    for number, row in rows:
        if not row:
            continue
        if block is None or (number != expected and divided < _MAX_BLOCKS):
            if block is not None:
                yield block
                divided += 1
            block = _Block(number)
        block.rows.append(row)
        expected = number + 1
        characters += sum(map(len, row.values())) + 3 * len(row)
        check_characters(characters, writer.filename, writer.limits)
    if block is not None:
        yield block


def _set_apart(block: _Block) -> None:
    """Takes captions (lone texts above) and notes (lone long texts below) out of a table's rows."""
    if len(block.columns) < 2:
        return
    while block.rows and len(block.rows[0]) == 1 and len(block.captions) < _MAX_CAPTIONS:
        (text,) = block.rows[0].values()
        if isinstance(text, Number):
            break
        block.captions.append(text)
        block.rows = block.rows[1:]
    while block.rows and len(block.rows[-1]) == 1:
        (text,) = block.rows[-1].values()
        if isinstance(text, Number) or len(text) <= _FOOTNOTE:
            break
        block.notes.insert(0, text)
        block.rows = block.rows[:-1]


def _numbers(rows: Iterable[Row]) -> bool:
    return any(_holds_number(row) for row in rows)


def _holds_number(row: Row) -> bool:
    return any(isinstance(text, Number) and not _YEAR.fullmatch(text) for text in row.values())


def _heads(above: _Block, below: _Block) -> bool:
    """Whether a block of texts alone is the header of the block of numbers below it."""
    if not below.rows or not _holds_number(below.rows[0]):
        return False
    shared = set(above.columns) & set(below.columns)
    return len(shared) >= 2 and len(above.columns) >= 2


def _header_rows(rows: list[Row], columns: list[int]) -> int:
    """How many of the first rows are header: texts (or years) over a body with numbers, or simply a full first row."""
    width, first = len(columns), columns[0]
    if len(rows) < 2 or _holds_number(rows[0]) or len(rows[0]) * 2 < min(width, 4):
        return 0
    if not _numbers(rows[1:]):
        # Of texts alone a second row is header only where it says what a cell merged over several columns is made of.
        return (
            2
            if len(rows) > 2 and _divides(rows[1], rows[0]) and rows[1].get(first) in (None, rows[0].get(first))
            else 1
        )
    filled = set(rows[0])
    count = 1
    while count < min(_MAX_HEADER_ROWS, len(rows) - 1):
        row, above = rows[count], rows[count - 1]
        divides = _divides(row, above)
        if (
            (len(filled) == width and not divides)  # above a full header there is nothing to add
            or len(row) < 2  # a lone text is the label of a section
            or (_holds_number(row) if divides else any(isinstance(text, Number) for text in row.values()))
            or (first in filled and _labels(row, above, first))
            or not _numbers(rows[count + 1 :])
        ):
            break
        filled |= set(row)
        count += 1
    return count


def _divides(row: Row, above: Row) -> bool:
    """Whether ``row`` has several texts below one of ``above``: what a cell that is merged over columns is made of."""
    return any(
        c + 1 in above and text == above[c + 1] and c in row and c + 1 in row and row[c] != row[c + 1]
        for c, text in above.items()
    )


def _labels(row: Row, above: Row, first: int) -> bool:
    """Whether ``row`` has a label of its own in the first column, which the header has filled: it belongs to the body."""
    return min(row) == first and row[first] != above.get(first)


def _lone_title(row: Row, columns: list[int]) -> list[str]:
    """The one text that an upper header row has beside the first column: it is about the whole table ("January 2023")."""
    beside = [" ".join(text.split()) for c, text in row.items() if c != columns[0]]
    return beside if len(beside) == 1 and len(columns) > 2 else []


def _spread(row: Row, columns: list[int]) -> Row:
    """An upper header row with each text over the whole group of columns it stands in, empty columns dividing groups."""
    first = columns[0]
    spread = {c: text for c, text in row.items() if c == first or not _lone_title(row, columns)}
    groups: list[list[int]] = []
    for c in columns:
        if groups and groups[-1][-1] == c - 1:
            groups[-1].append(c)
        else:
            groups.append([c])
    for group in groups if len(groups) > 1 else []:
        texts = {spread[c] for c in group if c in spread and c != first}
        if len(texts) == 1:
            (text,) = texts
            for c in group:
                if c != first:
                    spread.setdefault(c, text)
    return spread


def _is_sparse(block: _Block) -> bool:
    """Whether nearly all cells of its table would be empty."""
    cells = len(block.columns) * len(block.rows)
    return cells > _SPARSE_FROM and cells > _SPARSE * sum(map(len, block.rows))


def _named_cells(block: _Block) -> Iterator[str]:
    """A line for each row, with the filled cells alone and the name of each one's column."""
    rows = block.rows
    names = {c: f"column {n}" for n, c in enumerate(block.columns, 1)}
    if _header_rows(rows, block.columns):
        names |= {c: " ".join(text.split()) for c, text in rows[0].items()}
        rows = rows[1:]
    for row in rows:
        yield "; ".join(f"{names[c]}: {' '.join(text.split())}" for c, text in sorted(row.items()))


def _write(writer: TextWriter, block: _Block, header: list[Row]) -> list[Row]:
    """Writes a block; returns the header rows it had, or took over."""
    for caption in block.captions:
        writer.block(caption)
    columns = block.columns
    if not block.rows:
        header = []
    elif len(columns) == 1:
        writer.block("\n".join(" ".join(text.split()) for row in block.rows for text in row.values()))
    elif _is_sparse(block):
        header = []
        writer.block("\n".join(_named_cells(block)))
    else:
        # Filled up with empty cells a sparse block may be far larger than what it holds.
        check_characters(3 * len(columns) * len(block.rows), writer.filename, writer.limits)
        count = _header_rows(block.rows, columns)
        rows = block.rows
        if count:
            header, rows = block.rows[:count], block.rows[count:]
            for row in header[:-1]:
                for caption in _lone_title(row, columns):
                    writer.block(caption)
            header = [_spread(row, columns) for row in header[:-1]] + header[-1:]
        elif not (header and _holds_number(rows[0]) and set(columns) <= {c for row in header for c in row}):
            header = []
        columns = sorted({*columns, *(c for row in header for c in row)})
        table = [[row.get(c, "") for c in columns] for row in rows]
        if header:
            table.insert(0, [" ".join(dict.fromkeys(row[c] for row in header if c in row)) for c in columns])
        writer.block(markdown_table(table, header=bool(header)))
    for note in block.notes:
        writer.block(note)
    return header
