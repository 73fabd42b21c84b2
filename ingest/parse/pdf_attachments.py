"""Files embedded in a PDF, as attachments of mail are: read one level deep, each under a heading with its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pypdfium2 as pdfium

from ingest.parse.clean import one_line
from ingest.parse.document import ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.message import MAX_ATTACHMENTS, Attachment, write_attachments
from ingest.parse.source import MemoryFile
from ingest.parse.writer import TextWriter

Inner = Callable[[MemoryFile, str, ParseLimits], ParsedDocument]


def with_attachments(
    parsed: ParsedDocument, document: Any, filename: str, limits: ParseLimits, inner: Inner | None
) -> ParsedDocument:
    """``parsed`` with the texts of the files embedded in the pdfium document ``document`` after its pages.

    Those that were not read are named in its warnings.

    Args:
        inner: reads an attachment; None in a PDF that is an attachment itself.

    Raises:
        TooLarge: over ``max_characters``, pages and attachments together.
    """
    warnings = list(parsed.warnings)
    found = _embedded(document, limits, warnings)
    writer = TextWriter(filename, limits)
    writer.passage(parsed.text, parsed.headings)
    read = write_attachments(writer, found, warnings, inner, holder="PDF", pages=len(parsed.pages))
    metadata = {**parsed.metadata, "attachments": [a.name for a in found], "attachments_read": read}
    return replace(
        parsed, text=writer.text(), headings=tuple(writer.headings), metadata=metadata, warnings=tuple(warnings)
    )


def _embedded(document: Any, limits: ParseLimits, warnings: list[ParseWarning]) -> list[Attachment]:
    count = document.count_attachments()
    if count > MAX_ATTACHMENTS:
        message = f"only the first {MAX_ATTACHMENTS} of {count} attachments were read"
        warnings.append(ParseWarning("attachments", message, lost=True))
    found: list[Attachment] = []
    room = limits.max_unpacked_bytes
    for index in range(min(count, MAX_ATTACHMENTS)):
        name, data = f"attachment {index + 1}", None
        try:
            attachment = document.get_attachment(index)
            name = one_line(attachment.get_name(), 200) or name
            data = bytes(attachment.get_data())
        except (pdfium.PdfiumError, UnicodeDecodeError) as e:
            warnings.append(ParseWarning("attachments", f"attachment {name} could not be unpacked ({e})", lost=True))
            continue
        if len(data) > room:
            limit = f"{limits.max_unpacked_bytes / 2**20:.0f} MiB"
            message = f"attachment {name} was not read: the attachments are over the limit of {limit} together"
            warnings.append(ParseWarning("attachments", message, lost=True))
            continue
        room -= len(data)
        found.append(Attachment(name, data))
    return found
