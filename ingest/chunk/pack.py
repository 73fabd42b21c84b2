"""Fills chunks with units up to a budget, ending at the best boundary near the end, and steps back for the overlap.

It knows units (ranges with a cost and how well a chunk may begin there), not what they are: words or sentences.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from core.errors import InvalidRequest
from ingest.parse.document import Heading

_MAX_GAP_CHARACTERS = 1000  # white space longer than this never lies inside a chunk
_HEADING_FROM = 0.25  # a chunk filled this far ends before a heading
_PARAGRAPH_FROM = 0.7
_LINE_FROM = 0.85
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")


class Boundary(IntEnum):
    """How well a chunk may begin before a unit."""

    INSIDE = 0  # between two units of one line
    LINE = 1
    PARAGRAPH = 2
    HEADING = 3
    FORCED = 4


@dataclass(frozen=True, slots=True)
class Unit:
    start: int
    end: int
    cost: int  # tokens
    boundary: Boundary


def boundaries(text: str, ranges: Sequence[tuple[int, int, int]], headings: Sequence[Heading]) -> list[Unit]:
    """Units from (start, end, cost) ranges, with the boundary before each told from the text and the headings."""
    starts = sorted(h.start for h in headings)
    next_heading = 0
    units: list[Unit] = []
    previous_end = 0
    for start, end, cost in ranges:
        gap = text[previous_end:start]
        boundary = Boundary.INSIDE
        if next_heading < len(starts) and starts[next_heading] <= start:
            boundary = Boundary.HEADING
            while next_heading < len(starts) and starts[next_heading] <= start:
                next_heading += 1
        elif _BLANK_LINE.search(gap):
            boundary = Boundary.PARAGRAPH
        elif "\n" in gap:
            boundary = Boundary.LINE
        if len(gap) > _MAX_GAP_CHARACTERS:
            boundary = Boundary.FORCED
        units.append(Unit(start, end, cost, boundary))
        previous_end = end
    return units


def pack(units: Sequence[Unit], budget: int, overlap: int) -> list[tuple[int, int]]:
    """Ranges of text that hold all units, each within ``budget`` unless a single unit is not.

    Consecutive ranges share whole units that cost at most ``overlap``, but for those parted by a heading: a new
    section begins clean.

    Raises:
        InvalidRequest: ``overlap`` is not smaller than ``budget``.
    """
    check_budget(budget, overlap)
    ranges: list[tuple[int, int]] = []
    first = 0
    while first < len(units):
        end = _fill(units, first, budget)
        ranges.append((units[first].start, units[end - 1].end))
        if end >= len(units):
            break
        nxt = end
        if units[end].boundary < Boundary.HEADING:
            shared = 0
            while nxt - 1 > first and shared + units[nxt - 1].cost <= overlap:
                if units[nxt - 1].boundary >= Boundary.HEADING:
                    break
                nxt -= 1
                shared += units[nxt].cost
            # The overlap must leave room for something new, or the chunk would be a part of this one.
            while nxt < end and _fill(units, nxt, budget) <= end:
                nxt += 1
        first = nxt
    return ranges


def check_budget(budget: int, overlap: int) -> None:
    if budget < 1 or overlap < 0 or overlap >= budget:
        raise InvalidRequest(
            f"an overlap of {overlap} tokens does not fit chunks of {budget}: choose 0 to {max(0, budget - 1)}",
            code="bad-chunk-size",
        )


def _fill(units: Sequence[Unit], first: int, budget: int) -> int:
    """One past the last unit of the chunk that begins with ``first``."""
    best = {Boundary.PARAGRAPH: 0, Boundary.LINE: 0}
    cost, i = 0, first
    while i < len(units):
        unit = units[i]
        if i > first:
            if unit.boundary is Boundary.FORCED or (
                unit.boundary is Boundary.HEADING and cost >= _HEADING_FROM * budget
            ):
                return i
            if unit.boundary >= Boundary.PARAGRAPH and cost >= _PARAGRAPH_FROM * budget:
                best[Boundary.PARAGRAPH] = i
            elif unit.boundary is Boundary.LINE and cost >= _LINE_FROM * budget:
                best[Boundary.LINE] = i
            if cost + unit.cost > budget:
                return best[Boundary.PARAGRAPH] or best[Boundary.LINE] or i
        cost += unit.cost
        i += 1
    return i
