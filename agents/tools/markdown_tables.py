"""Tables as ingestion writes them into a document's text: GitHub's pipe tables. Read back into columns with types.

Ingestion parts a long table into several, each with the header again and with the label of the group it goes on with. Here
they are one again: tables with the same header and nothing but white space between them are one table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from core.types import Hit

Cell: TypeAlias = str | float | None

MAX_ROWS = 20_000
MAX_COLUMNS = 200
WHOLE_DIGITS = 15  # of a whole number that a float holds exactly
_RULE = re.compile(r"\|?(\s*:?-+:?\s*\|)+\s*(:?-+:?\s*)?\|?\s*")  # GitHub's own, of one hyphen or more
_SPLIT = re.compile(r"(?<!\\)\|")
# What figures in reports look like: 1,234.5  $ 12  (3.4)  −5  12 %; thousands in groups of three.
_NUMBER = re.compile(r"\(?\s*[-−+]?\s*[$€£¥]?\s*[-−]?((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)\s*%?\s*\)?\s*%?")
_NOTHING = frozenset({"", "-", "–", "—", "n/a", "N/A"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """``columns`` are distinct names; of each the ``numeric`` says whether all its cells are numbers or empty.

    ``rows``: a number where the column is numeric, None where the cell is empty, else text. ``left_out``: rows beyond MAX_ROWS.
    """

    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left_out: int = 0


def text_of(passages: Iterable[Hit]) -> str:
    """A document's text out of its passages, which may overlap; where nothing is known between two, they are paragraphs."""
    text, end = "", 0
    for hit in sorted(passages, key=lambda h: (h.chunk.start, h.chunk.end)):
        chunk = hit.chunk
        if chunk.end <= end:
            continue
        # White space alone lies between passages that follow on each other within a table.
        text += chunk.text[max(0, end - chunk.start) :] if chunk.start <= end else _gap(chunk.start - end) + chunk.text
        end = chunk.end
    return text


def _gap(width: int) -> str:
    return "\n" if width == 1 else "\n\n"


def tables_in(text: str) -> list[Table]:
    """The pipe tables of a text, in order; those without a row, or with more than MAX_COLUMNS, are left out."""
    found = [w for w in _written_in(text.split("\n")) if w.body and 0 < len(w.header) <= MAX_COLUMNS]
    return [replace(_typed(w.header, w.body[:MAX_ROWS]), left_out=max(0, len(w.body) - MAX_ROWS)) for w in found]


class _Written:
    """A table's cells as they are written."""

    def __init__(self, header: list[str]) -> None:
        self.header = header
        self.body: list[list[str]] = []
        self._numeric: list[bool] | None = None  # of the columns; None until it is asked for
        self._n_judged = 0  # rows that the next two know, so that no row is judged again for each part
        self._says = [False] * len(header)  # whether a column has a cell that is not empty …
        self._figures = [True] * len(header)  # … and figures alone

    def go_on(self, rows: list[list[str]]) -> None:
        """Takes the rows of a part that repeats the header; a label that is repeated, too, is no row."""
        if self.body and rows and _is_label(rows[0]) and not _is_label(self.body[-1]):
            label = next((row for row in reversed(self.body) if _is_label(row)), None)
            rows = rows[1:] if label == rows[0] else rows
        self.body += rows
        self._numeric = None

    def goes_on_with(self, rows: list[list[str]]) -> bool:
        """Whether rows without a header are this table's: as many cells, and figures where all so far are figures."""
        width = len(self.header)
        if not self.body or any(len(row) != width for row in rows):
            return False
        if self._numeric is None:  # and no rows that are let in change it
            self._numeric = self._judged()
        figures = [j for j, numeric in enumerate(self._numeric) if numeric]
        return all(row[j] in _NOTHING or number(row[j]) is not None for row in rows for j in figures)

    def _judged(self) -> list[bool]:
        """Of each column, whether it is one of figures."""
        for row in self.body[self._n_judged :]:
            for j, cell in enumerate(row[: len(self.header)]):
                if cell not in _NOTHING:
                    self._says[j] = True
                    self._figures[j] = self._figures[j] and _is_numeric([cell])
        self._n_judged = len(self.body)
        return [says and figures for says, figures in zip(self._says, self._figures, strict=True)]


def _written_in(lines: Sequence[str]) -> list[_Written]:
    found: list[_Written] = []
    last: _Written | None = None  # the table after which nothing but white space has come
    i = 0
    while i < len(lines):
        if _is_header(lines, i):
            header, (rows, end) = _cells(lines[i]), _rows(lines, i + 2)
            if last is None or last.header != header:
                found.append(last := _Written(header))
            last.go_on(rows)
            i = end
        elif lines[i].strip().startswith("|"):
            rows, i = _rows(lines, i)
            if last is not None and last.goes_on_with(rows):
                last.body += rows
            else:
                last = None
        else:
            last = None if lines[i].strip() else last
            i += 1
    return found


def _is_header(lines: Sequence[str], i: int) -> bool:
    return "|" in lines[i] and i + 1 < len(lines) and _RULE.fullmatch(lines[i + 1].strip()) is not None


def _rows(lines: Sequence[str], start: int) -> tuple[list[list[str]], int]:
    """The rows from line ``start`` on, and the line after them."""
    end = start
    while end < len(lines) and lines[end].strip().startswith("|"):
        end += 1
    return [_cells(line) for line in lines[start:end]], end


def _is_label(row: Sequence[str]) -> bool:
    """Whether it is the label of a group: "Net sales:" with every other cell empty."""
    return len(row) > 1 and bool(row[0]) and not any(row[1:])


def number(cell: str) -> float | None:
    """The number that a cell is, in the unit it is written in (12 % is 12, (3) is −3); None where it is none."""
    match = _NUMBER.fullmatch(cell.strip())
    if match is None:
        return None
    value = float(match[1].replace(",", ""))
    negative = any(sign in cell for sign in "-−") or ("(" in cell and ")" in cell)
    return -value if negative else value


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return [cell.strip().replace("\\|", "|") for cell in _SPLIT.split(inner)]


def _typed(header: Sequence[str], body: Sequence[Sequence[str]]) -> Table:
    columns = _names(header)
    width = len(columns)
    # Short rows are filled up; what stands beyond the header has no name and is left out.
    rows = [[*row[:width], *[""] * (width - len(row))] for row in body]
    numeric = tuple(_is_numeric([row[j] for row in rows]) for j in range(width))
    typed = tuple(
        tuple(number(cell) if numeric[j] else (None if cell == "" else cell) for j, cell in enumerate(row))
        for row in rows
    )
    return Table(columns=columns, numeric=numeric, rows=typed)


def _is_numeric(cells: Sequence[str]) -> bool:
    said = [cell for cell in cells if cell not in _NOTHING]
    return bool(said) and all(number(cell) is not None and not _is_code(cell) for cell in said)


def _is_code(cell: str) -> bool:
    """Whether the figures of a number would not be the same again: a postcode's leading zero, an account of twenty figures."""
    match = _NUMBER.fullmatch(cell.strip())
    whole = match[1].partition(".")[0].replace(",", "") if match is not None else ""
    return len(whole) > WHOLE_DIGITS or (len(whole) > 1 and whole.startswith("0"))


def _names(header: Sequence[str]) -> tuple[str, ...]:
    """As they stand; an empty one is "column 3", and one that is there already gets a number."""
    names: list[str] = []
    taken: set[str] = set()
    for i, cell in enumerate(header, start=1):
        name = base = " ".join(cell.split()) or f"column {i}"
        n = 2
        while name.lower() in taken:  # SQL's names know no case
            name, n = f"{base} {n}", n + 1
        taken.add(name.lower())
        names.append(name)
    return tuple(names)
