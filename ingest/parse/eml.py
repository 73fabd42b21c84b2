"""E-mail messages as they travel (RFC 5322, MIME), through the standard library."""

from __future__ import annotations

import email
import email.errors
import email.header
import email.policy
import email.utils
import re
from collections.abc import Iterator
from email.message import Message as Part

from core.errors import Encrypted, ParseFailed
from ingest.parse.clean import one_line
from ingest.parse.document import ParsedDocument, ParseLimits
from ingest.parse.embedded import EmbeddedPictures
from ingest.parse.kinds import MIME_TYPES
from ingest.parse.message import UTF8_MARK, Attachment, Body, Inner, Message, message_document
from ingest.parse.source import File
from ingest.parse.text import decode
from ingest.parse.web_encoding import codec_of

_MAX_DEPTH = 30
_MAX_HEADER = 10_000  # characters: decoding takes longer than the square of them
_MAX_REPEATED = 5
_ENCODED_WORDS = re.compile(r"=\?[^?\s]+\?[bBqQ]\?.*?\?=(?:\s*=\?[^?\s]+\?[bBqQ]\?.*?\?=)*")
_SIGNATURES = ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature")
_CRYPTED = ("application/pkcs7-mime", "application/x-pkcs7-mime")

_UTF7 = ("utf-7", "utf7", "unicode-1-1-utf-7")  # never on the web, but old mail programs wrote it


def parse_eml(
    path: File, filename: str, limits: ParseLimits, pictures: EmbeddedPictures, inner: Inner | None = None
) -> ParsedDocument:
    """See ``ingest.parse.file.parse_file`` and ``message_document``.

    Raises:
        Encrypted: the text is encrypted with PGP or S/MIME.
    """
    # Of the policies only the old one takes every malformed header.
    root = email.message_from_bytes(path.read_bytes(), policy=email.policy.compat32)
    message = Message()
    for key in ("subject", "from", "to", "cc", "date"):
        message.fields[key] = ", ".join(_header(value) for value in _raw(root, key)[:_MAX_REPEATED])
    try:
        message.sent = email.utils.parsedate_to_datetime(message.fields["date"])
    except (ValueError, TypeError, IndexError):
        message.sent = None
    message.bodies = _collect(root, message, filename, 0)
    return message_document(message, filename, limits, MIME_TYPES["eml"], pictures, inner)


def _raw(part: Part, key: str) -> list[str]:
    """The values of a header as they were sent. Bytes beyond ASCII are UTF-8 (RFC 6532), or what they say they are: the library
    would hand out a mark for each."""
    return [_unescaped(str(value)[:_MAX_HEADER]) for name, value in part.raw_items() if name.lower() == key]


def _unescaped(value: str) -> str:
    if value.isascii():
        return value
    return _decoded(value.encode("utf-8", "surrogateescape"), "utf-8")


def _header(text: str) -> str:
    """A header's text with its encoded words decoded, as well as it goes."""
    return one_line(_ENCODED_WORDS.sub(lambda match: _words(match.group()), text[:_MAX_HEADER]), 2000)


def _words(encoded: str) -> str:
    """Encoded words that follow one another (RFC 2047): what stands between them is none of the text."""
    parts = []
    try:
        for data, charset in email.header.decode_header(encoded):
            parts.append(data if isinstance(data, str) else _decoded(data, charset or "utf-8"))
    except (email.errors.HeaderParseError, ValueError):
        return encoded
    return "".join(parts)


def _decoded(data: bytes, charset: str) -> str:
    codec = "utf-7" if charset.strip("'\" ").lower() in _UTF7 else codec_of(charset) or "utf-8"
    if b"\x1b$" in data and codec in ("utf-8", "windows-1252"):  # Japanese that says nothing of itself
        return decode(data, "the text")[0]
    try:
        return data.decode(codec)
    except (LookupError, ValueError):  # unknown or wrong: what the bytes say counts
        try:
            return decode(data, "the text")[0]
        except ParseFailed:  # nothing fits: every byte is a letter in this one
            return data.decode("latin-1")


def _collect(part: Part, message: Message, filename: str, depth: int) -> list[Body]:
    """The texts of a part; attachments go into ``message``."""
    kind = part.get_content_type()
    if kind == "multipart/encrypted" or (kind in _CRYPTED and part.get_param("smime-type") != "signed-data"):
        raise Encrypted(f"{filename} is an encrypted message: open it in your mail program and save it decrypted")
    if kind == "message/rfc822" or (part.is_multipart() and depth >= _MAX_DEPTH):
        message.attachments.append(_attached_message(part))
        return []
    if part.is_multipart():
        bodies = [body for child in _children(part) for body in _collect(child, message, filename, depth + 1)]
        if kind == "multipart/alternative" and len(bodies) > 1:  # versions of one text
            text = "\n\n".join(b.text for b in bodies if b.text)
            return [Body(text, b"<hr>".join(b.html for b in bodies if b.html))]
        return bodies
    data = part.get_payload(decode=True)
    data = data if isinstance(data, bytes) else b""
    if part.get_content_disposition() == "attachment" or kind not in ("text/plain", "text/html"):
        if kind not in _SIGNATURES and (data or part.get_filename()):
            message.attachments.append(Attachment(_name(part, kind), data, kind))
        return []
    text = _decoded(data, str(part.get_content_charset() or "utf-8"))
    if kind == "text/html":
        # HTML says its own encoding, which the header overrides: so it is handed on as UTF-8 with a mark.
        return [Body(html=UTF8_MARK + text.encode("utf-8", "replace"))]
    if part.get_param("format") == "flowed":
        text = "\n".join(_unflowed(text, part.get_param("delsp") == "yes"))
    return [Body(text)]


def _children(part: Part) -> list[Part]:
    payload = part.get_payload()
    return [p for p in payload if isinstance(p, Part)] if isinstance(payload, list) else []


def _attached_message(part: Part) -> Attachment:
    children = _children(part)
    inner = children[0] if children else part
    name = _header(next(iter(_raw(inner, "subject")), "")) or "attached message"
    try:
        return Attachment(f"{name}.eml", inner.as_bytes(), "message/rfc822")
    except (KeyError, LookupError, UnicodeError, ValueError, TypeError):  # it cannot be written as it was read
        return Attachment(f"{name}.eml", None, "message/rfc822")


def _name(part: Part, kind: str) -> str:
    readable = Part()
    for key in ("content-disposition", "content-type"):
        for value in _raw(part, key)[:1]:
            readable[key] = value
    try:
        name = readable.get_filename()
    except (UnicodeError, LookupError, ValueError):
        name = None
    return _header(name) if name else f"unnamed ({kind})"


def _unflowed(text: str, delete_space: bool) -> Iterator[str]:
    """Lines that were broken softly, whole again (RFC 3676); quoted lines stay as they are."""
    held = ""
    for line in text.replace("\r\n", "\n").split("\n"):
        line = line.removeprefix(" ") if not line.startswith(">") else line
        if line.endswith(" ") and line != "-- " and not line.startswith(">"):
            held += line[:-1] if delete_space else line
            continue
        yield held + line
        held = ""
    if held:
        yield held
