"""Tables of a PDF page that are told by white space alone: figures in columns, under headers, beside labels.

Most tables of reports have no lines that could be followed; what makes them tables is that words stand under each
other with empty strips between. Lines are cut into cells where a gap is wider than a space, cells are gathered into
columns, and the rows above the first figures become one header, each column with all that stands over it.

It knows where words are, not what they mean. A table that it does not see stays lines of text: nothing is lost.
Coordinates are those of ``pdf_lines``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

from ingest.parse.clean import plain
from ingest.parse.pdf_lines import Line, char_box
from ingest.parse.pdf_table_columns import Column, assign_header, find_columns
from ingest.parse.tables import SEGMENT_SEPARATOR, table_segments

_GAP = 0.8  # of the type size: a wider gap parts two cells
_ROWS_BACK = 6  # a line may join a row this far back in the stream: header cells of several lines come one by one
_HEADER_REACH = 10  # type sizes: a line this far up may belong to the header that is being drawn
_MAX_LABELS_IN_A_ROW = 4
_MAX_HEADER_ROWS = 8
_FLUSH_PT = 2.0
_MAX_COLUMNS = 40
_MIN_VALUES = 4  # fewer figures may be the numbers of equations
_MAX_CAPTION_CHARACTERS = 160
_WORD = re.compile(r"\S+")
_VALUE = re.compile(
    r"[-−–+(<>~≈±]*\s*(?:[A-Z]{0,3}[$€£¥])?\s*[-−–+(]*\d[\d.,:/'’ ]*\d?(?:[eE][-+]?\d+)?\s*[)%‰x°]*\s*(?:bps?|pts?|ppts?|pp|[)%])?"
    r"|(?:[$€£¥]\s*)?[—–-]+\s*%?|[$€£¥]|N/?[AM]|n/?[am]|\*|%",
)
_YEAR = re.compile(r"(?:FY|Q[1-4]|H[12])?\s*'?(?:19|20)\d\d\s*(?:Q[1-4]|E|\(\d\))?")
_PERIOD = re.compile(
    r"\b(?:months?|weeks?|quarters?|years?|ended|ending|fiscal|as of|(?:19|20)\d\d"
    r"|jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b",
    re.IGNORECASE,
)
_WHOLE_PERIOD = re.compile(r"(?:19|20)\d\d\W*$|\b(?:ended|ending)\W*$", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\([^()]*\)")
_NUMBERED_TITLE = re.compile(r"(?:table|figure|fig\.|exhibit|tab\.)\s*\d", re.IGNORECASE)
_CURRENCY = re.compile(r"[A-Z]{0,3}[$€£¥]")
_OPENS = re.compile(r"[$€£¥(]+")
_CLOSES = re.compile(r"[)%‰]+")
_BULLET = re.compile(r"[•‣◦▪●○■□◆➢►✓·∙–—*\uf0b7\uf0a7-]|\(?[0-9a-zA-Z]{1,3}[.)]")
_UNFINISHED = re.compile(
    r"(?:[,(–—-]|\b(?:and|or|of|to|the|for|in|on|at|by|from|with|net|a|an|than|as))$", re.IGNORECASE
)


@dataclass(slots=True)
class Word:
    text: str
    start: int  # index in the page's text
    x0: float
    x1: float


@dataclass(slots=True)
class Segment:
    """Words of a row with no wide gap between them: a cell, or a part of one."""

    words: list[Word]

    @property
    def text(self) -> str:
        return " ".join(w.text for w in self.words)

    @property
    def x0(self) -> float:
        return self.words[0].x0

    @property
    def x1(self) -> float:
        return self.words[-1].x1

    @property
    def is_value(self) -> bool:
        return _VALUE.fullmatch(self.text) is not None and not self.text.endswith(",")

    @property
    def is_figure(self) -> bool:
        """A value that is neither a year nor a mere sign ("%" may stand over a column)."""
        return self.is_value and not self.is_year and any(c.isdigit() for c in self.text)

    @property
    def is_year(self) -> bool:
        return _YEAR.fullmatch(self.text) is not None


@dataclass(slots=True)
class Row:
    """What stands at one height. ``lines`` are indexes of the page's lines."""

    y0: float
    y1: float
    size: float
    lines: list[int]
    words: list[Word] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    bold: bool = False

    @property
    def x0(self) -> float:
        return self.segments[0].x0

    @property
    def x1(self) -> float:
        return self.segments[-1].x1

    @property
    def text(self) -> str:
        return " ".join(s.text for s in self.segments)

    @property
    def values(self) -> list[Segment]:
        return [s for s in self.segments if s.is_value]


@dataclass(frozen=True, slots=True)
class Table:
    """A table as Markdown, and where each of its words stands on the page.

    ``places`` are (offset in ``markdown``, length, index in the page's text) of each word, those of a repeated header
    but once; ``lines`` are the page's lines that it replaces.
    """

    markdown: str
    places: tuple[tuple[int, int, int], ...]
    lines: frozenset[int]


def find_tables(textpage: Any, lines: Sequence[Line], indexes: Sequence[int] | None, rotation: int) -> list[Table]:
    """The tables of a page, in the order of its lines.

    Args:
        lines, indexes: as ``page_lines`` and ``page_characters`` gave them.
        rotation: of the page, in quarter turns.
    """
    if not may_have_table(lines):
        return []
    rows = page_rows(textpage, lines, indexes, rotation)
    tables: list[Table] = []
    used: set[int] = set()
    for first, last in _blocks(rows):
        for a, b in _split_at_headers(rows, first, last):
            table = _table(rows, a, b, used)
            if table is not None:
                tables.append(table)
                used |= table.lines
    return tables


def with_tables(lines: Sequence[Line], tables: Sequence[Table]) -> list[Line]:
    """``lines`` with those of each table replaced by one that holds its Markdown."""
    first = {min(table.lines): table for table in tables}
    gone = {n for table in tables for n in table.lines}
    result: list[Line] = []
    for n, line in enumerate(lines):
        if n in first:
            result.append(Line(first[n].markdown, line.start, line.end, False, is_table=True))
        if n not in gone:
            result.append(line)
    return result


def may_have_table(lines: Sequence[Line]) -> bool:
    """Whether two lines or more are wider than their letters, or stand beside another. Costs no look at the page."""
    found = 0
    previous: Line | None = None
    for line in lines:
        if not line.placed:
            continue
        stretched = line.x1 - line.x0 > 0.62 * line.size * len(line.text) + 2 * line.size
        beside = (
            previous is not None
            and min(previous.y1, line.y1) - max(previous.y0, line.y0) > 0.5 * min(previous.height, line.height)
            and line.x0 - previous.x1 > line.size
        )
        found += stretched or beside
        if found >= 2:
            return True
        previous = line
    return False


def page_rows(textpage: Any, lines: Sequence[Line], indexes: Sequence[int] | None, rotation: int) -> list[Row]:
    """The lines of a page gathered by height, cut into segments, in the order of the stream."""
    rows: list[Row] = []
    for number, line in enumerate(lines):
        words = _words(textpage, line, indexes, rotation) if line.placed else []
        if not words:
            # What cannot be placed ends every table.
            rows.append(Row(0.0, 0.0, 1.0, [number]))
            continue
        row = _row_beside(rows, line)
        if row is None:
            row = Row(line.y0, line.y1, line.size, [], bold=line.bold)
            rows.append(row)
        row.lines.append(number)
        row.words += words
    for row in rows:
        row.words.sort(key=lambda w: w.x0)
        row.segments = _segments(row)
    return _top_down(rows)


def _top_down(rows: list[Row]) -> list[Row]:
    """Puts rows that come after one just under them before it: header cells are often drawn one by one."""
    for i in range(1, len(rows)):
        j = i
        while (
            j > max(0, i - _ROWS_BACK)
            and rows[j].segments
            and rows[j - 1].segments
            and 0.3 * rows[j].size < rows[j].y0 - rows[j - 1].y0 < _HEADER_REACH * rows[j].size
        ):
            rows[j - 1], rows[j] = rows[j], rows[j - 1]
            j -= 1
    return rows


def _words(textpage: Any, line: Line, indexes: Sequence[int] | None, rotation: int) -> list[Word]:
    words: list[Word] = []
    for match in _WORD.finditer(line.text):
        start, end = line.start + match.start(), line.start + match.end()
        first, last = (start, end - 1) if indexes is None else (indexes[start], indexes[end - 1])
        a, b = char_box(textpage, first, rotation), char_box(textpage, last, rotation)
        if a is None or b is None or b[2] < a[0]:
            return []
        words.append(Word(plain(match.group()), start, a[0], b[2]))
    if words and line.hyphen:
        words[-1].text += "-"
    return words


def _row_beside(rows: Sequence[Row], line: Line) -> Row | None:
    for row in reversed(rows[-_ROWS_BACK:]):
        overlap = min(row.y1, line.y1) - max(row.y0, line.y0)
        if overlap > 0.5 * min(row.y1 - row.y0, line.height):
            free = all(line.x0 > w.x1 - 1 or line.x1 < w.x0 + 1 for w in row.words)
            return row if free else None
    return None


def _segments(row: Row) -> list[Segment]:
    found: list[Segment] = []
    for word in row.words:
        # The "$" of the next column may stand closer to this figure than to its own.
        starts = _CURRENCY.fullmatch(word.text) and found and _VALUE.fullmatch(found[-1].words[-1].text)
        if found and not starts and word.x0 - found[-1].x1 <= _GAP * row.size:
            found[-1].words.append(word)
        else:
            found.append(Segment([word]))
    # "$" belongs to the figure after it and ")" or "%" to the one before, however far away they are set.
    joined: list[Segment] = []
    for segment in found:
        before = joined[-1] if joined else None
        opens = before is not None and (
            _OPENS.fullmatch(before.text) or (len(joined) == 1 and _BULLET.fullmatch(before.text))
        )
        closes = before is not None and _CLOSES.fullmatch(segment.text) and segment.x0 - before.x1 < 2 * row.size
        if before is not None and (opens or closes):
            before.words += segment.words
        else:
            joined.append(segment)
    return joined


# ---------------------------------------------------------------- where a table begins and ends


def _blocks(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Half-open ranges of rows that may be tables: rows of several cells, with labels of their own line between."""
    blocks: list[tuple[int, int]] = []
    i = 0
    while i < len(rows):
        if len(rows[i].segments) < 2:
            i += 1
            continue
        last = i
        j = i + 1
        while j < len(rows) and j - last <= _MAX_LABELS_IN_A_ROW and _follows(rows[j - 1], rows[j]):
            if len(rows[j].segments) >= 2:
                last = j
            elif _is_prose(rows[j]) and rows[j].x1 > rows[last].segments[1].x0:
                break
            j += 1
        blocks.append((i, last + 1))
        i = last + 1
    return [(a, b) for a, b in blocks if b - a >= 2]


def _follows(above: Row, below: Row) -> bool:
    """Whether ``below`` lies under ``above``, not far, in type of about the same size."""
    if not above.segments or not below.segments:
        return False
    gap = above.y0 - below.y1
    height = max(above.y1 - above.y0, below.y1 - below.y0)
    return -0.7 * height < gap < 2.5 * height


def _is_prose(row: Row) -> bool:
    return len(row.text) > 110 or (len(row.text) > 70 and row.text.rstrip()[-1:] in ".;")


def _split_at_headers(rows: Sequence[Row], first: int, last: int) -> list[tuple[int, int]]:
    """Parts a block where a header follows figures: another table begins."""
    left = min(row.x0 for row in rows[first:last])
    right = max(row.x1 for row in rows[first:last])
    kinds = [_is_header(row, left, right) for row in rows[first:last]]
    cuts = [first]
    data = False
    i = first
    while i < last:
        run = i
        while run < last and kinds[run - first]:
            run += 1
        # A centred line by itself ("LIABILITIES AND EQUITY") is the label of a part, not a header.
        if run > i and any(len(row.segments) > 1 or row.segments[0].is_year for row in rows[i:run]):
            if data:
                cuts.append(i)
            data = False
        elif run == i:
            data = data or _is_data(rows[i])
        i = max(run, i + 1)
    return list(pairwise([*cuts, last]))


def _is_header(row: Row, left: float, right: float) -> bool:
    """Whether the row names columns: no figures but years, and over the columns or beside a label."""
    if any(s.is_figure for s in row.segments):
        return False
    return len(row.segments) > 1 or row.x0 > left + 0.15 * (right - left)


def _is_year_row(row: Row) -> bool:
    rest = row.segments[1:] if not row.segments[0].is_value else row.segments
    return len(rest) > 0 and all(s.is_year for s in rest)


def _is_data(row: Row) -> bool:
    return len(row.segments) >= 2 and any(s.is_value and not s.is_year for s in row.segments[1:])


# ---------------------------------------------------------------- one table


def _table(rows: Sequence[Row], first: int, last: int, used: Set[int]) -> Table | None:
    block = rows[first:last]
    data = [row for row in block if _is_data(row)]
    if len(data) < 2 or sum(len(row.values) for row in data) < _MIN_VALUES:
        return None
    left = min(row.x0 for row in block)
    size = median(row.size for row in block)
    has_label = [not row.segments[0].is_value or row.x0 < left + 2 * size for row in data]
    cells = [s for row, label in zip(data, has_label, strict=True) for s in row.segments[1 if label else 0 :]]
    columns = find_columns([(s.x0, s.x1, s.is_value) for s in cells], size)
    if not 1 <= len(columns) <= _MAX_COLUMNS:
        return None
    labels = [row.segments[0].x1 for row, label in zip(data, has_label, strict=True) if label]
    label = Column(left, min(columns[0].x0, max(labels, default=left)))
    over_from = min(label.x1 - size, columns[0].x0 - 3 * size)
    if not _fits(data, columns):
        return None

    body_from = _body_from(rows, first, last, columns[0].x0, over_from)
    while last > body_from and not _is_data(rows[last - 1]) and not _ends_label(rows[last - 2], rows[last - 1]):
        last -= 1  # what follows the last figures is the next part's title
    header_rows = _header_rows(rows, body_from, last, over_from, used)
    names: list[list[Word]] = [[] for _ in range(len(columns) + 1)]
    levels: list[list[Segment]] = []
    for row in header_rows:
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
    body = _body(rows[body_from:last], columns, label, size)
    caption = _caption(rows, header_rows[0] if header_rows else rows[body_from])
    return _markdown(names, caption, body, _lines_of([*header_rows, *rows[body_from:last]]))


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


def _fits(data: Sequence[Row], columns: Sequence[Column]) -> bool:
    """Whether rows fill different columns with their cells: words of prose that happen to stand apart do not."""
    good = 0
    for row in data:
        taken = [max(range(len(columns)), key=lambda c: columns[c].overlap(s.x0, s.x1)) for s in row.values]
        good += len(set(taken)) == len(taken)
    return good >= 0.75 * len(data)


def _body_from(rows: Sequence[Row], first: int, last: int, columns_from: float, over_from: float) -> int:
    """The first row of the body: that of the first figures, or of the labels right over it ("Net sales:")."""
    data = body = next(i for i in range(first, last) if _is_data(rows[i]))
    while body > 0 and data - body < _MAX_LABELS_IN_A_ROW and _is_label(rows[body - 1], columns_from):
        if not _follows(rows[body - 1], rows[body]):
            break
        body -= 1
    if body < first and not (body > 0 and _stands_over(rows[body - 1], rows[body], over_from)):
        return first  # without a header over them these are lines of text
    return body


def _header_rows(rows: Sequence[Row], body: int, last: int, over_from: float, used: Set[int]) -> list[Row]:
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
        if above is None or not _stands_over(above, below, over_from):
            break
        found.insert(0, above)
        others.remove(above)
        below = above
    return found


def _is_label(row: Row, columns_from: float) -> bool:
    return len(row.segments) == 1 and row.x0 < columns_from - 3 * row.size and row.x1 < columns_from + 6 * row.size


def _over(row: Row, over_from: float) -> list[Segment]:
    """The cells of a header line but for one over the labels."""
    return row.segments[1:] if row.x0 < over_from else row.segments


def _ends_label(above: Row, row: Row) -> bool:
    """Whether ``row`` is the end of a label that began with the figures in the line above."""
    return (
        row.text[:1].islower()
        and len(row.segments) == 1
        and above.y0 - row.y1 < 0.6 * (row.y1 - row.y0)
        and _is_data(above)
    )


def _stands_over(row: Row, below: Row, over_from: float) -> bool:
    """Whether ``row`` is a line of the header over ``below``."""
    reach = 1.5 if len(row.segments) == 1 else 2.5
    if not _follows(row, below) or row.y0 - below.y1 > reach * (row.y1 - row.y0) or _is_prose(row):
        return False
    over = _over(row, over_from)
    if not over or (len(row.segments) == 1 and _NUMBERED_TITLE.match(row.text)):
        return False
    return not any(s.is_figure for s in over)


def _caption(rows: Sequence[Row], top: Row) -> list[Word]:
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


def _body(rows: Sequence[Row], columns: Sequence[Column], label: Column, size: float) -> list[list[list[Word]]]:
    """Rows of cells (words), the label first; labels that were broken over lines are whole again."""
    body: list[list[list[Word]]] = []
    pending: list[Word] = []  # a label whose figures come with the next line
    previous: Row | None = None
    pitches = [a.y0 - b.y0 for a, b in pairwise(rows) if _is_data(a) and _is_data(b)]
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
            cut > 1 and _VALUE.fullmatch(segment.words[cut - 1].text) and segment.words[cut - 1].x0 >= columns[0].x0 - 1
        ):
            cut -= 1
        cells[0] += segment.words[:cut]
        for word in segment.words[cut:]:
            cells[1 + _nearest(columns, word.x0, word.x1)].append(word)
        return
    overlapped = [c for c, column in enumerate(columns) if column.overlap(segment.x0, segment.x1) > 0.5]
    if len(overlapped) > 1 and not segment.is_value and len(segment.words) > 1:
        for word in segment.words:
            cells[1 + _nearest(columns, word.x0, word.x1)].append(word)
    else:
        cells[1 + _nearest(columns, segment.x0, segment.x1)] += segment.words


def _nearest(columns: Sequence[Column], x0: float, x1: float) -> int:
    return max(range(len(columns)), key=lambda c: (columns[c].overlap(x0, x1), -abs(columns[c].middle - (x0 + x1) / 2)))


def _lines_of(rows: Sequence[Row]) -> frozenset[int]:
    return frozenset(n for row in rows for n in row.lines)


# ---------------------------------------------------------------- Markdown


def _markdown(
    names: Sequence[Sequence[Word]],
    caption: Sequence[Word],
    body: Sequence[Sequence[Sequence[Word]]],
    lines: frozenset[int],
) -> Table | None:
    header = any(names[1:])
    top = [[*caption, *names[0]], *names[1:]]
    grid: list[Sequence[Sequence[Word]]] = [top, *body] if header else list(body)
    texts = [[" ".join(w.text for w in cell) for cell in row] for row in grid]
    parts: list[str] = []
    places: list[tuple[int, int, int]] = []
    offset = 0
    depths = [row[0][0].x0 if row[0] else None for row in grid]
    for n, segment in enumerate(table_segments(texts, header, depths=depths)):
        if n:
            parts.append(SEGMENT_SEPARATOR)
            offset += len(SEGMENT_SEPARATOR)
        for k, (index, line) in enumerate(segment):
            if k:
                parts.append("\n")
                offset += 1
            if index is not None:
                places += _word_places(line, [w for cell in grid[index] for w in cell], offset)
            parts.append(line)
            offset += len(line)
    return Table("".join(parts), tuple(places), lines) if parts else None


def _word_places(line: str, words: Sequence[Word], offset: int) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    position = 0
    for word in words:
        at = line.find(word.text, position)
        if at >= 0:  # one with a "|" is written otherwise
            found.append((offset + at, len(word.text), word.start))
            position = at + len(word.text)
    return found
