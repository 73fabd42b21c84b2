"""The second reader: pypdf, for files that pdfium cannot open. Slow (a thirtieth of pdfium's speed), but forgiving."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import EmptyDocument, Encrypted, OpenbookError, ParseFailed
from ingest.parse.clean import clean, expand_ligatures, is_title, one_line, plain_spaces, title_from_filename
from ingest.parse.document import Page, ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.source import File
from ingest.parse.text import check_characters

_MAX_MESSAGES = 5


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.messages) < _MAX_MESSAGES:
            self.messages.append(one_line(record.getMessage(), 200))


@contextmanager
def _quiet_pypdf() -> Iterator[list[str]]:
    """Keeps pypdf's log off stderr and collects its first lines."""
    log = logging.getLogger("pypdf")
    collector, propagate = _Collector(), log.propagate
    log.addHandler(collector)
    log.propagate = False
    try:
        yield collector.messages
    finally:
        log.propagate = propagate
        log.removeHandler(collector)


def parse_with_pypdf(
    path: File,
    filename: str,
    limits: ParseLimits,
    password: str | None,
    progressed: Callable[[], None],
    first_error: ParseFailed,
) -> ParsedDocument:
    """Reads what pypdf can get.

    Raises:
        ParseFailed: ``first_error``, if pypdf gets nothing either.
        Encrypted, TooLarge: as ``parse_file`` says.
    """
    with _quiet_pypdf() as messages:
        import pypdf

        try:
            reader = pypdf.PdfReader(path if isinstance(path, Path) else path.open("rb"), strict=False)
            if reader.is_encrypted and not reader.decrypt(password or ""):
                raise Encrypted(f"{filename} is encrypted: it opens only with its password")
            document = _read(reader, filename, limits, messages, progressed)
        except OpenbookError:
            raise
        except Exception as e:
            raise ParseFailed(
                f"{first_error.message}; the second reader says: {one_line(str(e), 200)}", code="damaged"
            ) from e
    if not document.text.strip():
        raise EmptyDocument(f"{filename} is damaged, and what is left of it holds no text")
    return document


def _read(
    reader: object, filename: str, limits: ParseLimits, messages: list[str], progressed: Callable[[], None]
) -> ParsedDocument:
    from ingest.parse.pdf import PAGE_SEPARATOR, check_pages

    pages = reader.pages  # type: ignore[attr-defined]
    check_pages(len(pages), filename, limits)
    texts: list[str] = []
    spans: list[Page] = []
    warnings = [
        ParseWarning("damaged", "the file is damaged; what a forgiving reader could get of it is here", None, True),
    ]
    position = 0
    for number in range(1, len(pages) + 1):
        text = ""
        try:
            raw = pages[number - 1].extract_text()
            text = clean(plain_spaces(expand_ligatures(raw))).strip()
        except Exception as e:  # noqa: BLE001  one bad page must not lose the others
            message = f"page {number} could not be read ({one_line(str(e), 120)})"
            warnings.append(ParseWarning("page-damaged", message, number, True))
        check_characters(position + len(text), filename, limits)
        progressed()
        spans.append(Page(number, position, position + len(text)))
        texts.append(text)
        position += len(text) + len(PAGE_SEPARATOR)
    warnings += [ParseWarning("reader", message) for message in messages]
    info = reader.metadata or {}  # type: ignore[attr-defined]
    title = str(info.get("/Title") or "")
    return ParsedDocument(
        text=PAGE_SEPARATOR.join(texts),
        title=one_line(title) if is_title(title) else title_from_filename(filename),
        mime_type="application/pdf",
        pages=tuple(spans),
        metadata={"page_count": len(pages), "reader": "pypdf"},
        warnings=tuple(warnings),
    )
