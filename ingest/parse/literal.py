"""Literal blocks of reStructuredText: indented lines below "::" or a directive for code. It knows lines, not what they say."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CODE = re.compile(r"[ \t]*\.\.[ \t]+(?:code-block|code|sourcecode|parsed-literal|prompt|doctest|testcode)::(?:\s|$)")


def literal_blocks(lines: Sequence[str]) -> list[tuple[int, int]]:
    """(first line, one past the last) of each block, in order: that of a directive from its own line.

    A paragraph that ends in "::" leads to one if a blank line follows, and lines that are indented further.
    """
    found: list[tuple[int, int]] = []
    n = 0
    while n < len(lines):
        line = lines[n]
        code = "::" in line and _CODE.match(line) is not None
        leads = line.rstrip().endswith("::") and not line.lstrip().startswith((".. ", "..\t"))
        if not code and not (leads and n + 1 < len(lines) and not lines[n + 1].strip()):
            n += 1
            continue
        depth = _indent(line)
        last = n
        at = n + 1
        while at < len(lines) and (not lines[at].strip() or _indent(lines[at]) > depth):
            last = at if lines[at].strip() else last
            at += 1
        if last > n:
            first = n if code else next(i for i in range(n + 1, last + 1) if lines[i].strip())
            found.append((first, last + 1))
        n = at
    return found


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
