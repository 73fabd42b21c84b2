"""Rich-text documents (RTF) through striprtf; the text in their pictures by OCR, where they stand; notes, boxes and comments at
the end. Left out: deletions of tracked changes, running heads, hidden text (said in a warning)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

from striprtf.striprtf import rtf_to_text

from core.errors import EmptyDocument
from ingest.parse.clean import is_title, one_line, title_from_filename
from ingest.parse.document import ParsedDocument, ParseLimits
from ingest.parse.embedded import EmbeddedPictures
from ingest.parse.hidden import hidden_warning
from ingest.parse.kinds import MIME_TYPES
from ingest.parse.rtf_parts import shown_text
from ingest.parse.rtf_pictures import RichText, without_pictures
from ingest.parse.source import File
from ingest.parse.tables import markdown_table
from ingest.parse.writer import TextWriter

# Objects in hexadecimal: megabytes that striprtf would look at letter by letter, to drop them.
_HEX = re.compile(rb"(?:[0-9a-fA-F]{30,}+[\r\n ]*+){8,}+")
_INFO = re.compile(rb"\{\\(title|author|subject|keywords)\s([^{}]{1,500})\}")
_NOTE = re.compile(r"^(\[\^\d+\]:)\s+")  # some have a space after their mark
_MAX_HIDDEN = 1000
_CODE_PAGE = re.compile(rb"\\ansicpg(\d{3,5})")

_convert = cast(Callable[..., str], rtf_to_text)  # it has no types


def parse_rtf(path: File, filename: str, limits: ParseLimits, pictures: EmbeddedPictures) -> ParsedDocument:
    """See ``ingest.parse.file.parse_file``; ``pictures`` reads those of the document. Headings are not told from text:
    RTF has only looks."""
    rich = without_pictures(path.read_bytes())
    shown = shown_text(_HEX.sub(b"", rich.data))
    data = shown.data
    match = _CODE_PAGE.search(data[:4096])
    encoding = f"cp{match.group(1).decode()}" if match else "cp1252"
    try:
        "".encode(encoding)
    except LookupError:
        encoding = "cp1252"
    text = _convert(data.decode("latin-1"), encoding=encoding, errors="replace")
    writer = TextWriter(filename, limits)
    own = _write(writer, text, rich, pictures)
    pictures.end_part(own)
    if not writer.parts:
        if pictures.reason:
            raise EmptyDocument(f"{filename} has no text: {pictures.reason}", code="scanned")
        raise EmptyDocument(f"{filename} is a rich-text document without text")
    hidden = [text for text in (_plain(piece, encoding) for piece in shown.hidden[:_MAX_HIDDEN]) if text]
    info = {name.decode(): _plain(value, encoding) for name, value in _INFO.findall(data)}
    title = info.pop("title", "")
    return ParsedDocument(
        text=writer.text(),
        title=title if is_title(title) else title_from_filename(filename),
        mime_type=MIME_TYPES["rtf"],
        metadata={**{name: value for name, value in info.items() if value}, **pictures.metadata()},
        warnings=(*hidden_warning(hidden), *pictures.warnings()),
    )


def _write(writer: TextWriter, text: str, rich: RichText, pictures: EmbeddedPictures) -> int:
    """Writes paragraphs and tables, each followed by what its pictures say, and at the end what stood in no paragraph, as
    in drawn shapes; returns how many characters are not pictures'."""
    mark = re.compile(re.escape(rich.token) + r"(\d+)\.")
    waiting = dict(enumerate(rich.pictures))
    of_pictures = 0

    def read(number: int) -> None:
        nonlocal of_pictures
        before = writer.length
        writer.block(pictures.text(waiting.pop(number)))
        of_pictures += writer.length - before

    for block in _blocks(text):
        numbers = [int(n) for n in mark.findall(block)]
        writer.block(mark.sub("", block) if numbers else block)
        for number in numbers:
            if number in waiting:
                read(number)
    for number in list(waiting):
        read(number)
    return writer.length - of_pictures


def _plain(value: bytes, encoding: str) -> str:
    return one_line(_convert("{\\rtf1 " + value.decode("latin-1") + "}", encoding=encoding, errors="replace"))


def _blocks(text: str) -> list[str]:
    """Paragraphs, one per line; rows of a table, which striprtf writes as "cell|cell|", as Markdown."""
    blocks: list[str] = []
    rows: list[list[str]] = []
    for line in [*text.split("\n"), ""]:
        if line.endswith("|") and line.count("|") > 1:
            rows.append(line.removesuffix("|").split("|"))
            continue
        if rows:
            blocks.append(markdown_table(rows))
            rows = []
        if line.strip():
            blocks.append(_NOTE.sub(r"\1 ", line.strip()))
    return blocks
