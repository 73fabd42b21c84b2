"""Pages whose lines are known, as one text: lines joined to paragraphs, and where the words of scanned pages lie.

Shared by the pages of a PDF and by the frames of a picture; it knows neither files nor pdfium.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingest.parse.clean import plain
from ingest.parse.document import OCR_WORDS, Page, ParseWarning
from ingest.parse.pdf_hyphens import Hyphens
from ingest.parse.pdf_lines import Line, join_lines
from ingest.parse.pdf_page import table_places
from ingest.parse.pdf_tables import Table

if TYPE_CHECKING:  # OCR is loaded with the first page that needs it
    from ingest.parse.ocr_page import PlacedWord

PAGE_SEPARATOR = "\n\n"


@dataclass(slots=True)
class RawPage:
    """One page before its lines are joined. ``problem`` says why it has no or doubtful text."""

    number: int
    text: str  # as pdfium, or OCR, gave it
    lines: list[Line]
    problem: ParseWarning | None = None
    is_image: bool = False
    notes: str = ""  # what its form fields and annotations say: stands after its text
    highlights: list[str] = field(default_factory=list)  # what is marked in it, without a comment
    warnings: list[ParseWarning] = field(default_factory=list)  # beside ``problem``
    hidden: list[str] = field(default_factory=list)  # passages that nobody sees, which are left out
    # Of a page that was read by OCR: where its words lie (offsets in ``text``), its tables and the ranges of ``text``
    # that each stands for, and how sure the reading is, of 100.
    words: list[PlacedWord] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    table_ranges: list[list[tuple[int, int]]] = field(default_factory=list)
    confidence: float = 0.0


@dataclass(slots=True)
class Joined:
    """``line_starts`` has for each page the offsets in ``text`` of its lines."""

    text: str
    spans: list[Page]
    line_starts: list[list[int]]
    words: dict[str, str]  # by page: see OCR_WORDS

    def ocr_metadata(self, pages: Sequence[RawPage]) -> dict[str, object]:
        """How sure OCR was of each page that it read, of 100, and where their words lie; {} if it read none."""
        if not self.words:
            return {}
        return {"ocr": {str(p.number): round(p.confidence) for p in pages if p.words}, OCR_WORDS: self.words}


def join_pages(pages: Sequence[RawPage]) -> Joined:
    """The text of ``pages`` with ``PAGE_SEPARATOR`` between them."""
    hyphens = Hyphens(page.text for page in pages)
    texts: list[str] = []
    joined = Joined("", [], [], {})
    position = 0
    for page in pages:
        text, starts = clean_page(*join_lines(page.lines, hyphens))
        if page.words:
            joined.words[str(page.number)] = _packed_words(page, text)
        if page.notes:
            text = f"{text}{PAGE_SEPARATOR if text else ''}{page.notes}"
        joined.spans.append(Page(page.number, position, position + len(text)))
        joined.line_starts.append([position + s for s in starts])
        texts.append(text)
        position += len(text) + len(PAGE_SEPARATOR)
    joined.text = PAGE_SEPARATOR.join(texts)
    return joined


def clean_page(text: str, starts: list[int]) -> tuple[str, list[int]]:
    """Cleans one page's text; ``starts`` are moved along with it."""
    if text.isascii() and text.isprintable():
        return text, starts
    pieces = [text[a:b] for a, b in itertools.pairwise([*starts, len(text)])]
    cleaned = [plain(p) for p in pieces]
    return "".join(cleaned), [0, *itertools.accumulate(map(len, cleaned))][:-1]


def _packed_words(page: RawPage, text: str) -> str:
    from ingest.parse.ocr_page import pack_words, stored_words

    tables = [(t.markdown, t.places, r) for t, r in zip(page.tables, page.table_ranges, strict=True)]
    return pack_words(stored_words(page.words, table_places(text, page.text, tables)))
