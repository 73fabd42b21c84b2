"""Tables as Markdown, so that a row stays a row, its cells stay apart, and no row is far from the table's header.

A long table comes as several: each repeats the header, and the label of the group its first row belongs to. A
passage cut from the middle of a table would otherwise hold figures of which nobody can say what they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# About as many word pieces as one table may have, header included: fits a passage of the default size.
SEGMENT_TOKENS = 190
_TOKEN = re.compile(r"\d{1,2}|[^\W\d_]{1,5}|[^\s]")
_MAX_HEADER_CHARACTERS = 1500  # a "header" longer than this is prose, and is not repeated

SEGMENT_SEPARATOR = "\n\n"


def markdown_table(rows: Sequence[Sequence[str]], *, header: bool = True, segment_tokens: int = SEGMENT_TOKENS) -> str:
    """``rows`` of cell texts as one or several Markdown tables; columns and rows that are empty throughout are dropped.

    Args:
        rows: cells; rows may differ in length.
        header: whether the first row is a header, followed by the rule that Markdown wants, and repeated.
        segment_tokens: roughly how many word pieces a table may have before another begins.

    Returns:
        The tables, a blank line between two of them, without a trailing newline; "" if every cell is empty.
    """
    return SEGMENT_SEPARATOR.join(
        "\n".join(line for _, line in segment) for segment in table_segments(rows, header, segment_tokens)
    )


def table_segments(
    rows: Sequence[Sequence[str]],
    header: bool = True,
    segment_tokens: int = SEGMENT_TOKENS,
    depths: Sequence[float | None] | None = None,
) -> list[list[tuple[int | None, str]]]:
    """The lines of each table of ``markdown_table``, each with the index in ``rows`` of the row it shows.

    The index is None for the rule and for what is repeated. ``depths`` says how far each row's label is indented,
    in any unit, if that is known: a group ends where a label stands as far out as the group's own.
    """
    cleaned = [(i, [" ".join(cell.split()).replace("|", "\\|") for cell in row]) for i, row in enumerate(rows)]
    cleaned = [(i, row) for i, row in cleaned if any(row)]
    width = max((len(row) for _, row in cleaned), default=0)
    keep = [c for c in range(width) if any(c < len(row) and row[c] for _, row in cleaned)]
    shown = [(i, [row[c] if c < len(row) else "" for c in keep]) for i, row in cleaned]
    lines = [(i, "| " + " | ".join(cells) + " |") for i, cells in shown]
    if not header or len(lines) < 2:
        return _split(lines, [], [], segment_tokens)
    head: list[tuple[int | None, str]] = [lines[0], (None, "|" + "-|" * len(keep))]
    groups = _groups([cells for _, cells in shown[1:]], [depths[i] if depths else None for i, _ in shown[1:]])
    if len(lines[0][1]) > _MAX_HEADER_CHARACTERS:
        segments = _split(lines[1:], [], [], segment_tokens)
        return [[*head, *segments[0]], *segments[1:]]
    return _split(lines[1:], head, groups, segment_tokens)


def _split(
    lines: Sequence[tuple[int, str]],
    head: Sequence[tuple[int | None, str]],
    groups: Sequence[int | None],
    segment_tokens: int,
) -> list[list[tuple[int | None, str]]]:
    """Segments of ``lines``, each under ``head``; ``groups`` has for each line the index of its group's label."""
    if not lines:
        return []
    again: list[tuple[int | None, str]] = [(None, line) for _, line in head]
    head_size = repeated = sum(tokens(line) for _, line in head)
    segments: list[list[tuple[int | None, str]]] = []
    current, size = list(head), head_size
    for n, (index, line) in enumerate(lines):
        cost = tokens(line)
        is_label = bool(groups) and groups[n] == n
        # A group's label is no end: it goes with the rows under it.
        full = size + cost + (tokens(lines[n + 1][1]) if is_label and n + 1 < len(lines) else 0) > segment_tokens
        # Half as much that is new as is repeated, or a long header would blow the text up without bound.
        if full and 2 * (size - repeated) >= max(repeated, 1):
            label = groups[n] if groups else None
            orphan = label == n - 1  # its rows come in the next segment, so it does too
            segments.append(current[:-1] if orphan else current)
            current, size, repeated = list(again), head_size, head_size
            if label is not None and label != n:
                current.append(lines[label] if orphan else (None, lines[label][1]))
                repeated = size = head_size + tokens(lines[label][1])
        current.append((index, line))
        size += cost
    return [*segments, current]


def _groups(rows: Sequence[Sequence[str]], depths: Sequence[float | None]) -> list[int | None]:
    """For each row the index of the label row over it ("Net sales:" with every other cell empty), itself for one.

    A group ends with its total, and before a label that stands no deeper than the group's, if others did.
    """
    found: list[int | None] = []
    label: int | None = None
    deeper = total = False
    for n, (row, depth) in enumerate(zip(rows, depths, strict=True)):
        over = depths[label] if label is not None else None
        if total or (deeper and depth is not None and over is not None and depth <= over + 0.5):
            label, total = None, False
        if len(row) > 1 and row[0] and not any(row[1:]):
            label, deeper = n, False
        elif label is not None:
            deeper = deeper or (depth is not None and over is not None and depth > over + 0.5)
            total = row[0].lower().startswith("total")
        found.append(label)
    return found


def tokens(line: str) -> int:
    """About how many word pieces a row costs: figures cost one for each two digits."""
    return sum(1 for _ in _TOKEN.finditer(line))
