"""Outlook messages (.msg) through python-oxmsg."""

from __future__ import annotations

import struct
from typing import Any

import oxmsg

from core.errors import Encrypted, ParseFailed
from ingest.parse.clean import one_line
from ingest.parse.document import ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.embedded import EmbeddedPictures
from ingest.parse.kinds import MIME_TYPES
from ingest.parse.message import UTF8_MARK, Attachment, Body, Inner, Message, message_document
from ingest.parse.source import File

_RTF_COMPRESSED = 0x1009  # PidTagRtfCompressed, [MS-OXPROPS]


def parse_msg(
    path: File, filename: str, limits: ParseLimits, pictures: EmbeddedPictures, inner: Inner | None = None
) -> ParsedDocument:
    """See ``ingest.parse.file.parse_file`` and ``message_document``.

    Raises:
        Encrypted: the text is encrypted with PGP or S/MIME.
    """
    try:
        found = _read(oxmsg.Message.load(path.read_bytes()), filename)
    except (OSError, KeyError, IndexError, ValueError, AssertionError, LookupError, struct.error) as e:
        message = f"{filename} is a damaged Outlook message ({type(e).__name__}: {one_line(str(e), 200)})"
        raise ParseFailed(message, code="damaged") from e
    return message_document(found, filename, limits, MIME_TYPES["msg"], pictures, inner)


def _read(source: Any, filename: str) -> Message:
    headers = {k.lower(): str(v) for k, v in source.message_headers.items()}
    kind = headers.get("content-type", "").lower()
    signed = "multipartsigned" in source.message_class.lower()
    smime = source.message_class.lower().startswith("ipm.note.smime") and not signed
    if kind.startswith(("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")) or smime:
        raise Encrypted(f"{filename} is an encrypted message: open it in your mail program and save it decrypted")
    message = Message()
    recipients = ", ".join(_recipient(r) for r in source.recipients)
    message.fields = {
        "subject": source.subject or headers.get("subject", ""),
        "from": source.sender or "",
        "to": headers.get("to", recipients),
        "cc": headers.get("cc", ""),
        "date": source.sent_date.isoformat(" ", "minutes") if source.sent_date else headers.get("date", ""),
    }
    message.sent = source.sent_date
    body = Body(source.body or "")
    html = source.html_body
    if html:
        body = Body(body.text, UTF8_MARK + html.encode("utf-8", "replace"))
    message.bodies.append(body)
    if not body.text.strip() and not html and source.properties.binary_prop_value(_RTF_COMPRESSED):
        warning = "the text of the message is in Outlook's rich text alone, which is not read: save it as HTML"
        message.warnings.append(ParseWarning("rich-text", warning, lost=True))
    for attachment in source.attachments:
        name = attachment.file_name or "attached message"
        message.attachments.append(Attachment(name, attachment.file_bytes, attachment.mime_type or ""))
    return message


def _recipient(recipient: Any) -> str:
    name, address = recipient.name or "", recipient.email_address or ""
    return f"{name} <{address}>" if name and address and name != address else name or address
