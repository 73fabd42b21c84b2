"""Captions of figures: found in the text of a document with pages, so that a hit on one can show the page it stands on.

It knows text alone: where on the page the picture itself is, the page image shows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ingest.parse.document import Page

_MAX_FIGURES = 1000
_LONGEST = 1000  # code points of a caption; what follows is text that ran into it
# A number and then a stop, a colon or a dash; or a capital at once: "Figure 3 shows" begins a sentence, not a caption.
_CAPTION = re.compile(
    r"^(?P<label>(?:Figure|FIGURE|Fig\.?|FIG\.?|Abbildung|Abb\.|Figura|Рис\.|Рисунок|图|圖|図)"
    r"[ \u00a0]?[A-Z]?\d+(?:[.\-–]\d+)*[a-z]?)"
    r"(?:[ \u00a0]?[.:|–—：][ \u00a0]*(?=\S)|[ \u00a0]+(?=[A-Z\u00c0-\u00de\u0410-\u042f\u4e00-\u9fff]))",
    re.MULTILINE,
)


def figures(text: str, pages: Sequence[Page]) -> list[dict[str, Any]]:
    """The captions in ``text``: ``label`` ("Figure 2"), ``page``, and ``start`` and ``end`` of the caption in it."""
    found: list[dict[str, Any]] = []
    for page in pages:
        for match in _CAPTION.finditer(text, page.start, page.end):
            if len(found) == _MAX_FIGURES:
                return found
            end = text.find("\n", match.end(), page.end)
            end = min(page.end if end < 0 else end, match.start() + _LONGEST)
            found.append({"label": match["label"], "page": page.number, "start": match.start(), "end": end})
    return found
