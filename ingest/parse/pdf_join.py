"""Pages whose lines are known, as one text: lines joined to paragraphs, and where the words of scanned pages lie.

A paragraph that goes on over a page break is one; running heads and feet do not stand within one.

Shared by the pages of a PDF and by the frames of a picture; it knows neither files nor pdfium.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingest.parse.clean import plain
from ingest.parse.document import OCR_WORDS, Page, ParseWarning
from ingest.parse.pdf_flow import notes_from, over_the_page, paragraph_start
from ingest.parse.pdf_hyphens import Hyphens
from ingest.parse.pdf_lines import Line, join_lines
from ingest.parse.pdf_places import page_places
from ingest.parse.pdf_running import Running, find_running
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
    """``lines`` are those of each page that stand in the text, in its order, ``line_starts`` their offsets in it."""

    text: str
    spans: list[Page]
    lines: list[list[Line]]
    line_starts: list[list[int]]
    words: dict[str, str]  # by page: see OCR_WORDS
    running: str  # heads and feet, each once: see ``Running.told``

    def ocr_metadata(self, pages: Sequence[RawPage]) -> dict[str, object]:
        """How sure OCR was of each page that it read, of 100, and where their words lie; {} if it read none."""
        if not self.words:
            return {}
        return {"ocr": {str(p.number): round(p.confidence) for p in pages if p.words}, OCR_WORDS: self.words}


def join_pages(pages: Sequence[RawPage]) -> Joined:
    """The text of ``pages`` with ``PAGE_SEPARATOR`` between them, or what stands within a paragraph that goes on."""
    hyphens = Hyphens(page.text for page in pages)
    running = find_running([[] if page.words else page.lines for page in pages])
    parts: list[str] = []
    joined = Joined("", [], [], [], {}, running.told())
    position = 0
    for page, laid in zip(pages, _laid_out(pages, running, hyphens), strict=True):
        text, starts = clean_page(*join_lines(laid.lines, hyphens, laid.breaks, laid.link is not None))
        if page.words:
            joined.words[str(page.number)] = _packed_words(page, text)
        if page.notes:
            text = f"{text}{PAGE_SEPARATOR if text else ''}{page.notes}"
        joined.spans.append(Page(page.number, position, position + len(text)))
        joined.lines.append(laid.lines)
        joined.line_starts.append([position + s for s in starts])
        link = PAGE_SEPARATOR if laid.link is None else laid.link
        parts += (text, link)
        position += len(text) + len(link)
    joined.text = "".join(parts[:-1])
    return joined


@dataclass(slots=True)
class _Laid:
    """A page as it stands in the text."""

    body: list[Line]
    notes: list[Line]  # at its foot
    link: str | None = None  # what stands between its last paragraph and the rest of that on the next page
    head: list[Line] = field(default_factory=list)  # running, that part no paragraph
    foot: list[Line] = field(default_factory=list)
    notes_at: int = 0  # before this line of the body

    @property
    def lines(self) -> list[Line]:
        body, at = self.body, self.notes_at
        return [*self.head, *body[:at], *self.notes, *body[at:], *self.foot]

    @property
    def breaks(self) -> frozenset[int]:
        """Where paragraphs begin in ``lines`` whatever the lines look like."""
        notes = len(self.head) + self.notes_at
        after = notes + len(self.notes)
        end = len(self.head) + len(self.body) + len(self.notes)
        return frozenset([len(self.head), end] + ([notes, after] if self.notes else []))


def _laid_out(pages: Sequence[RawPage], running: Running, hyphens: Hyphens) -> list[_Laid]:
    laid: list[_Laid] = []
    for page, outside in zip(pages, running.lines, strict=True):
        lines = [line for i, line in enumerate(page.lines) if i not in outside]
        at = len(lines) if page.words else notes_from(lines)
        laid.append(_Laid(lines[:at], lines[at:], notes_at=at))
    for n, (page, following) in enumerate(itertools.pairwise(pages)):
        if page.words or following.words or page.notes:
            continue
        one, before = laid[n], laid[n - 1].link if n else None
        one.link = over_the_page(one.body, laid[n + 1].body, hyphens)
        if one.link is not None and one.notes:
            one.notes_at = paragraph_start(one.body, hyphens)
            if not one.notes_at and before is not None:  # the paragraph is all of the page, and the notes would part it
                one.link, one.notes_at = None, len(one.body)
    _keep_outside(pages, running, laid)
    return laid


def _keep_outside(pages: Sequence[RawPage], running: Running, laid: Sequence[_Laid]) -> None:
    """Leaves running heads and feet that have a word where they part no paragraph: they say whose page it is."""
    for n, (page, outside) in enumerate(zip(pages, running.lines, strict=True)):
        inner = [i for i in range(len(page.lines)) if i not in outside]
        for i in sorted(outside):
            page.lines[i].running = True
            if not any(c.isalpha() for c in running.name_of[n, i]):
                continue
            if i < inner[0] and not (n and laid[n - 1].link is not None):
                laid[n].head.append(page.lines[i])
            elif i > inner[-1] and laid[n].link is None:
                laid[n].foot.append(page.lines[i])


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
    return pack_words(stored_words(page.words, page_places(text, page.text, tables)))
