"""The header of a table of a Word document: one row, each column with all that stands over it.

It knows rows and what their cells span, not how a cell's text is read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_MAX_HEADER_ROWS = 4
_FIGURE = re.compile(r"[-−–+($€£¥\s]*\d[\d.,\s]*[)%\s]*")
_YEAR = re.compile(r"(?:19|20)\d\d")


@dataclass(frozen=True, slots=True)
class WordRow:
    """``cells`` are (text, columns that it spans) from the left; one that goes on with the cell above has no text."""

    cells: Sequence[tuple[str, int]]
    is_head: bool  # Word repeats it on each page

    @property
    def texts(self) -> list[str]:
        """A text for each column; a cell that spans several stands in the first."""
        return [piece for text, span in self.cells for piece in (text, *[""] * (span - 1))]

    @property
    def spread(self) -> list[str]:
        """A text for each column, that of a cell over several in each, but for one over the whole row."""
        return [text for text, span in self.cells for _ in range(span)] if len(self.cells) > 1 else self.texts


def joined_rows(rows: Sequence[WordRow]) -> list[list[str]]:
    """The texts of ``rows``, the first of which is the header: what several rows of header say is in it."""
    count = _header_rows(rows)
    texts = [row.texts for row in rows]
    if count < 2:
        return texts
    over = [row.spread for row in rows[: count - 1]] + [texts[count - 1]]
    width = max(map(len, over))
    columns = [[row[c] for row in over if c < len(row) and row[c]] for c in range(width)]
    return [[" ".join(dict.fromkeys(column)) for column in columns], *texts[count:]]


def _header_rows(rows: Sequence[WordRow]) -> int:
    count = 0
    while count < min(_MAX_HEADER_ROWS, len(rows)) and rows[count].is_head:
        if count and any(map(_is_figure, rows[count].texts)):
            break
        count += 1
    if count == len(rows):  # every row is marked: that tells nothing
        count = 0
    return max(count, 2) if _is_divided(rows) else count


def _is_divided(rows: Sequence[WordRow]) -> bool:
    """Whether the second row says what cells over several columns of the first are made of, and figures follow."""
    if len(rows) < 3 or len(rows[0].cells) < 2:
        return False
    below = rows[1].texts
    if below[:1] != [""] or any(map(_is_figure, below)):
        return False
    column, divided = 0, False
    for text, span in rows[0].cells:
        divided = divided or bool(text and span > 1 and sum(map(bool, below[column : column + span])) > 1)
        column += span
    return divided and any(_is_figure(text) for row in rows[2:] for text in row.texts)


def _is_figure(text: str) -> bool:
    return bool(_FIGURE.fullmatch(text)) and not _YEAR.fullmatch(text)
