"""Rich-text documents (RTF) through striprtf."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

from striprtf.striprtf import rtf_to_text

from core.errors import EmptyDocument
from core.wording import not_read, plural
from ingest.parse.clean import is_title, one_line, title_from_filename
from ingest.parse.document import ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.kinds import MIME_TYPES
from ingest.parse.source import File
from ingest.parse.tables import markdown_table
from ingest.parse.writer import TextWriter

_PICTURE = re.compile(rb"\\pict\b")
# Pictures and objects in hexadecimal: megabytes that striprtf would look at letter by letter, to drop them.
_HEX = re.compile(rb"(?:[0-9a-fA-F]{30,}+[\r\n ]*+){8,}+")
_INFO = re.compile(rb"\{\\(title|author|subject|keywords)\s([^{}]{1,500})\}")
_CODE_PAGE = re.compile(rb"\\ansicpg(\d{3,5})")

_convert = cast(Callable[..., str], rtf_to_text)  # it has no types


def parse_rtf(path: File, filename: str, limits: ParseLimits) -> ParsedDocument:
    """See ``ingest.parse.file.parse_file``. Headings are not told from text: RTF has only looks."""
    data = path.read_bytes()
    pictures = len(_PICTURE.findall(data))
    data = _HEX.sub(b"", data)
    match = _CODE_PAGE.search(data[:4096])
    encoding = f"cp{match.group(1).decode()}" if match else "cp1252"
    try:
        "".encode(encoding)
    except LookupError:
        encoding = "cp1252"
    text = _convert(data.decode("latin-1"), encoding=encoding, errors="replace")
    writer = TextWriter(filename, limits)
    for block in _blocks(text):
        writer.block(block)
    if not writer.parts:
        found = f" ({plural(pictures, 'picture')})" if pictures else ""
        raise EmptyDocument(f"{filename} is a rich-text document without text{found}")
    info = {name.decode(): _plain(value, encoding) for name, value in _INFO.findall(data)}
    title = info.pop("title", "")
    warnings = []
    if pictures:
        warnings.append(ParseWarning("pictures", not_read(pictures, "picture")))
    return ParsedDocument(
        text=writer.text(),
        title=title if is_title(title) else title_from_filename(filename),
        mime_type=MIME_TYPES["rtf"],
        metadata={name: value for name, value in info.items() if value},
        warnings=tuple(warnings),
    )


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
            blocks.append(line.strip())
    return blocks
