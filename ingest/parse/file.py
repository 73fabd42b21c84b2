"""One file in, one ParsedDocument out, whatever its kind. Runs in the parsing child; see ``ingest.parse.sandbox``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from core.errors import EmptyDocument, OpenbookError, ParseFailed, TooLarge
from ingest.parse.document import ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.kinds import Kind
from ingest.parse.sniff import sniff
from ingest.parse.source import File, MemoryFile, size_of

if TYPE_CHECKING:  # loaded with the first page that needs it
    from ingest.parse.ocr import OcrReader

Inner: TypeAlias = Callable[[MemoryFile, str, ParseLimits], ParsedDocument]  # reads an attachment


def _nothing() -> None:
    pass


def _no_matter(_: int) -> None:
    pass


def parse_file(
    path: Path,
    filename: str,
    limits: ParseLimits,
    *,
    password: str | None = None,
    progressed: Callable[[], None] = _nothing,
    before_ocr: Callable[[int], None] = _no_matter,
) -> ParsedDocument:
    """Reads the file at ``path``; ``filename`` is what a person calls it, and serves for messages and as a last title.

    Args:
        password: of an encrypted PDF; without one the empty password is tried.
        progressed: called after each page.
        before_ocr: called with 0, 1, … before each page or picture that is read by OCR, which takes seconds.

    Raises:
        UnsupportedType: not a kind that is read; the message says what it is.
        EmptyDocument: zero bytes, white space alone, or pages that are images.
        Encrypted: a password is needed, or the one given is wrong.
        TooLarge: over one of ``limits``.
        ParseFailed: damaged, with the reason.
    """
    reader = _LazyOcr(limits, before_ocr)
    try:
        return _read(path, filename, limits, password, progressed, reader, attached=False)
    finally:
        reader.close()


class _LazyOcr:
    """The file's OCR reader, made when a page first needs it; attachments share it."""

    def __init__(self, limits: ParseLimits, before: Callable[[int], None]) -> None:
        self._limits = limits
        self._before = before
        self._reader: OcrReader | None = None

    def __call__(self) -> OcrReader:
        if self._reader is None:
            from ingest.parse.ocr import OcrReader

            self._reader = OcrReader(self._limits, self._before)
        return self._reader

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


def _read(
    file: File,
    filename: str,
    limits: ParseLimits,
    password: str | None,
    progressed: Callable[[], None],
    ocr: Callable[[], OcrReader],
    *,
    attached: bool,
) -> ParsedDocument:
    size = size_of(file)
    if size == 0:
        raise EmptyDocument(f"{filename} is empty (0 bytes)")
    if size > limits.max_file_bytes:
        raise TooLarge(
            f"{filename} has {size / 2**20:.0f} MiB, over the limit of {limits.max_file_bytes / 2**20:.0f} MiB: "
            "split it, or raise max_upload_bytes in the settings",
            code="file-too-large",
        )
    found = sniff(file, filename)

    def inner(part: MemoryFile, name: str, share: ParseLimits) -> ParsedDocument:
        document = _read(part, name, share, None, progressed, ocr, attached=True)
        progressed()
        return document

    try:
        document = _parse(found.kind, file, filename, limits, password, progressed, ocr, None if attached else inner)
    except OpenbookError:
        raise
    except (MemoryError, RecursionError) as e:
        reason = "nested too deeply" if isinstance(e, RecursionError) else "needs more memory than a file may take"
        raise ParseFailed(f"{filename} could not be read: it is {reason}", code="too-complex") from e
    except Exception as e:
        raise ParseFailed(f"{filename} could not be read ({type(e).__name__}: {e})") from e
    if found.mismatch:
        document = replace(document, warnings=(ParseWarning("misnamed", found.mismatch), *document.warnings))
    return document


def _parse(
    kind: Kind,
    path: File,
    filename: str,
    limits: ParseLimits,
    password: str | None,
    progressed: Callable[[], None],
    ocr: Callable[[], OcrReader],
    inner: Inner | None,
) -> ParsedDocument:
    # Each parser is imported when it is needed: the child starts without any.
    from ingest.parse.embedded import EmbeddedPictures

    pictures = EmbeddedPictures(limits, ocr, progressed)
    match kind:
        case "pdf":
            from ingest.parse.pdf import parse_pdf

            return parse_pdf(path, filename, limits, password, progressed, ocr, inner)
        case "docx":
            from ingest.parse.docx import parse_docx

            return parse_docx(path, filename, limits, pictures, inner)
        case "html":
            from ingest.parse.html import parse_html

            return parse_html(path, filename, limits)
        case "markdown":
            from ingest.parse.markdown import parse_markdown

            return parse_markdown(path, filename, limits)
        case "text":
            from ingest.parse.text import parse_text

            return parse_text(path, filename, limits)
        case "xlsx":
            from ingest.parse.xlsx import parse_xlsx

            return parse_xlsx(path, filename, limits, pictures, progressed)
        case "pptx":
            from ingest.parse.pptx import parse_pptx

            return parse_pptx(path, filename, limits, pictures)
        case "xls":
            from ingest.parse.xls import parse_xls

            return parse_xls(path, filename, limits)
        case "eml":
            from ingest.parse.eml import parse_eml

            return parse_eml(path, filename, limits, pictures, inner)
        case "msg":
            from ingest.parse.msg import parse_msg

            return parse_msg(path, filename, limits, pictures, inner)
        case "csv":
            from ingest.parse.csv_table import parse_csv

            return parse_csv(path, filename, limits)
        case "epub":
            from ingest.parse.epub import parse_epub

            return parse_epub(path, filename, limits, pictures)
        case "odt" | "ods" | "odp":
            from ingest.parse.odf import parse_odf

            return parse_odf(kind, path, filename, limits, pictures)
        case "rtf":
            from ingest.parse.rtf import parse_rtf

            return parse_rtf(path, filename, limits, pictures)
        case "rst":
            from ingest.parse.rst import parse_rst

            return parse_rst(path, filename, limits)
        case "json":
            from ingest.parse.json_text import parse_json

            return parse_json(path, filename, limits)
        case "xml":
            from ingest.parse.xml_text import parse_xml

            return parse_xml(path, filename, limits)
        case "code":
            from ingest.parse.code import parse_code

            return parse_code(path, filename, limits)
        case "png" | "jpeg" | "tiff" | "webp":
            from ingest.parse.picture import parse_picture

            return parse_picture(kind, path, filename, limits, progressed, ocr)
