"""Server-sent events, as a browser reads them. Knows nothing of what the events mean.

Lines end at CR, LF or CRLF only (WHATWG HTML, "Parsing an event stream"). A reader that splits at every
Unicode line break would cut an event in two where a document's text holds U+2028.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# One event may carry a whole answer with its hits; a stream that never ends a line is not ours.
MAX_LINE_CHARACTERS = 32 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """``last_id`` is the newest id that the stream has named so far; it resumes a stream that broke."""

    name: str
    data: str
    last_id: str = ""


def read_events(chunks: Iterable[bytes]) -> Iterator[ServerEvent]:
    """Yields the complete events of ``chunks``; an event that the stream's end cut short is dropped.

    Raises:
        ValueError: a line is longer than ``MAX_LINE_CHARACTERS``.
    """
    name, last_id = "", ""
    data: list[str] = []
    for line in _lines(chunks):
        if not line:
            if data:
                yield ServerEvent(name=name or "message", data="\n".join(data), last_id=last_id)
            name, data = "", []
            continue
        field, _, value = line.partition(":")  # a line that begins with ":" is a comment: field is empty
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id" and "\0" not in value:
            last_id = value


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest, after_cr, first = "", False, True
    for chunk in chunks:
        text = decoder.decode(chunk)
        if first and text:
            text, first = text.removeprefix("\ufeff"), False
        if after_cr and text:
            text, after_cr = text.removeprefix("\n"), False  # the LF of a CRLF that two chunks shared
        if text.endswith("\r"):
            after_cr = True
        pieces = (rest + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        rest = pieces.pop()
        if len(rest) > MAX_LINE_CHARACTERS:
            raise ValueError(f"an event line is longer than {MAX_LINE_CHARACTERS:,} characters")
        yield from pieces
