"""Tables as Markdown rows, so that a row stays a row and its cells stay apart."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(rows: Sequence[Sequence[str]], *, header: bool = True) -> str:
    """``rows`` of cell texts as a Markdown table; columns and rows that are empty throughout are dropped.

    Args:
        rows: cells; rows may differ in length.
        header: whether the first row is a header, followed by the rule that Markdown wants.

    Returns:
        The table without a trailing newline; "" if every cell is empty.
    """
    cleaned = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    cleaned = [row for row in cleaned if any(row)]
    width = max((len(row) for row in cleaned), default=0)
    padded = [row + [""] * (width - len(row)) for row in cleaned]
    keep = [i for i in range(width) if any(row[i] for row in padded)]
    lines = ["| " + " | ".join(row[i] for i in keep) + " |" for row in padded]
    if header and len(lines) > 1:
        lines.insert(1, "|" + " --- |" * len(keep))
    return "\n".join(lines)
