"""What is said of text that a document holds and does not show to whoever opens it.

Such text is left out of what is stored wherever it can be told for certain, and the warning quotes it: so a person sees what was
kept from them, and no model reads it. What may be shown (a hidden sheet, a slide that is skipped) is read under a heading
that says so (``marked``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.wording import plural
from ingest.parse.clean import one_line
from ingest.parse.document import ParseWarning

_QUOTED_CHARACTERS = 160
_MAX_NAMED = 10


def hidden_warning(passages: Sequence[str], pages: Sequence[int] = ()) -> Iterable[ParseWarning]:
    """One warning for all hidden passages, quoting the first; none if there are none.

    Args:
        pages: on which they stand, in order, where there are pages.
    """
    if passages:
        characters = sum(map(len, passages))
        quote = one_line(passages[0], _QUOTED_CHARACTERS)
        numbers = list(dict.fromkeys(pages))
        where = ""
        if numbers:
            listed = ", ".join(map(str, numbers[:_MAX_NAMED])) + (" …" if len(numbers) > _MAX_NAMED else "")
            where = f" on page{'s' if len(numbers) > 1 else ''} {listed}"
        yield ParseWarning(
            "hidden-text",
            f"hidden text was left out ({characters} characters in {plural(len(passages), 'place')}{where}): “{quote}”",
            numbers[0] if len(numbers) == 1 else None,
        )


def marked(name: str, what: str) -> str:
    """The heading of a part that the program does not show: "Costs (hidden sheet)"."""
    return f"{name} (hidden {what})".strip()
