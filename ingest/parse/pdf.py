"""PDF: text in reading order through pdfium, page by page, with headings, title, dates and what could not be read.

Tables become Markdown (see ``pdf_tables``); forms and notes follow the text of their page (``pdf_marks``), attachments
that of the last one (``pdf_attachments``); pages that are images are read by OCR (``pdf_ocr``).
Pdfium is not thread-safe: one thread of a process may call this module. See ``pdf_page`` for pictures and boxes.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from core.errors import EmptyDocument, Encrypted, ParseFailed, TooLarge
from ingest.parse.clean import is_title, one_line, title_from_filename
from ingest.parse.document import AWAITS_OCR, ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.figures import figures
from ingest.parse.hidden import hidden_warning
from ingest.parse.pdf_headings import headings_from_lines, headings_from_outline
from ingest.parse.pdf_hidden import seen_lines
from ingest.parse.pdf_hyphens import Hyphens
from ingest.parse.pdf_join import PAGE_SEPARATOR, RawPage, clean_page, join_pages
from ingest.parse.pdf_lines import join_lines
from ingest.parse.pdf_page import render_page, text_boxes
from ingest.parse.pdf_tables import find_tables, with_tables
from ingest.parse.source import File, MemoryFile
from ingest.parse.text import check_characters

if TYPE_CHECKING:  # OCR is loaded with the first page that needs it
    from ingest.parse.ocr import OcrReader

__all__ = ["PAGE_SEPARATOR", "open_pdf", "parse_pdf", "read_page", "render_page", "text_boxes"]

Inner: TypeAlias = Callable[[MemoryFile, str, ParseLimits], ParsedDocument]  # reads an attachment

_FEW_CHARACTERS = 50  # a page with fewer is looked at for images
_SAMPLES = 48  # characters per page asked whether their font says what they are
_MAX_OBJECTS = 2000
_MAX_BOOKMARKS = 5000
_MAX_HIGHLIGHTS = 500
_DATE = re.compile(r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(Z|[+-]\d\d'?(?:\d\d'?)?)?")
_MENDABLE = frozenset(["page-is-image", "page-unreadable", "page-is-drawing", "unmapped-font"])  # by looking at it
_METADATA = {
    "Author": "author",
    "Subject": "subject",
    "Keywords": "keywords",
    "CreationDate": "created",
    "ModDate": "modified",
}


@contextmanager
def open_pdf(path: File, filename: str, password: str | None = None) -> Iterator[Any]:
    """The pdfium document at ``path``, closed at the end.

    Raises:
        Encrypted: it needs a password, or another one.
        ParseFailed: pdfium cannot make sense of it (code "damaged").
    """
    try:
        document = pdfium.PdfDocument(path if isinstance(path, Path) else path.read_bytes(), password=password or "")
    except pdfium.PdfiumError as e:
        if e.err_code == pdfium_c.FPDF_ERR_PASSWORD:
            wrong = "the password given is not the right one" if password else "it opens only with its password"
            raise Encrypted(f"{filename} is encrypted: {wrong}") from e
        if e.err_code == pdfium_c.FPDF_ERR_SECURITY:
            raise Encrypted(
                f"{filename} is encrypted in a way that is not supported: save it without encryption"
            ) from e
        raise ParseFailed(
            f"{filename} is not a PDF that can be opened ({str(e).rstrip('.')}): it is damaged or cut off",
            code="damaged",
        ) from e
    try:
        if document.get_formtype() != pdfium_c.FORMTYPE_NONE:  # before any page is loaded, so that fields are drawn
            with _quiet_pdfium():
                document.init_forms()
        yield document
    finally:
        document.close()


@contextmanager
def _quiet_pdfium() -> Iterator[None]:
    """pypdfium2 logs that it does not know XFA forms; ``parse_pdf`` says so itself."""
    log = logging.getLogger("pypdfium2")
    before = log.disabled
    log.disabled = True
    try:
        yield
    except pdfium.PdfiumError:  # a damaged form; the text can be read without, and ``formenv`` stays None
        return
    finally:
        log.disabled = before


def parse_pdf(
    path: File,
    filename: str,
    limits: ParseLimits,
    password: str | None = None,
    progressed: Callable[[], None] = lambda: None,
    ocr: Callable[[], OcrReader] | None = None,
    inner: Inner | None = None,
) -> ParsedDocument:
    """See ``parse_file``; the pages of the result follow each other with ``PAGE_SEPARATOR`` between them.

    Args:
        inner: reads an embedded file; None in a PDF that is an attachment itself.
    """
    try:
        with open_pdf(path, filename, password) as document:
            return _parse(document, filename, limits, progressed, ocr, inner)
    except ParseFailed as e:
        if e.code != "damaged":
            raise
        from ingest.parse.pdf_fallback import parse_with_pypdf

        return parse_with_pypdf(path, filename, limits, password, progressed, first_error=e)


def _parse(
    document: Any,
    filename: str,
    limits: ParseLimits,
    progressed: Callable[[], None],
    ocr: Callable[[], OcrReader] | None,
    inner: Inner | None,
) -> ParsedDocument:
    count = len(document)
    check_pages(count, filename, limits)
    pages: list[RawPage] = []
    characters = 0
    for index in range(count):
        page = read_page(document, index)
        if ocr is not None and page.problem is not None and page.problem.code in _MENDABLE:
            from ingest.parse.pdf_ocr import read_scanned

            read_scanned(document, page, ocr())
        characters += max(len(page.text), sum(len(line.text) for line in page.lines)) + len(page.notes)
        check_characters(characters, filename, limits)
        pages.append(page)
        progressed()
    attached = document.count_attachments()
    if not attached and not any(page.lines or page.notes for page in pages):
        _refuse_empty(pages, filename)

    joined = join_pages(pages)
    text, spans = joined.text, joined.spans
    outline = [(b.level, b.get_title(), _target(b)) for b in itertools.islice(document.get_toc(), _MAX_BOOKMARKS)]
    headings = headings_from_outline(outline, text, spans) or headings_from_lines(
        joined.lines, joined.line_starts, [page.lines for page in pages]
    )
    info = document.get_metadata_dict(skip_empty=True)
    title = info.get("Title", "")
    metadata: dict[str, Any] = {name: one_line(info[key]) for key, name in _METADATA.items() if info.get(key)}
    for key in ("created", "modified"):
        if key in metadata:
            metadata[key] = iso_date(metadata[key])
    metadata["page_count"] = count
    if joined.running:
        metadata["running_heads"] = joined.running
    metadata.update(joined.ocr_metadata(pages))
    unread = [page.number for page in pages if page.problem and page.problem.code == "page-is-image"]
    if unread and ocr is not None and ocr().missing:
        metadata[AWAITS_OCR] = unread
    captions = figures(text, spans)
    if captions:
        metadata["figures"] = captions
    marked = [{"page": page.number, "text": quote} for page in pages for quote in page.highlights]
    if marked:
        metadata["highlights"] = marked[:_MAX_HIGHLIGHTS]
    warnings = [page.problem for page in pages if page.problem] + [w for page in pages for w in page.warnings]
    hidden = [(passage, page.number) for page in pages for passage in page.hidden]
    warnings += hidden_warning([passage for passage, _ in hidden], [number for _, number in hidden])
    if document.get_formtype() == pdfium_c.FORMTYPE_XFA_FULL:
        message = "the form is made for Adobe's XFA: fields that it builds while it is open were not read"
        warnings.append(ParseWarning("xfa-form", message, None, True))
    parsed = ParsedDocument(
        text=text,
        title=one_line(title) if is_title(title) else title_from_filename(filename),
        mime_type="application/pdf",
        pages=tuple(spans),
        headings=headings,
        metadata=metadata,
        warnings=tuple(warnings),
    )
    if attached:
        from ingest.parse.pdf_attachments import with_attachments

        parsed = with_attachments(parsed, document, filename, limits, inner)
        if not parsed.text.strip():
            _refuse_empty(pages, filename)
    return parsed


def iso_date(text: str) -> str:
    """A PDF date ("D:20220729060321-04'00'") as ISO 8601; as it is if it is none."""
    match = _DATE.match(text)
    if match is None:
        return text
    year, month, day, hour, minute, second, zone = match.groups()
    date = f"{year}-{month or '01'}-{day or '01'}"
    if hour is None:
        return date
    zone = (
        ""
        if zone is None
        else "+00:00"
        if zone == "Z"
        else zone.replace("'", "")[:3] + ":" + (zone.replace("'", "")[3:5] or "00")
    )
    return f"{date}T{hour}:{minute or '00'}:{second or '00'}{zone}"


def check_pages(count: int, filename: str, limits: ParseLimits) -> None:
    if count > limits.max_pages:
        raise TooLarge(
            f"{filename} has {count:,} pages, over the limit of {limits.max_pages:,}: "
            "split it, or raise max_pages in the settings",
            code="too-many-pages",
        )
    if count <= 0:
        raise EmptyDocument(f"{filename} is a PDF without pages")


def read_page(document: Any, index: int) -> RawPage:
    """Reads page ``index`` (0-based) of a pdfium document; a page that cannot be loaded is one with a problem."""
    number = index + 1
    try:
        page = document[index]
        textpage = page.get_textpage()
    except pdfium.PdfiumError as e:
        return RawPage(
            number, "", [], ParseWarning("page-damaged", f"page {number} could not be read ({e})", number, True)
        )
    try:
        rotation = pdfium_c.FPDFPage_GetRotation(page)
        seen = seen_lines(page, textpage, rotation)
        tables = find_tables(textpage, seen.lines, seen.indexes, rotation)
        raw = RawPage(number, seen.text, with_tables(seen.lines, tables), hidden=seen.hidden)
        visible = sum(len(line.text.strip()) for line in raw.lines)
        if visible < _FEW_CHARACTERS:
            _look_for_images(raw, page, visible)
            if raw.hidden and raw.problem is not None and raw.problem.code == "page-unreadable":
                raw.problem = None  # it could be read, and was left out
        share = _unmapped_share(textpage)
        if visible and share > 0.1:
            raw.problem = ParseWarning(
                "unmapped-font",
                f"page {number}: the font does not say which letters it draws; about {share:.0%} of the text may be wrong",
                number,
                True,
            )
        if pdfium_c.FPDFPage_GetAnnotCount(page) > 0:
            _read_marks(raw, document.formenv, page, textpage)
        return raw
    finally:
        textpage.close()
        page.close()


def _read_marks(raw: RawPage, formenv: Any, page: Any, textpage: Any) -> None:
    from ingest.parse.pdf_marks import PageMarks

    marks = PageMarks(formenv, page, textpage)
    too_many = marks.read(raw.number)
    raw.notes, raw.highlights = marks.notes, marks.highlights
    if too_many is not None:
        raw.warnings.append(too_many)


def read_page_text(document: Any, number: int) -> str:
    """The text of one page (1-based) as it is stored, hyphens at line ends judged by this page alone."""
    page = read_page(document, number - 1)
    return clean_page(*join_lines(page.lines, Hyphens([page.text])))[0]


def _unmapped_share(textpage: Any) -> float:
    """The share of characters whose font gives no Unicode value, from a sample."""
    count = textpage.count_chars()
    if count <= 0:
        return 0.0
    sample = range(0, count, max(1, count // _SAMPLES))
    wrong = [i for i in sample if pdfium_c.FPDFText_HasUnicodeMapError(textpage, i) == 1]
    return len(wrong) / len(sample)


def _look_for_images(raw: RawPage, page: Any, visible: int) -> None:
    """Tells a scan from a blank page, a drawing, or a page whose text pdfium could not get."""
    width, height = page.get_size()
    covered = 0.0
    kinds: set[int] = set()
    for item in itertools.islice(page.get_objects(max_depth=5), _MAX_OBJECTS):
        kinds.add(item.type)
        if item.type == pdfium_c.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = item.get_bounds()
            covered = max(covered, (right - left) * (top - bottom) / max(width * height, 1.0))
    raw.is_image = pdfium_c.FPDF_PAGEOBJ_IMAGE in kinds
    n = raw.number
    if not visible and raw.is_image:
        raw.problem = ParseWarning("page-is-image", f"page {n} is an image (scanned)", n, True)
    elif raw.is_image and covered > 0.5:
        message = f"page {n} is mostly an image with {visible} characters of text beside it"
        raw.problem = ParseWarning("page-is-image", message, n, True)
    elif not visible and pdfium_c.FPDF_PAGEOBJ_TEXT in kinds:
        raw.problem = ParseWarning("page-unreadable", f"page {n} has text that could not be read", n, True)
    elif not visible and len(kinds) > 0:
        raw.problem = ParseWarning("page-is-drawing", f"page {n} is a drawing without text", n, True)


def _refuse_empty(pages: list[RawPage], filename: str) -> None:
    damaged = sum(page.problem is not None and page.problem.code == "page-damaged" for page in pages)
    if damaged == len(pages):
        raise ParseFailed(
            f"{filename}: none of its {damaged} pages could be read; it is damaged or cut off", code="damaged"
        )
    images = [page for page in pages if page.is_image]
    if images:
        unread = next((p.problem for p in images if p.problem and p.problem.code == "page-is-image"), None)
        reason = unread.message.partition(" is an image")[2] if unread else " in which OCR found no text"
        raise EmptyDocument(
            f"{filename} has no text: {len(images)} of {len(pages)} page{'s' if len(pages) > 1 else ''} "
            f"{'are images' if len(images) > 1 else 'is an image'}{reason or ' (scanned)'}",
            code="scanned",
        )
    blank = "all of it is hidden" if any(page.hidden for page in pages) else "its pages are blank"
    other = next((page.problem.message for page in pages if page.problem), blank)
    raise EmptyDocument(f"{filename} has no text: {other}")


def _target(bookmark: Any) -> int | None:
    destination = bookmark.get_dest()
    return destination.get_index() if destination is not None else None
