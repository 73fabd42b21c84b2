"""The body of a table: words put into the cells they stand in, labels that were broken over lines made whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from ingest.parse.pdf_rows import VALUE, Row, Segment, Word, is_data
from ingest.parse.pdf_table_columns import Column

_UNFINISHED = re.compile(
    r"(?:[,(–—-]|\b(?:and|or|of|to|the|for|in|on|at|by|from|with|net|a|an|than|as))$", re.IGNORECASE
)


def body_rows(rows: Sequence[Row], columns: Sequence[Column], label: Column, size: float) -> list[list[list[Word]]]:
    """Rows of cells (words), the label first; labels that were broken over lines are whole again."""
    body: list[list[list[Word]]] = []
    pending: list[Word] = []  # a label whose figures come with the next line
    previous: Row | None = None
    pitches = [a.y0 - b.y0 for a, b in pairwise(rows) if is_data(a) and is_data(b)]
    pitch = median(pitches) if pitches else 0.0
    for n, row in enumerate(rows):
        cells: list[list[Word]] = [[] for _ in range(len(columns) + 1)]
        for k, segment in enumerate(row.segments):
            _place(segment, k == 0, len(row.segments) == 1, cells, columns, label, size)
        only_label = not any(cells[1:])
        text = " ".join(w.text for w in cells[0])
        near = previous is not None and previous.y0 - row.y1 < 0.6 * (row.y1 - row.y0)
        if only_label and not pending and near and body and text[:1].islower() and not text.endswith(":"):
            body[-1][0] += cells[0]
        elif only_label and n + 1 < len(rows) and _goes_on(row, rows[n + 1], label, pitch):
            pending += cells[0]
        else:
            cells[0] = pending + cells[0]
            pending = []
            body.append(cells)
        previous = row
    if pending:
        body.append([pending, *([] for _ in columns)])
    return body


def _goes_on(row: Row, following: Row, label: Column, pitch: float) -> bool:
    """Whether a label without figures continues in the next line. ``pitch`` is the usual distance of rows."""
    text, rest = row.text.rstrip(), following.segments[0].text
    if text.endswith(":") or following.x0 > label.x1 or row.y0 - following.y1 > 0.6 * (row.y1 - row.y0):
        return False
    if 0 < row.y0 - following.y0 < 0.85 * pitch:
        return True  # lines of one label stand closer than rows do
    return rest[:1].islower() or _UNFINISHED.search(text) is not None or text.count("(") > text.count(")")


def _place(
    segment: Segment,
    is_first: bool,
    alone: bool,
    cells: list[list[Word]],
    columns: Sequence[Column],
    label: Column,
    size: float,
) -> None:
    """Puts the words of ``segment`` into the cell or cells they stand in."""
    if alone and not segment.is_value:  # a label may be centred over the whole table
        cells[0] += segment.words
        return
    in_label = is_first and segment.x0 < label.x0 + max(0.5 * (label.x1 - label.x0), 2 * size)
    if in_label and (not segment.is_value or segment.x1 <= label.x1 + size):
        # Figures at the end of a long label that stand in a column belong to it.
        cut = len(segment.words)
        while (
            cut > 1 and VALUE.fullmatch(segment.words[cut - 1].text) and segment.words[cut - 1].x0 >= columns[0].x0 - 1
        ):
            cut -= 1
        cells[0] += segment.words[:cut]
        for word in segment.words[cut:]:
            cells[1 + nearest(columns, word.x0, word.x1)].append(word)
        return
    overlapped = [c for c, column in enumerate(columns) if column.overlap(segment.x0, segment.x1) > 0.5]
    if len(overlapped) > 1 and not segment.is_value and len(segment.words) > 1:
        for word in segment.words:
            cells[1 + nearest(columns, word.x0, word.x1)].append(word)
    else:
        cells[1 + nearest(columns, segment.x0, segment.x1)] += segment.words


def nearest(columns: Sequence[Column], x0: float, x1: float) -> int:
    return max(range(len(columns)), key=lambda c: (columns[c].overlap(x0, x1), -abs(columns[c].middle - (x0 + x1) / 2)))
