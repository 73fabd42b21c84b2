"""Pages whose text is not in the file: rendered, read by OCR, and put in place of what there was. Frames of pictures, too.

A page comes here because ``read_page`` found a problem that a look at the page may mend. What is read there must be
better than what there was: a text layer whose letters OCR does not know is kept.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from ingest.parse.document import ParseWarning
from ingest.parse.ocr import OcrPage, OcrReader
from ingest.parse.ocr_page import read_lines
from ingest.parse.pdf_join import RawPage
from ingest.parse.pdf_lines import Line
from ingest.parse.pdf_tables import find_tables, with_tables

WITHOUT_TEXT = "image-without-text"  # OCR looked, and there was none: nothing is lost
_DPI = 300
_MIN_DPI = 70
_MAX_PIXELS = 20_000_000
_LEAST = 30  # mean confidence under which what was read means nothing
_DOUBT = 70  # and under which it is said
_SURE = 70  # to take the place of a text layer


def read_scanned(document: Any, raw: RawPage, ocr: OcrReader) -> None:
    """Reads page ``raw`` of a pdfium document, which has a problem of those that a look may mend."""
    read_looked_at(raw, ocr, lambda: _rendered(document, raw.number - 1))


def read_looked_at(raw: RawPage, ocr: OcrReader, look: Callable[[], tuple[Any, int]]) -> None:
    """Reads ``raw`` anew, whose problem says afterwards what came of it.

    Args:
        look: gives the picture of the page (PIL) and its dots per inch.
    """
    problem = raw.problem
    if problem is None:
        return
    refusal = ocr.refusal()
    if refusal:
        if problem.code == "page-is-image":
            raw.problem = problem._replace(message=f"{_subject(raw)} and {refusal}")
        return
    ocr.begin()
    try:
        image, dpi = look()
        found = ocr.read(image, dpi)
    except (RuntimeError, MemoryError, OSError) as e:  # pdfium's error is a RuntimeError, Pillow's an OSError
        reason = str(e) or "it needs too much memory"
        if problem.code == "page-is-image":
            raw.problem = problem._replace(
                code="ocr-failed", message=f"{_subject(raw)} that OCR could not read ({reason[:200]})"
            )
        return
    if problem.code == "unmapped-font" and not _outdoes(found, raw):
        return
    raw.problem = _judgement(found, raw, problem)
    if found.confidence < _LEAST or (raw.lines and found.letters < _letters(raw.lines)):
        return
    take(raw, found, dpi, image.size)


def take(raw: RawPage, found: OcrPage, dpi: int, size: tuple[int, int]) -> None:
    """Puts what OCR read in place of the text of ``raw``."""
    read = read_lines(found, dpi, size)
    raw.tables = find_tables(None, read.lines, None, 0)
    raw.table_ranges = [[(read.lines[i].start, read.lines[i].end) for i in sorted(t.lines)] for t in raw.tables]
    raw.text, raw.lines, raw.words = read.text, with_tables(read.lines, raw.tables), read.words
    raw.confidence = found.confidence


def _subject(raw: RawPage) -> str:
    visible = _letters(raw.lines)
    if visible:
        return f"page {raw.number} is mostly an image with {visible} letters of text beside it"
    return f"page {raw.number} is an image"


def _judgement(found: OcrPage, raw: RawPage, problem: ParseWarning) -> ParseWarning | None:
    """What is to be said of a page that was read."""
    n, code = raw.number, problem.code
    if not found.letters:
        if code != "page-is-image":
            return problem._replace(lost=code != "page-is-drawing")
        return ParseWarning(WITHOUT_TEXT, f"page {n} is an image in which OCR found no text", n)
    if found.confidence < _LEAST:
        return ParseWarning("ocr-failed", f"page {n} was looked at by OCR, which could make no sense of it", n, True)
    how = f"page {n} was read by OCR"
    if code == "unmapped-font":
        how = f"page {n}: the font does not say which letters it draws, so the page was read by OCR"
    if found.confidence < _DOUBT:
        return ParseWarning(
            "ocr-doubtful", f"{how}, with a confidence of {found.confidence:.0f} of 100: some of it may be wrong", n
        )
    return ParseWarning("ocr-font", how, n) if code == "unmapped-font" else None


def _outdoes(found: OcrPage, raw: RawPage) -> bool:
    """Whether OCR is to be believed more than a text layer that is partly wrong."""
    letters = [c for line in raw.lines for c in line.text if c.isalpha()]
    read = [c for line in found.lines for w in line.words for c in w.text if c.isalpha()]
    if found.confidence < _SURE or 2 * len(read) < len(letters):
        return False
    # Arabic read by someone who knows English alone is read with confidence, and wrongly.
    return _foreign(letters) <= 0.05 or _foreign(read) > 0.05


def _foreign(letters: list[str]) -> float:
    return sum(not unicodedata.name(c, "").startswith("LATIN") for c in letters) / max(len(letters), 1)


def _letters(lines: list[Line]) -> int:
    return sum(c.isalnum() for line in lines for c in line.text)


def _rendered(document: Any, index: int) -> tuple[Any, int]:
    """The page as a grey picture, and its resolution in dots per inch."""
    page = document[index]
    try:
        width, height = page.get_size()
        scale = min(_DPI / 72, (_MAX_PIXELS / max(width * height, 1.0)) ** 0.5)
        # Without forms and notes: what they say is read from them, and would stand there twice.
        image = page.render(scale=scale, grayscale=True, may_draw_forms=False, draw_annots=False).to_pil()
        return image.copy(), max(round(72 * scale), _MIN_DPI)
    finally:
        page.close()
