"""Collects a document's text paragraph by paragraph, with the offsets of its headings and pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ingest.parse.clean import clean, one_line
from ingest.parse.document import Heading, Page, ParsedDocument, ParseLimits
from ingest.parse.text import check_characters

_GAP = "\n\n"
MAX_LEVEL = 9


@dataclass(slots=True)
class TextWriter:
    """Blocks of text, a blank line between any two. Checks the limit of characters as it goes."""

    filename: str
    limits: ParseLimits
    parts: list[str] = field(default_factory=list)
    length: int = 0
    headings: list[Heading] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)

    def text(self) -> str:
        return _GAP.join(self.parts)

    @property
    def next_start(self) -> int:
        """Where the next block will begin."""
        return self.length + (len(_GAP) if self.parts else 0)

    def block(self, text: str) -> None:
        """Writes a block as it is but for ``clean`` and empty lines around it; white space alone is nothing.

        Raises:
            TooLarge: over ``max_characters``.
        """
        text = clean(text).strip("\n")
        if text.strip():
            self._write(text)

    def heading(self, level: int, text: str) -> None:
        title = one_line(text)
        if title:
            self.headings.append(Heading(min(max(level, 1), MAX_LEVEL), title, self.next_start))
            self._write(title)

    def page(self, number: int, start: int) -> None:
        """Says that what was written since ``start`` (a ``next_start`` of before) is page ``number``."""
        self.pages.append(Page(number, min(start, self.length), self.length))

    def document(self, inner: ParsedDocument, *, level: int = 0) -> None:
        """Writes another document's text; its headings go ``level`` levels deeper."""
        self.passage(inner.text, inner.headings, level=level)

    def passage(self, text: str, headings: Iterable[Heading], *, level: int = 0) -> None:
        if not text.strip():
            return
        start = self.next_start
        for h in headings:
            self.headings.append(Heading(min(h.level + level, MAX_LEVEL), h.text, start + h.start))
        self._write(text)

    def _write(self, text: str) -> None:
        self.length = self.next_start + len(text)
        check_characters(self.length, self.filename, self.limits)
        self.parts.append(text)
