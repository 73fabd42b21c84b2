"""The header of a table: which rows stand over its columns, what each column is called, and the title over it all."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set

from ingest.parse.pdf_rows import Row, Segment, Word, follows, is_prose
from ingest.parse.pdf_table_columns import Column, assign_header

_MAX_HEADER_ROWS = 8
_FLUSH_PT = 2.0
_MAX_CAPTION_CHARACTERS = 160
_PERIOD = re.compile(
    r"\b(?:months?|weeks?|quarters?|years?|ended|ending|fiscal|as of|(?:19|20)\d\d"
    r"|jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b",
    re.IGNORECASE,
)
_WHOLE_PERIOD = re.compile(r"(?:19|20)\d\d\W*$|\b(?:ended|ending)\W*$", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\([^()]*\)")
_NUMBERED_TITLE = re.compile(r"(?:table|figure|fig\.|exhibit|tab\.)\s*\d", re.IGNORECASE)


def is_header(row: Row, left: float, right: float) -> bool:
    """Whether the row names columns: no figures but years, and over the columns or beside a label."""
    if any(s.is_figure for s in row.segments):
        return False
    return len(row.segments) > 1 or row.x0 > left + 0.15 * (right - left)


def header_rows(rows: Sequence[Row], body: int, last: int, over_from: float, used: Set[int]) -> list[Row]:
    """The rows over the body that stand above its columns, top down; wherever they come in the stream."""
    found: list[Row] = []
    right = max(row.x1 for row in rows[body:last])
    others = [
        row for row in (*rows[:body], *rows[last:]) if row.segments and row.x0 < right and used.isdisjoint(row.lines)
    ]
    below = rows[body]
    while len(found) < _MAX_HEADER_ROWS:
        above = min(
            (row for row in others if row.y0 > below.y1 - 0.5 * (below.y1 - below.y0) and row.x1 > over_from),
            key=lambda row: row.y0,
            default=None,
        )
        if above is None or not stands_over(above, below, over_from):
            break
        found.insert(0, above)
        others.remove(above)
        below = above
    return found


def stands_over(row: Row, below: Row, over_from: float) -> bool:
    """Whether ``row`` is a line of the header over ``below``."""
    reach = 1.5 if len(row.segments) == 1 else 2.5
    if not follows(row, below) or row.y0 - below.y1 > reach * (row.y1 - row.y0) or is_prose(row):
        return False
    over = _over(row, over_from)
    if not over or (len(row.segments) == 1 and _NUMBERED_TITLE.match(row.text)):
        return False
    return not any(s.is_figure for s in over)


def _over(row: Row, over_from: float) -> list[Segment]:
    """The cells of a header line but for one over the labels."""
    return row.segments[1:] if row.x0 < over_from else row.segments


def column_names(rows: Sequence[Row], columns: Sequence[Column], over_from: float) -> list[list[Word]]:
    """The words of the header for the labels and for each column, from the header's rows, top down."""
    names: list[list[Word]] = [[] for _ in range(len(columns) + 1)]
    levels: list[list[Segment]] = []
    for row in rows:
        # "(In millions)" says what all the figures are.
        over = [] if len(row.segments) == 1 and _IN_BRACKETS.fullmatch(row.text) else _over(row, over_from)
        names[0] += [w for s in row.segments if s not in over for w in s.words]
        levels.append(over)
    for level in stacked(levels):
        ranges = assign_header(
            [
                (min(s.x0 for s in stack), max(s.x1 for s in stack), any(_PERIOD.search(s.text) for s in stack))
                for stack in level
            ],
            columns,
        )
        for stack, (a, b) in zip(level, ranges, strict=True):
            for c in range(a, b):
                names[c + 1] += [w for s in stack for w in s.words]
    return names


def stacked(levels: Sequence[Sequence[Segment]]) -> list[list[list[Segment]]]:
    """Joins header cells that are lines of one name ("June 25," over "2022"), and gives them by their lowest line.

    Two lines belong together if each stands over, or under, no other and their middles agree: what stands over
    several is a title of them all.
    """
    stacks: list[list[list[Segment]]] = [[] for _ in levels]
    below: dict[int, Segment] = {}  # by identity of the upper segment
    taken: set[int] = set()
    for n, level in enumerate(levels):
        most = max((len(lower) for lower in levels[n + 1 :]), default=0)
        if most > len(level) and all(_WHOLE_PERIOD.search(s.text) for s in level):
            continue  # a date over the middle of three columns is the date of all three
        # So is one that stands below the names of the columns.
        names = [
            lower
            for lower in levels[n + 1 :]
            if len(lower) >= len(level) or not all(_PERIOD.search(s.text) for s in lower)
        ]
        for segment in level:
            under = next((o for o in (_overlapping(segment, lower) for lower in names) if o), [])
            if len(under) == 1 and len(_overlapping(under[0], level)) == 1 and id(under[0]) not in taken:
                shift = abs((segment.x0 + segment.x1) - (under[0].x0 + under[0].x1)) / 2
                flush = min(abs(segment.x0 - under[0].x0), abs(segment.x1 - under[0].x1)) < _FLUSH_PT
                if flush or shift < 0.3 * max(segment.x1 - segment.x0, under[0].x1 - under[0].x0):
                    below[id(segment)] = under[0]
                    taken.add(id(under[0]))
    place = {id(s): n for n, level in enumerate(levels) for s in level}
    for level in levels:
        for segment in level:
            if id(segment) in taken:
                continue
            stack = [segment]
            while id(stack[-1]) in below:
                stack.append(below[id(stack[-1])])
            stacks[place[id(stack[-1])]].append(stack)
    return [sorted(level, key=lambda stack: stack[-1].x0) for level in stacks if level]


def _overlapping(segment: Segment, others: Sequence[Segment]) -> list[Segment]:
    return [o for o in others if min(segment.x1, o.x1) - max(segment.x0, o.x0) > 0]


def caption_words(rows: Sequence[Row], top: Row) -> list[Word]:
    """The title lines over a table: bold, centred or in brackets, or the end of a sentence that announces it."""
    found: list[Row] = []
    length = 0
    announced = False
    first = next(n for n, row in enumerate(rows) if row is top)
    for row in reversed(rows[max(0, first - 3) : first]):
        below = found[0] if found else top
        gap = row.y0 - below.y1
        if len(row.segments) != 1 or gap > 2 * (row.y1 - row.y0) or gap < -0.5 * (row.y1 - row.y0):
            break
        text = row.text
        length += len(text)
        title = row.bold or text.startswith("(") or row.x0 > min(below.x0, top.x0) + 4 * row.size
        announced = announced or (not found and not title and text.endswith(":"))
        if length > _MAX_CAPTION_CHARACTERS or not (title or announced):
            break
        found.insert(0, row)
        if announced and not text[:1].islower():
            break
    return [w for row in found for w in row.words]
