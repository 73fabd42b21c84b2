"""How counts and long texts are shown to a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def tell_apart(sources: Sequence[tuple[str, str, str]]) -> list[str]:
    """What to say beside the titles of sources so that no two of them read alike: "" where the title is enough.

    The same source may be there several times. Names of files come from strangers: whoever shows them takes that into account.

    Args:
        sources: (title, uri, collection) of each; "" for what is not known.

    Returns:
        For each the file's name, or, where these are alike too, its whole uri, or that with its collection.
    """
    found = []
    for source in sources:
        alike = {other for other in sources if _plain(other[0]) == _plain(source[0])}
        ways = (lambda s: _file_name(s[1]), lambda s: s[1], lambda s: ", ".join(part for part in s[1:] if part))
        said = [way(source) for way in ways if len({way(other) for other in alike}) == len(alike)]
        found.append(said[0] if said and len(alike) > 1 else "")
    return found


def _plain(title: str) -> str:
    return " ".join(title.split()).casefold()


def _file_name(uri: str) -> str:
    return uri.replace("\\", "/").rstrip("/").rpartition("/")[2] or uri
