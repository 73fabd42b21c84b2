"""How counts and long texts are shown to a person."""

from __future__ import annotations

from collections.abc import Mapping

from core.types import VerdictLabel

# How a verdict is shown, on the page and in a terminal; none for what claims nothing or was not looked at.
VERDICT_MARKS: Mapping[VerdictLabel, str] = {
    "supported": "✓",
    "partial": "◐",
    "contradicted": "✕",
    "unsupported": "!",
    "not_a_claim": "",
    "unverified": "",
}


def plural(n: int, one: str, many: str | None = None) -> str:
    """``1 page``, ``2 pages``, ``1,200 pages``; ``many`` where the plural is more than an s."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def shortened(text: str, most: int) -> str:
    """``text`` in one line of at most ``most`` characters, the last of them "…" where something was left out."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def not_read(n: int, what: str) -> str:
    """``1 picture was not read``, ``3 pictures were not read``."""
    return f"{plural(n, what)} {'was' if n == 1 else 'were'} not read"


def whole_document_note(n: int, of: int) -> str:
    """Of ``of`` questions of an evaluation ``n`` name no passage."""
    return (
        f"{n:,} of {plural(of, 'question')} {'names' if n == 1 else 'name'} a document and no passage, since no answer stands in it word "
        "for word, once: any passage of that document counts as found"
    )
