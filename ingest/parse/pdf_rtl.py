"""Right-to-left runs in the order they are read.

Some programs write Arabic and Hebrew in the order they are read, others in the order they are seen; pdfium takes all
for the second and turns them round. Where the letters lie tells: the first letter of a run lies at its right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_RTL = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff"
_RUN = re.compile(f"[{_RTL}](?:[{_RTL} \u00a0]*[{_RTL}])?")


def has_rtl(text: str) -> bool:
    return not text.isascii() and _RUN.search(text) is not None


def reading_order(
    text: str, indexes: Sequence[int] | None, x_of: Callable[[int], float | None]
) -> tuple[str, Sequence[int] | None]:
    """Turns round the runs whose letters lie left to right.

    Args:
        text: one page; a run never crosses a line end.
        indexes: the pdfium index of each code point, None where they are the same.
        x_of: where the character with that pdfium index begins, in points from the left.
    """
    characters = list(text)
    order = list(indexes) if indexes is not None else list(range(len(text)))
    for match in _RUN.finditer(text):
        a, b = match.start(), match.end()
        if b - a < 2:
            continue
        # Marks lie over their letters, so the outermost letters are asked.
        first, last = x_of(order[a]), x_of(order[b - 1])
        if first is not None and last is not None and first < last - 0.5:
            characters[a:b] = characters[a:b][::-1]
            order[a:b] = order[a:b][::-1]
    return "".join(characters), order
