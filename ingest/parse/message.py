"""A message with its attachments as one document: subject, sender, recipients, date, text, and each attachment that
can be read under a heading with its name. Shared by .eml and .msg.

It knows nothing of how messages are coded. Attachments are read one level deep: those of an attached message are named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from core.errors import EmptyDocument, OpenbookError, TooLarge
from ingest.parse.clean import clean, one_line, title_from_filename
from ingest.parse.document import ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.embedded import EmbeddedPictures
from ingest.parse.html import parse_html
from ingest.parse.source import MemoryFile
from ingest.parse.text import check_characters
from ingest.parse.writer import TextWriter

Inner = Callable[[MemoryFile, str, ParseLimits], ParsedDocument]

UTF8_MARK = b"\xef\xbb\xbf"  # before HTML whose encoding the message knows: it wins over what the page says of itself

MAX_ATTACHMENTS = 50
_MAX_NAMED = 10
_STUB = 4  # a plain text that is so many times shorter than the HTML beside it is a stub
_TABLE = re.compile(r"^\|[^\n]*\|\n\|[^\n]*\|$", re.MULTILINE)
_FIELDS = (("From", "from"), ("To", "to"), ("Cc", "cc"), ("Date", "date"))


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    data: bytes | None  # None: the message names it but does not hold it
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """One text of a message, as plain text, as HTML, or as both."""

    text: str = ""
    html: bytes = b""


@dataclass(slots=True)
class Message:
    """``fields`` are "subject", "from", "to", "cc" and "date", as they are shown."""

    fields: dict[str, str] = field(default_factory=dict)
    bodies: list[Body] = field(default_factory=list)
    sent: datetime | None = None
    attachments: list[Attachment] = field(default_factory=list)
    warnings: list[ParseWarning] = field(default_factory=list)


def message_document(
    message: Message,
    filename: str,
    limits: ParseLimits,
    mime_type: str,
    pictures: EmbeddedPictures,
    inner: Inner | None,
) -> ParsedDocument:
    """The document of a message.

    Args:
        pictures: reads those that are attached.
        inner: reads an attachment; None in a message that is an attachment itself.

    Raises:
        EmptyDocument: no subject, no text and no attachment that could be read.
        TooLarge: over ``max_characters``, message and attachments together.
    """
    writer = TextWriter(filename, limits)
    warnings = list(message.warnings)
    subject = one_line(message.fields.get("subject", ""))
    writer.heading(1, subject)
    writer.block(
        "\n".join(
            f"{label}: {one_line(message.fields[key], 1000)}" for label, key in _FIELDS if message.fields.get(key)
        )
    )
    before, start = len(writer.parts), writer.length
    for body in message.bodies:
        _write_body(writer, body, warnings)
    own = writer.length - start
    images = [a for a in message.attachments if a.media_type.startswith("image/")]
    read = _write_pictures(writer, images, pictures)
    others = [a for a in message.attachments if not a.media_type.startswith("image/")]
    read += write_attachments(writer, others, warnings, inner)
    pictures.end_part(own, bare=1)  # messages are short, and most pictures in them are of signatures
    warnings += pictures.warnings()
    if len(writer.parts) == before and not subject:
        if pictures.reason:
            raise EmptyDocument(f"{filename} has no text: {pictures.reason}", code="scanned")
        raise EmptyDocument(f"{filename} is a message without subject and text")
    metadata: dict[str, Any] = {k: one_line(v, 1000) for k, v in message.fields.items() if v and k != "subject"}
    if message.fields.get("from"):
        metadata["author"] = metadata["from"]
    if message.sent is not None:
        metadata["created"] = message.sent.isoformat()
    if message.attachments:
        metadata["attachments"] = [one_line(a.name) for a in message.attachments[:MAX_ATTACHMENTS]]
        metadata["attachments_read"] = read
    metadata.update(pictures.metadata())
    return ParsedDocument(
        text=writer.text(),
        title=subject or title_from_filename(filename),
        mime_type=mime_type,
        headings=tuple(writer.headings),
        metadata=metadata,
        warnings=tuple(warnings),
    )


def _write_body(writer: TextWriter, body: Body, warnings: list[ParseWarning]) -> None:
    text = clean(body.text).strip()
    if body.html.strip():
        try:
            page = parse_html(MemoryFile(body.html), writer.filename, writer.limits)
        except EmptyDocument:
            page = None
        if page is not None and (len(page.text) > _STUB * len(text) or _has_more_tables(page.text, text)):
            writer.document(page, level=1)
            warnings.extend(page.warnings)
            return
    writer.block(text)


def _has_more_tables(page: str, text: str) -> bool:
    """Whether the HTML has a table of which the plain text, which says no more than that, has the cells alone."""
    return bool(_TABLE.search(page)) and not _TABLE.search(text) and 2 * len(page) >= len(text)


def _write_pictures(writer: TextWriter, images: Sequence[Attachment], pictures: EmbeddedPictures) -> int:
    """Writes the text of each picture that has some under its name; returns how many have."""
    read = 0
    for image in images:
        name = one_line(image.name, 200)
        if image.data is None:
            pictures.missing(name)
        elif text := pictures.text(image.data, name):
            writer.heading(2, name)
            writer.block(text)
            read += 1
    return read


def write_attachments(
    writer: TextWriter,
    attachments: Sequence[Attachment],
    warnings: list[ParseWarning],
    inner: Inner | None,
    *,
    holder: str = "message",
    pages: int = 0,
) -> int:
    """Writes each attachment under its name; what could not be read becomes a warning. Returns how many were read.

    Args:
        inner: see ``message_document``.
        holder: what has the attachments, for messages.
        pages: that the holder itself has: they count against ``max_pages``.
    """
    if inner is None:
        if attachments:
            message = f"attachments of an attached {holder} were not read: {_named(attachments)}"
            warnings.append(ParseWarning("attachments", message, lost=True))
        return 0
    if len(attachments) > MAX_ATTACHMENTS:
        message = f"only the first {MAX_ATTACHMENTS} of {len(attachments)} attachments were read"
        warnings.append(ParseWarning("attachments", message, lost=True))
    archives = sum(a.data is not None and a.data.startswith(b"PK") for a in attachments)
    limits = writer.limits
    read = 0
    for attachment in attachments[:MAX_ATTACHMENTS]:
        name = one_line(attachment.name, 200)
        if attachment.data is None:
            warnings.append(ParseWarning("attachments", f"attachment {name} is not in the {holder}", lost=True))
            continue
        # What one attachment may take is what the others have left, or its share.
        share = replace(
            limits,
            max_characters=max(limits.max_characters - writer.length, 1),
            max_pages=max(limits.max_pages - pages, 1),
            max_unpacked_bytes=limits.max_unpacked_bytes // max(archives, 1),
        )
        try:
            found = inner(MemoryFile(attachment.data), name, share)
        except TooLarge as e:
            if e.code == "too-many-characters":  # said of the message, whose limit it is
                check_characters(limits.max_characters + 1, writer.filename, limits)
            warnings.append(ParseWarning("attachments", f"attachment {_reason(name, e)}", lost=True))
            continue
        except OpenbookError as e:
            lost = e.code != "image-without-text"  # there was nothing to lose
            warnings.append(ParseWarning("attachments", f"attachment {_reason(name, e)}", lost=lost))
            continue
        writer.heading(2, name)
        writer.document(found, level=2)
        read += 1
        pages += len(found.pages)
        warnings.extend(ParseWarning(w.code, f"{name}: {w.message}", None, w.lost) for w in found.warnings)
    return read


def _reason(name: str, error: OpenbookError) -> str:
    """What an error says of an attachment, without the list of all that could have been read."""
    message = re.sub(r": [^:]* are read$", ", which is not read", error.message)
    return message if message.startswith(name) else f"{name}: {message}"


def _named(attachments: Sequence[Attachment]) -> str:
    more = f" and {len(attachments) - _MAX_NAMED} more" if len(attachments) > _MAX_NAMED else ""
    return ", ".join(one_line(a.name, 100) for a in attachments[:_MAX_NAMED]) + more
