"""Columns of a table from where its cells stand, and which columns a header stands over.

Pure geometry: intervals on the x axis. It knows nothing of words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    x0: float
    x1: float

    @property
    def middle(self) -> float:
        return (self.x0 + self.x1) / 2

    def overlap(self, x0: float, x1: float) -> float:
        return (self.x1 if self.x1 < x1 else x1) - (self.x0 if self.x0 > x0 else x0)  # asked a thousand times a page


def find_columns(cells: Sequence[tuple[float, float, bool]], size: float) -> list[Column]:
    """Columns from (x0, x1, is a figure) of cells, left to right.

    Figures make columns where they overlap; a cell of words makes one only where no figure stands, since words may
    reach over several columns.
    """
    columns = _merged(sorted((x0, x1) for x0, x1, figure in cells if figure), size)
    words = [(x0, x1) for x0, x1, figure in cells if not figure]
    free = sorted(w for w in words if all(c.overlap(*w) <= 0 for c in columns))
    return sorted([*columns, *_merged(free, size)], key=lambda c: c.x0)


def _merged(intervals: Sequence[tuple[float, float]], size: float) -> list[Column]:
    merged: list[Column] = []
    for x0, x1 in intervals:
        # A bracket hangs over its column's edge by less than half a letter.
        if merged and x0 < merged[-1].x1 - 0.1 * size:
            merged[-1] = Column(merged[-1].x0, max(merged[-1].x1, x1))
        else:
            merged.append(Column(x0, x1))
    return merged


def assign_header(segments: Sequence[tuple[float, float, bool]], columns: Sequence[Column]) -> list[tuple[int, int]]:
    """For each header cell of one row the half-open range of columns it stands over.

    Each column belongs to one header at most, headers keep their order, and the choice is the one for which headers
    lie best over the middle (or an edge) of their columns: a title is centred over what it spans.

    Args:
        segments: (x0, x1, is a period) of each header, left to right. A period ("December 31, 2022") may be set flush
            with the last of the columns that it dates; another name over several columns is centred.

    Returns:
        One range per header; an empty one for a header that has no column.
    """
    n, k = len(columns), len(segments)
    if not k:
        return []
    width = (columns[-1].x1 - columns[0].x0) / max(n, 1)
    skipped = 0.25 * width  # what leaving a column without a header costs
    dropped = 3.0 * width  # and a header without a column
    infinity = float("inf")
    # best[j][c]: the cost of the first j headers over the first c columns.
    best = [[infinity] * (n + 1) for _ in range(k + 1)]
    back: list[list[tuple[int, int, bool]]] = [[(0, 0, False)] * (n + 1) for _ in range(k + 1)]
    best[0] = [skipped * c for c in range(n + 1)]
    for c in range(1, n + 1):
        back[0][c] = (0, c - 1, False)
    for j in range(1, k + 1):
        best[j][0] = dropped * j
        back[j][0] = (j - 1, 0, False)
        for c in range(1, n + 1):
            options = [(best[j][c - 1] + skipped, (j, c - 1, False)), (best[j - 1][c] + dropped, (j - 1, c, False))]
            options += [
                (
                    best[j - 1][a] + _misfit(segments[j - 1], columns[a].x0, columns[c - 1].x1, c - a, width),
                    (j - 1, a, True),
                )
                for a in range(c)
            ]
            best[j][c], back[j][c] = min(options)
    ranges = [(0, 0)] * k
    j, c = k, n
    while j > 0:
        before_j, before_c, takes = back[j][c]
        if takes:
            ranges[j - 1] = (before_c, c)
        j, c = before_j, before_c
    return ranges


def _misfit(segment: tuple[float, float, bool], x0: float, x1: float, columns: int, width: float) -> float:
    """How far a header lies from the middle or an edge of the columns it would span, in points."""
    left, right, is_period = segment
    middle = abs((left + right) / 2 - (x0 + x1) / 2)
    edge = min(abs(left - x0), abs(right - x1)) + 0.05 * width
    fit = min(middle, edge) if columns == 1 or is_period else middle
    return fit + 0.02 * width * (columns - 1) + 2 * max(0.0, left - x1, x0 - right)
