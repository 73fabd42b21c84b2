"""Fills chunks with units up to a budget, ending at the best boundary near the end, and steps back for the overlap.

A table or a code block stays whole if it fits, and is cut between lines if it does not; no chunk overlaps into one. A list is
cut before an item rather than within one.
It knows units (ranges with a cost and how well a chunk may begin there), not what they are: words or sentences.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from core.errors import InvalidRequest
from ingest.parse.document import Heading
from ingest.parse.literal import literal_blocks

_MAX_GAP_CHARACTERS = 1000  # white space longer than this never lies inside a chunk
_HEADING_FROM = 0.25  # a chunk filled this far ends before a heading
_PARAGRAPH_FROM = 0.7
_LINE_FROM = 0.85
_ITEM_FROM = 0.5  # so an item longer than half a chunk may be cut
_LINE_OF_BLOCK_FROM = 0.3  # within a table any end of a row is better than a cut through one
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"(?:[-*+•‣◦▪●○■□–—]|\(?(?:\d{1,3}|[a-zA-Z])[.)])[^\S\n]+\S")
_TABLE_LINE = re.compile(r" {0,3}\|.*\|\s*$")


class Boundary(IntEnum):
    """How well a chunk may begin before a unit."""

    INSIDE = 0  # between two units of one line
    LINE = 1
    ITEM = 2  # a line that begins an item of a list
    PARAGRAPH = 3
    HEADING = 4
    FORCED = 5


class Unit(NamedTuple):
    start: int
    end: int
    cost: int  # tokens
    boundary: Boundary
    block: int = 0  # the same positive number for all units of one table or code block


def boundaries(text: str, ranges: Sequence[tuple[int, int, int]], headings: Sequence[Heading]) -> list[Unit]:
    """Units from (start, end, cost) ranges, with the boundary before each told from the text and the headings."""
    starts = sorted(h.start for h in headings)
    blocks = block_spans(text)
    next_heading = next_block = 0
    units: list[Unit] = []
    previous_end = 0
    for start, end, cost in ranges:
        gap = text[previous_end:start]
        boundary = Boundary.INSIDE
        if next_heading < len(starts) and starts[next_heading] <= start:
            boundary = Boundary.HEADING
            while next_heading < len(starts) and starts[next_heading] <= start:
                next_heading += 1
        elif "\n" in gap:
            line = Boundary.ITEM if _ITEM.match(text, start) else Boundary.LINE
            boundary = Boundary.PARAGRAPH if _BLANK_LINE.search(gap) else line
        if len(gap) > _MAX_GAP_CHARACTERS:
            boundary = Boundary.FORCED
        while next_block < len(blocks) and blocks[next_block][1] <= start:
            next_block += 1
        inside = next_block < len(blocks) and blocks[next_block][0] <= start
        units.append(Unit(start, end, cost, boundary, next_block + 1 if inside else 0))
        previous_end = end
    return units


def block_spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of each Markdown table (two lines of cells or more), each closed code block, and each literal block of
    reStructuredText of two lines or more, in order."""
    spans: list[tuple[int, int]] = []
    fence, fence_start = "", 0
    table_start, table_lines = 0, 0
    position = 0
    lines = text.split("\n")
    literal = {first: last for first, last in literal_blocks(lines) if last - first > 1} if "::" in text else {}
    literal_start, literal_last = 0, -1  # of the literal block that is open, and its last line
    for n, line in enumerate(lines):
        start, position = position, position + len(line) + 1
        if n <= literal_last:
            if n == literal_last:
                spans.append((literal_start, position - 1))
            continue
        if fence:
            if line.strip() == fence or (line.strip().startswith(fence) and not line.strip().strip(fence[0])):
                spans.append((fence_start, position - 1))
                fence = ""
            continue
        if _TABLE_LINE.match(line):
            table_start = table_start if table_lines else start
            table_lines += 1
            continue
        if table_lines > 1:
            spans.append((table_start, start - 1))
        table_lines = 0
        if n in literal:
            literal_start, literal_last = start, literal[n] - 1
        elif match := _FENCE.match(line):
            fence, fence_start = match.group(1), start
    if table_lines > 1:
        spans.append((table_start, len(text)))
    return spans


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
                if units[nxt - 1].boundary >= Boundary.HEADING or units[nxt - 1].block:
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
    best = {Boundary.PARAGRAPH: 0, Boundary.LINE: 0, Boundary.ITEM: 0}
    row = block_first = 0  # in the block at hand: where its last line, and where itself begins
    cost, i = 0, first
    while i < len(units):
        unit = units[i]
        if i > first:
            inside = unit.block > 0 and unit.block == units[i - 1].block
            if unit.boundary is Boundary.FORCED or (
                unit.boundary is Boundary.HEADING and cost >= _HEADING_FROM * budget and not inside
            ):
                return i
            if unit.block and not inside:
                block_first, row = i, 0
            if inside:
                if unit.boundary >= Boundary.LINE and cost >= _LINE_OF_BLOCK_FROM * budget:
                    row = i
            elif unit.boundary >= Boundary.PARAGRAPH and cost >= _PARAGRAPH_FROM * budget:
                best[Boundary.PARAGRAPH] = i
            elif unit.boundary >= Boundary.LINE and cost >= _LINE_FROM * budget:
                best[Boundary.LINE] = i
            elif unit.boundary is Boundary.ITEM and cost >= _ITEM_FROM * budget:
                best[Boundary.ITEM] = i
            if cost + unit.cost > budget:
                if inside:
                    begun_here = units[first].block == unit.block
                    return (0 if begun_here else block_first) or row or i
                return best[Boundary.PARAGRAPH] or best[Boundary.LINE] or best[Boundary.ITEM] or i
        cost += unit.cost
        i += 1
    return i
